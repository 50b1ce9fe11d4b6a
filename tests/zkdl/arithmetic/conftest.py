import pytest

from zkdl.arithmetic import paths

# Eight lanes without the processor for it: the emitter of the IFMA path with its two instructions emulated.
# Slow to compile; what the default tests run of it is in test_lanes.py.
EMULATED = () if "ifma" in paths.cpu_paths() else (pytest.param("emulated", marks=pytest.mark.slow),)


def _chosen(path):
    before = paths._CHOICE.path
    paths._CHOICE.path = path
    yield path
    paths._CHOICE.path = before


@pytest.fixture(scope="module", params=paths.cpu_paths())
def cpu_path(request):
    """Every path of this processor in turn, for the tests that ask for it."""
    yield from _chosen(request.param)


@pytest.fixture(scope="module", params=[*paths.cpu_paths(), *EMULATED])
def any_path(request):
    """The same, and eight lanes in any case."""
    yield from _chosen(request.param)
