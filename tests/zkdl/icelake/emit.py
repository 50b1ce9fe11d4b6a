"""Machine code of kernels for a processor with AVX-512 IFMA, made on any x86-64 machine and not run here.

    NUMBA_CPU_NAME=icelake-server NUMBA_CPU_FEATURES=... python -m tests.zkdl.icelake.emit FOLDER

FOLDER/jobs.json lists {"module", "kernel", "arguments": [numba type names]}; FOLDER/K.o receives the object
code of job K, and standard output the name of its function, one line a job.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from numba import types


def numba_type(name: str):
    """`uint8` or, for a flat contiguous array, `uint64[]`."""
    if name.endswith("[]"):
        return types.Array(getattr(types, name[:-2]), 1, "C")
    return getattr(types, name)


def main() -> None:
    folder = Path(sys.argv[1])
    for k, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        dispatcher = getattr(importlib.import_module(job["module"]), job["kernel"])
        signature = tuple(numba_type(name) for name in job["arguments"])
        dispatcher.compile(signature)
        compiled = dispatcher.overloads[signature]
        _, kind, (code, _) = compiled.library.serialize_using_object_code()
        assert kind == "object", kind
        (folder / f"{k}.o").write_bytes(code)
        print(compiled.fndesc.llvm_func_name, flush=True)


if __name__ == "__main__":
    main()
