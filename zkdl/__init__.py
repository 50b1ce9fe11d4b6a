"""Zero-knowledge proofs of neural-network training."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkdl import arithmetic, errors
    from zkdl.errors import (
        BackendError,
        FormatError,
        InputError,
        ProofRejected,
        RangeOverflowError,
        Reason,
        ResourceError,
        WitnessError,
        ZkdlError,
    )
    from zkdl.protocol.model_file import Model
    from zkdl.protocol.proof import Proof
    from zkdl.protocol.settings import Settings
    from zkdl.protocol.statement import Statement
    from zkdl.protocol.table_kinds import DataTable, WeightTable
    from zkdl.prover.commit import commit_data, commit_weights
    from zkdl.prover.prove import prove
    from zkdl.training import CommittedData, CommittedWeights, Run, Witness, export, train
    from zkdl.verifier.chain import verify_chain
    from zkdl.verifier.table import verify_table
    from zkdl.verifier.verify import verify

__all__ = [
    "BackendError",
    "CommittedData",
    "CommittedWeights",
    "DataTable",
    "FormatError",
    "InputError",
    "Model",
    "Proof",
    "ProofRejected",
    "RangeOverflowError",
    "Reason",
    "ResourceError",
    "Run",
    "Settings",
    "Statement",
    "WeightTable",
    "Witness",
    "WitnessError",
    "ZkdlError",
    "__version__",
    "arithmetic",
    "commit_data",
    "commit_weights",
    "errors",
    "export",
    "prove",
    "train",
    "verify",
    "verify_chain",
    "verify_table",
]

# Names are looked up on first use, so that `import zkdl` stays fast and loads no kernels.
_ERRORS = (
    "BackendError", "FormatError", "InputError", "ProofRejected", "RangeOverflowError", "Reason",
    "ResourceError", "WitnessError", "ZkdlError",
)  # fmt: skip
_HOMES = {
    **dict.fromkeys(_ERRORS, "zkdl.errors"),
    "Model": "zkdl.protocol.model_file",
    "Proof": "zkdl.protocol.proof",
    "Settings": "zkdl.protocol.settings",
    "Statement": "zkdl.protocol.statement",
    "DataTable": "zkdl.protocol.table_kinds",
    "WeightTable": "zkdl.protocol.table_kinds",
    "commit_data": "zkdl.prover",
    "commit_weights": "zkdl.prover",
    "CommittedData": "zkdl.training",
    "CommittedWeights": "zkdl.training",
    "prove": "zkdl.prover",
    "Run": "zkdl.training",
    "Witness": "zkdl.training",
    "export": "zkdl.training",
    "train": "zkdl.training",
    "verify": "zkdl.verifier",
    "verify_chain": "zkdl.verifier",
    "verify_table": "zkdl.verifier",
}
_MODULES = ("arithmetic", "errors", "protocol", "prover", "training", "verifier")


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name in _MODULES:
        return importlib.import_module(f"zkdl.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'zkdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dpkit-zkdl")
    except PackageNotFoundError:
        return "unknown"
