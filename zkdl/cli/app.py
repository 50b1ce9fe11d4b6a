"""The command ``zkdl``: commit-data, commit-weights, train, estimate, prove, verify, export, inspect."""

from __future__ import annotations

import typer

from zkdl import console
from zkdl.cli.committing import commit_data, commit_weights
from zkdl.cli.inspecting import inspect
from zkdl.cli.proving import export, prove
from zkdl.cli.running import estimate, train
from zkdl.cli.verifying import verify

__all__ = ["app", "main"]

app = typer.Typer(
    name="zkdl",
    help="Zero-knowledge proofs of neural-network training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# The order is that of ``zkdl --help``.
for _command in (commit_data, commit_weights, train, estimate, prove, verify, export, inspect):
    app.command()(_command)


def main() -> None:
    """Run the command line; the entry point of ``zkdl``."""
    console.end_on_sigterm()
    with console.guard():
        app(prog_name="zkdl")
