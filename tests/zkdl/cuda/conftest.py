import pytest

from tests.zkdl.cuda.host_build import build
from zkdl.cuda_sources import cuda_folder


@pytest.fixture(scope="session")
def host_library(tmp_path_factory):
    """A function name -> loaded host build of cuda/<name>.cu, each compiled once a session."""
    built = {}

    def get(name):
        if name not in built:
            folder = cuda_folder()
            out = tmp_path_factory.mktemp("cuda") / f"{name}.so"
            built[name] = build(folder / f"{name}.cu", out, folder)
        return built[name]

    return get
