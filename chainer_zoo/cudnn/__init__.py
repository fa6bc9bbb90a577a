"""Chainer's convolutions and batch normalization on cuDNN 9, where CuPy has no cuDNN of its own.

CuPy up to 13 brings cuDNN 8 to Chainer; CuPy 14, the only one for CUDA 13 and for GPUs newer than
Hopper, brings none. There the library (package ``nvidia-cudnn-cu13`` or ``nvidia-cudnn-cu12``) is
bound with ctypes and lent to Chainer at the seam that :mod:`chainer_zoo.cudnn.seam` lists. It is
loaded by the first function that could use it; ``chainer.config.use_cudnn = 'never'`` leaves it
out. See docs/gpu.md.
"""
import chainer

from chainer_zoo.cudnn import library

_printed = []


def why_not():
    """Return why cuDNN 9 is not used here (str, one line), or None if it is."""
    return library.why_not()


def version():
    """Return the version of the cuDNN 9 that is there (str), e.g. '9.19.0', or None."""
    return library.version()


def say_why_not():
    """Print, once a process, why a GPU computes without cuDNN, if it does."""
    reason = why_not()
    if reason is not None and not _printed:
        _printed.append(reason)
        print('computing without cuDNN, which is slower ({}): python -m chainer_zoo doctor says '
              'what helps'.format(reason))


def is_used():
    """Return whether cuDNN computes in this thread; the first time this loads it."""
    if chainer.config.use_cudnn not in ('always', 'auto'):
        return False
    if why_not() is None:
        return True
    say_why_not()
    return False
