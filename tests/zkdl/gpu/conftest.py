import pytest

from tests.zkdl.gpu.host_device import HostDevice
from zkdl.arithmetic.backend import use_engine
from zkdl.arithmetic.gpu import OPERATIONS, Engine
from zkdl.arithmetic.gpu.cupy_device import CupyDevice
from zkdl.errors import BackendError

# Small enough that small arrays, too, go through kernels; above one, so that both sides of the line are met.
LINE = 8


@pytest.fixture(params=["host", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request):
    """The host build of the kernels; with -m gpu the CUDA device."""
    if request.param == "cupy":
        try:
            return CupyDevice()
        except BackendError as error:
            pytest.skip(str(error))
    return HostDevice(request.getfixturevalue("host").library)


@pytest.fixture
def engine(device):
    """An engine on it, in use while the test runs; what it wrote stayed inside its arrays."""
    made = Engine(device, OPERATIONS, line=LINE)
    before = use_engine(made)
    yield made
    use_engine(before)
    device.synchronise()
