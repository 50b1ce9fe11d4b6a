"""The GPU backend: `zkdl.arithmetic` on one CUDA device, through the kernels in `cuda/`."""

from .array import DeviceArray
from .device import BLOCK, Device, DeviceMemoryError, Memory
from .engine import LINE, Engine
from .operations import OPERATIONS, open_engine, self_test

__all__ = [
    "BLOCK",
    "LINE",
    "OPERATIONS",
    "Device",
    "DeviceArray",
    "DeviceMemoryError",
    "Engine",
    "Memory",
    "open_engine",
    "self_test",
]
