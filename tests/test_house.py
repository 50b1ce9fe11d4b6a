"""The rules of the house, as tests: floors, import hygiene, file sizes, no pickle, no machine paths."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dpkit", "zkdl")

# A part may import parts with a lower number, and itself; parts with equal numbers do not know each other,
# except where ALSO says so. A new top-level module needs a line here: where it stands is a decision.
FLOORS = {
    "dpkit": {
        "errors": 0,
        "_version": 0,
        "_arrays": 1,
        "_compiled": 0,
        "_curves": 1,
        "_lattice": 2,
        "_page": 0,
        "_options": 7,
        "accounting": 1,
        "grid": 1,
        "noise": 1,
        "guarantee": 2,
        "ledger": 3,
        "release": 4,
        "similarity": 5,
        "continual": 5,
        "_loading": 6,
        "exact": 6,
        "datasets": 6,
        "distributed": 6,
        "_inspection": 7,
        "audit": 7,
        "cli": 8,
        "__main__": 9,
    },
    "zkdl": {
        "errors": 0,
        "_version": 0,
        "cuda_sources": 1,
        "arithmetic": 2,
        "protocol": 3,
        "training": 4,
        "prover": 4,
        "verifier": 4,
        "console": 4,
        "estimate": 5,
        "cli": 6,
        "__main__": 7,
    },
}
# The prover reads the witness that training leaves; nothing else crosses a floor sideways.
ALSO = {("zkdl", "prover", "training")}

NEVER_AT_IMPORT = ("scipy", "sklearn", "cupy", "torch", "matplotlib", "opendp", "pandas", "dask")
PICKLE_LIKE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Split so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile(
    "|".join(
        (
            "/wor" + "k/",
            "/tm" + "p/[a-z_]+",
            "/hom" + "e/[a-z]",
            "/roo" + "t/",
            "/User" + "s/",
            "index-ur" + "l",
        )
    )
)


def tracked():
    """Files under version control, or all files of an unpacked source distribution."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [p for p in ROOT.rglob("*") if not {".venv", "__pycache__"} & set(p.parts)]
    return [p for p in paths if p.is_file()]


def sources(*packages):
    return [p for name in packages for p in sorted((ROOT / name).rglob("*.py"))]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree(path):
    return ast.parse(path.read_text(), filename=str(path))


def imports(path, *, typing_only=True):
    """Dotted targets of every import statement in a file, also those inside functions, with line numbers."""
    skipped = set()
    if not typing_only:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                candidate = f"{origin}.{alias.name}"
                yield (candidate if candidate in modules() else origin), node.lineno


@functools.cache
def modules():
    return {module_name(p): p for p in sources(*PACKAGES)}


def part(module):
    return module.split(".")[1] if "." in module else ""


def test_every_part_has_a_floor():
    parts = {(name.split(".")[0], part(name)) for name in modules() if part(name)}
    unknown = {f"{package}.{p}" for package, p in parts if p not in FLOORS[package]}
    assert not unknown, f"give these a floor in {Path(__file__).name}: {sorted(unknown)}"


def climbs():
    for path in sources(*PACKAGES):
        name = module_name(path)
        package, here = name.split(".")[0], part(name)
        for target, line in imports(path):
            other, there = target.split(".")[0], part(target)
            where = f"{path.relative_to(ROOT)}:{line} imports {target}"
            if package == "dpkit" and other == "zkdl":
                yield where
            if other != package or here in ("", "__main__") or there == here:
                continue
            floors = FLOORS[package]
            # The package itself sits on top of everything: only the command line may lean on it.
            above = floors[there] >= floors[here] if there else here != "cli"
            if above and (package, here, there) not in ALSO:
                yield where


def test_no_import_climbs_a_floor():
    assert list(climbs()) == []


def test_no_import_cycles():
    edges = {
        name: {t for t, _ in imports(path, typing_only=False) if t in modules() and t != name}
        for name, path in modules().items()
    }
    # Handing names on makes every package point at its own modules; those may not point back.
    state = {}

    def visit(name, trail):
        assert state.get(name) != "open", f"import cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name in state:
            return
        state[name] = "open"
        for target in sorted(edges[name]):
            visit(target, [*trail, name])
        state[name] = "done"

    for name in sorted(edges):
        visit(name, [])


IMPORT_PROBE = """
import json, sys, time
start = time.process_time()
import {module}
seconds = time.process_time() - start
compiled = 0
if "numba" in sys.modules:
    from numba.core.registry import CPUDispatcher
    import gc
    compiled = sum(len(o.signatures) for o in gc.get_objects() if isinstance(o, CPUDispatcher)
                   and (o.py_func.__module__ or "").split(".")[0] in ("dpkit", "zkdl"))
print(json.dumps([seconds, compiled, sorted(sys.modules)]))
"""


