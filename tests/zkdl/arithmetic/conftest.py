import pytest

from zkdl.arithmetic import paths

# Eight lanes without the processor for it: the emitter of the IFMA path with its two instructions emulated.
EMULATED = () if "ifma" in paths.cpu_paths() else ("emulated",)


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
    """The same, and eight lanes in any case: slower to compile."""
    yield from _chosen(request.param)
