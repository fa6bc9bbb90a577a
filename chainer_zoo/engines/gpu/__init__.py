"""Chainer's convolutions and batch normalization on cuDNN 9, where CuPy has no cuDNN of its own.

CuPy up to 13 brings cuDNN 8 to Chainer; CuPy 14, the only one for CUDA 13 and for GPUs newer than
Hopper, brings none. There the library (package ``nvidia-cudnn-cu13`` or ``nvidia-cudnn-cu12``) is
bound with ctypes and lent to Chainer at the seam that :mod:`chainer_zoo.engines.gpu.nodes` lists.
It is loaded by the first function that could use it; ``chainer.config.use_cudnn = 'never'`` leaves
it out. See docs/gpu.md.
"""

from __future__ import annotations

import chainer
from chainer.backends import cuda

from chainer_zoo.engines.engine import Engine
from chainer_zoo.engines.gpu import library


class CuDNN(Engine):
    """The engine for CuPy arrays. It is on from the start."""

    name = 'cuDNN'
    _key = 'chainer_zoo_gpu_engine'

    def __init__(self) -> None:
        self._printed = False

    @property
    def ndarray(self) -> type:  # type: ignore[override]
        """The class of CuPy's arrays; where there is no CuPy, one that has no instances."""
        return cuda.ndarray

    def why_not(self) -> str | None:
        """Return why cuDNN 9 is not used here (one line), or None if it is."""
        return library.why_not()

    def version(self) -> str | None:
        """Return the version of the cuDNN 9 that is there, such as '9.19.0', or None."""
        return library.version()

    def remedy(self) -> str:
        """Return where to find out what helps."""
        return 'python -m chainer_zoo doctor says what helps'

    def is_enabled(self) -> bool:
        """Return whether cuDNN 9 computes in this thread; the first time this loads it."""
        if (
            not super().is_enabled()
            or chainer.config.use_cudnn not in ('always', 'auto')
            or not library.is_wanted()
        ):
            return False
        if self.why_not() is None:
            return True
        self.say_why_not()
        return False

    def say_why_not(self) -> None:
        """Print, once a process, why a GPU computes without cuDNN, if it does."""
        reason = self.why_not()
        if reason is not None and not self._printed:
            self._printed = True
            print(f'computing without cuDNN, which is slower ({reason}): {self.remedy()}')


chainer.global_config.chainer_zoo_gpu_engine = True  # type: ignore[attr-defined]
GPU = CuDNN()
