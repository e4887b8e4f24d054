"""The compiled kernels: one shared library with a plain C interface, loaded once.

``hatch_build.py`` compiles every ``*.c`` file in this folder into it. ctypes releases the
interpreter lock during a call, so scoring never holds up the event loop.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_START = ctypes.c_char * 0
_NAMES = {"win32": "kernels.dll", "darwin": "kernels.dylib"}


@cache
def library() -> ctypes.CDLL:
    """The kernels.

    Raises:
        OSError: the library was not built; ``pip install .`` builds it.
    """
    path = Path(__file__).parent / _NAMES.get(sys.platform, "kernels.so")
    if not path.exists():
        raise OSError(f"{path} is missing: install redshank with pip, which compiles the kernels")
    return ctypes.CDLL(str(path))


@cache
def _kernel(name: str) -> Callable[..., int]:
    """One of them; looking it up takes longer than many a call."""
    kernel = library()[name]
    kernel.restype = ctypes.c_int64
    return kernel


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """The address of a C-contiguous array, to pass to a kernel."""
    if not array.flags.c_contiguous:
        raise ValueError("kernels take C-contiguous arrays only")
    if not array.flags.writeable:
        return ctypes.c_void_p(array.ctypes.data)
    # Four times as fast as array.ctypes; small batches consist of little else.
    buffer: Any = array
    return ctypes.c_void_p(ctypes.addressof(_START.from_buffer(buffer)))


def contiguous(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """The array itself if kernels can read it, else a copy of the wanted type."""
    return np.ascontiguousarray(array, dtype=dtype)


Argument = NDArray[Any] | ctypes.c_int64 | ctypes.c_int32 | ctypes.c_float | ctypes.c_double


def call(name: str, *arguments: Argument) -> int:
    """Call a kernel; arrays go by address. Its 64-bit result, meaningless for void kernels."""
    plain = [pointer(a) if isinstance(a, np.ndarray) else a for a in arguments]
    return int(_kernel(name)(*plain))
