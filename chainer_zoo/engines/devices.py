"""Where to compute."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import chainer
from chainer.backends import cuda

from chainer_zoo.engines.cpu import CPU
from chainer_zoo.engines.gpu import GPU
from chainer_zoo.engines.gpu import library
from chainer_zoo.errors import UserError


def must_exist(gpu: int) -> None:
    """Check that there is a GPU of a number, without starting to use it.

    Args:
        gpu: from 0 on.

    Raises:
        UserError: there is no such GPU, or none that CuPy and Chainer can use.
    """
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except ImportError as e:
        raise UserError(
            f'-g {gpu}: CuPy is not installed; python -m chainer_zoo doctor says how, '
            '-g -1 computes on the CPU'
        ) from e
    except Exception as e:  # CuPy's own error classes differ between its versions
        raise UserError(
            f'-g {gpu}: no GPU can be used ({str(e).splitlines()[0]}); -g -1 computes on the CPU'
        ) from e
    if gpu >= count:
        raise UserError(f'-g {gpu}: there are {count} GPUs, numbered from 0')
    if not cuda.available:
        reason = str(cuda._resolution_error).splitlines()[0]
        raise UserError(
            f'-g {gpu}: CuPy lacks a library of CUDA ({reason}); python -m chainer_zoo doctor says '
            'what helps'
        )


def memory(gpu: int) -> int:
    """Return a GPU's memory in bytes."""
    return cuda.cupy.cuda.runtime.getDeviceProperties(gpu)['totalGlobalMem']


def find(gpu: int) -> chainer.backend.Device:
    """Return the device of a number.

    Args:
        gpu: -1 for the CPU, else the number of a GPU.

    Returns:
        made current.

    Raises:
        UserError: there is no such GPU.
    """
    if gpu >= 0:
        must_exist(gpu)
    device = chainer.get_device('@numpy' if gpu < 0 else f'@cupy:{gpu}')
    device.use()
    return device


def prepare_gpu() -> None:
    """Let cuDNN try its algorithms for a convolution, and take the fastest.

    It tries them once for each shape. They sum in different orders, so two runs may differ in the
    last digits; the noise does not.
    """
    chainer.global_config.autotune = True
    cuda.set_max_workspace_size(library.WORKSPACE)
    # In mixed precision, a warning for each shape that float16 does not make faster.
    warnings.filterwarnings('ignore', 'Tensor Core mode is set but')
    if not cuda.cudnn_enabled:
        GPU.say_why_not()


def choose_engine(cpu: str, gpu: int) -> str:
    """Switch on what computes, and return its name.

    Args:
        cpu: ``auto``, ``onednn`` or ``numpy``.
        gpu: -1 for the CPU, else the number of a GPU.

    Returns:
        ``cupy``, ``onednn`` or ``numpy``.

    Raises:
        UserError: oneDNN is asked for and does not load.
    """
    if gpu >= 0:
        prepare_gpu()
        return 'cupy'
    if cpu == 'numpy':
        CPU.disable()
        return 'numpy'
    reason = CPU.why_not()
    if reason is None:
        CPU.enable()
        return 'onednn'
    if cpu == 'onednn':
        raise UserError(f'--cpu onednn: {reason}')
    print(f"computing with Chainer's own CPU code: {reason}")
    return 'numpy'


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Take back what :func:`find` and :func:`choose_engine` change, after a ``with`` block."""
    # what holds for the whole process, whatever this thread was told
    engine_on = getattr(chainer.global_config, CPU._key)
    autotune = chainer.global_config.autotune
    device, workspace = _current_gpu(), cuda.get_max_workspace_size()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        (CPU.enable if engine_on else CPU.disable)()
        chainer.global_config.autotune = autotune
        cuda.set_max_workspace_size(workspace)
        if device is not None:
            device.use()


def _current_gpu() -> cuda.Device | None:
    if not cuda.available:
        return None
    try:
        return cuda.cupy.cuda.Device()
    except cuda.cupy.cuda.runtime.CUDARuntimeError:  # CuPy is there, and no GPU
        return None
