import os

import pytest

from tests.zkdl.cuda.host_build import HostKernels
from zkdl.cuda_sources import cuda_folder


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """All kernels as host functions; every source is compiled once a session, at its first use.

    Processes that run tests side by side have one base folder each, in a folder of the session.
    """
    base = tmp_path_factory.getbasetemp()
    work = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cuda"
    work.mkdir(exist_ok=True)
    return HostKernels(cuda_folder(), work)
