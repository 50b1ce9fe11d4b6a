"""Where the CUDA sources lie: beside the package in a checkout, inside it in an installed wheel."""

from pathlib import Path

from zkdl.errors import BackendError


def cuda_folder() -> Path:
    """Return the folder that holds `field.cuh` and the kernel sources.

    One set of sources serves a checkout (`cuda/` beside the package) and a wheel (`zkdl/cuda/`, package
    data); NVRTC takes them as text, nvcc and g++ take the folder as an include path.

    Returns:
        Path of an existing folder with `field.cuh` in it.

    Raises:
        BackendError: neither place holds the sources (an incomplete installation).

    Example:
        >>> (cuda_folder() / "field.cuh").is_file()
        True
    """
    package = Path(__file__).resolve().parent
    # The package's own copy first: in site-packages a neighbour called "cuda" may belong to anyone.
    candidates = (package / "cuda", package.parent / "cuda")
    for folder in candidates:
        if (folder / "field.cuh").is_file():
            return folder
    raise BackendError(
        f"cuda sources: expected field.cuh in {candidates[0]} or {candidates[1]}, found neither; "
        "reinstall dpkit-zkdl from a complete wheel or checkout"
    )
