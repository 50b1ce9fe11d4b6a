import pytest

from zkdl.arithmetic.paths import cpu_paths, set_cpu_path


@pytest.fixture(scope="module", params=cpu_paths())
def cpu_path(request):
    """Every path of this processor in turn, for the tests that ask for it."""
    set_cpu_path(request.param)
    yield request.param
    set_cpu_path()
