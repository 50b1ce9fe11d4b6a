"""Differentially private data structures."""

from dpkit._version import __version__

__all__ = ["__version__"]
