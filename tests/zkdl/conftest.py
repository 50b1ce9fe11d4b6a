import pytest

from tests.zkdl.cuda.host_build import HostKernels
from zkdl.cuda_sources import cuda_folder


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """All kernels as host functions; every source is compiled once a session, at its first use."""
    return HostKernels(cuda_folder(), tmp_path_factory.mktemp("cuda"))
