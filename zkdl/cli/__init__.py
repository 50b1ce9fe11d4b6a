"""The command line of zkdl."""

from zkdl.cli.app import app, main

__all__ = ["app", "main"]
