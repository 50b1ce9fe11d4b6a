"""The errors that dpkit raises on purpose; each names its cause and what to do about it."""

__all__ = [
    "ArgumentError",
    "BudgetSpentError",
    "DpkitError",
    "FormatError",
    "HorizonError",
    "MergeError",
    "MissingBoundsError",
]


class DpkitError(Exception):
    """Base of every error that dpkit raises on purpose.

    No message ever quotes private records: what is shown are public arguments only.
    """


class ArgumentError(DpkitError, ValueError):
    """A public argument lies outside what the function accepts."""


class MissingBoundsError(ArgumentError):
    """A structure needs a public domain and none was given; taking it from the data would leak."""


class BudgetSpentError(DpkitError):
    """A privacy budget, or a builder that may release only once, has already been spent."""


class MergeError(DpkitError, ValueError):
    """Two shards whose public parameters differ cannot be added."""


class FormatError(DpkitError, ValueError):
    """A file or a state is not what dpkit wrote, or comes from a format it does not read."""


class HorizonError(DpkitError):
    """A stream was asked for a step past the horizon fixed when it was built."""