@functools.cache
def probe(module, attempts=1):
    """Import a module in fresh processes: (processor seconds, kernels compiled, names of loaded modules)."""
    import json

    best = None
    for _ in range(attempts):
        command = [sys.executable, "-W", "error", "-c", IMPORT_PROBE.format(module=module)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        best = result if best is None or result[0] < best[0] else best
    return best


@pytest.mark.parametrize("package", PACKAGES)
def test_import_is_quick_and_compiles_nothing(package):
    seconds, compiled, loaded = probe(package, attempts=3)
    assert compiled == 0
    heavy = [name for name in NEVER_AT_IMPORT if name in loaded]
    assert not heavy, f"import {package} loads {heavy}"
    assert seconds < 1.0


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_do_not_load_each_other(package):
    other = {"dpkit": "zkdl", "zkdl": "dpkit"}[package]
    loaded = [name for name in probe(package, attempts=3)[2] if name.split(".")[0] == other]
    assert set(loaded) <= {"dpkit", "dpkit._version", "dpkit._compiled"}, f"import {package} loads {loaded}"


def test_zkdl_borrows_from_dpkit_nothing_but_pages_machine_code_and_the_version():
    borrowed = {
        target
        for path in sources("zkdl")
        for target, _ in imports(path)
        if target.split(".")[0] == "dpkit"
        and target.split(".")[1:2] not in (["_page"], ["_version"], ["_compiled"])
    }
    assert borrowed == set()
    outside = [n for n in probe("dpkit._page")[2] if n.split(".")[0] in ("numpy", "numba", "zkdl")]
    assert outside == [], "pages are made with the standard library alone"


def test_verifier_loads_neither_prover_nor_training():
    loaded = [n for n in probe("zkdl.verifier")[2] if n.startswith(("zkdl.prover", "zkdl.training"))]
    assert loaded == [], "zkdl/__init__.py must hand these names on lazily (module __getattr__)"


@pytest.mark.parametrize("floor", ["zkdl.protocol", "zkdl.arithmetic"])
def test_lower_floors_load_nothing_above(floor):
    above = ("zkdl.prover", "zkdl.training", "zkdl.verifier", "zkdl.cli")
    above += ("zkdl.protocol",) if floor == "zkdl.arithmetic" else ()
    assert [n for n in probe(floor)[2] if n.startswith(above)] == []


def test_no_file_over_450_lines():
    long = {
        str(p.relative_to(ROOT)): lines
        for p in tracked()
        if p.suffix in (".py", ".cu", ".cuh") and (lines := len(p.read_text().splitlines())) > 450
    }
    assert long == {}


def test_package_init_only_hands_names_on():
    for path in sources(*PACKAGES):
        if path.name != "__init__.py":
            continue
        for node in tree(path).body:
            fine = isinstance(
                node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr | ast.If
            )
            fine |= isinstance(node, ast.FunctionDef) and node.name.startswith(
                "_"
            )  # __getattr__ and its helpers
            assert fine, f"{path.relative_to(ROOT)}:{node.lineno} does more than hand names on"


def test_no_pickle():
    found = []
    for path in sources(*PACKAGES, "demo", "benchmarks"):
        found += [f"{path.relative_to(ROOT)}:{n}" for t, n in imports(path) if t.split(".")[0] in PICKLE_LIKE]
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.keyword)
                and node.arg == "allow_pickle"
                and ast.unparse(node.value) != "False"
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.value.lineno} allow_pickle")
    assert found == []


def narrows_a_type(node):
    """`assert x is not None`: tells the type checker what the code around it guarantees; no input check."""
    test = node.test
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.IsNot)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


def test_no_assert_checks_input_in_package_code():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert) and not narrows_a_type(node)
    ]
    assert found == [], "python -O drops assert: raise a typed error instead"


def test_no_machine_paths_in_tracked_files():
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{k}: {line.strip()[:80]}"
            for k, line in enumerate(text.splitlines(), 1)
            if MACHINE_PATHS.search(line)
        ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_documented(package):
    module = __import__(package)
    missing = [
        name
        for name in module.__all__
        if callable(value := getattr(module, name)) and not (getattr(value, "__doc__", None) or "").strip()
    ]
    assert missing == []


# ---- the checks themselves can fail ---------------------------------------------------------------


def test_the_import_reader_resolves_relative_and_nested_imports(tmp_path, monkeypatch):
    (tmp_path / "zkdl" / "verifier").mkdir(parents=True)
    path = tmp_path / "zkdl" / "verifier" / "whole.py"
    path.write_text(
        "from ..prover import whole\n\ndef f():\n    from zkdl import training\n    import os.path\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(
        sys.modules[__name__], "modules", lambda: {"zkdl.training": path, "zkdl.prover": path}
    )
    assert [t for t, _ in imports(path)] == ["zkdl.prover", "zkdl.training", "os.path"]
    assert [w.split(" imports ")[1] for w in climbs()] == ["zkdl.prover", "zkdl.training"]
