"""Chainer 7.8.1 on today's Python, NumPy and CuPy.

Chainer's last release is older than the tools that it has to run with now. What it needs and they
have dropped is lent to it here, and only where the real thing is absent:

=============================  ===========================  ===================================
what Chainer needs             gone since                   where Chainer asks for it
=============================  ===========================  ===================================
``numpy.sctypes``              NumPy 2.0                    functions/array/as_strided.py
``numpy.distutils``            Python 3.12; setuptools 74   _environment_check.py
``pkg_resources``              setuptools 82, or none       _environment_check.py, testing
``numpy.float``                NumPy 1.24                   functions/array/resize_images.py
=============================  ===========================  ===================================

One fault of the release that an image classifier can meet was fixed only after it:
:func:`_correct_deconvolution`. Nothing else of Chainer's code changed afterwards.

Every name of CuPy that Chainer uses is still there in CuPy 13 and, but for cuDNN, in CuPy 14 (a
test walks through them). Without cuDNN Chainer computes by itself, slowly;
:mod:`chainer_zoo.engines.gpu` lends it cuDNN 9. CuPy 13 does not find its CUDA libraries where
these come as wheels: :func:`_load_cuda_wheels`.

Import this module before Chainer; ``import chainer_zoo`` does so. Only this module and
:mod:`chainer_zoo.engines.gpu` patch Chainer for the sake of a version.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import glob
import importlib
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def _lend_numpy_names() -> None:
    """Give back two names that NumPy dropped; both are only tables of types."""
    if not hasattr(np, 'sctypes'):  # NumPy >= 2.0
        np.sctypes = {  # type: ignore[attr-defined]
            'int': [np.int8, np.int16, np.int32, np.int64],
            'uint': [np.uint8, np.uint16, np.uint32, np.uint64],
            'float': [np.float16, np.float32, np.float64, np.longdouble],
            'complex': [np.complex64, np.complex128, np.clongdouble],
            'others': [bool, object, bytes, str, np.void],
        }
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy 1.20 to 1.23 still have it, and warn
        if not hasattr(np, 'float'):  # NumPy >= 1.24
            np.float = float  # type: ignore[attr-defined]


def _missing(name: str) -> bool:
    """Return whether module ``name`` cannot be imported: absent, or broken by what it needs."""
    if name in sys.modules:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of its deprecation, which nobody here can change
            importlib.import_module(name)
    except ImportError:
        return True
    return False


def _numpy_distutils() -> dict[str, Any]:
    """Return stand-ins for ``numpy.distutils.system_info``, asked on macOS only."""
    package: Any = types.ModuleType('numpy.distutils')
    package.__path__ = []
    system_info: Any = types.ModuleType('numpy.distutils.system_info')
    system_info.get_info = lambda name, notfound_action=0: {}
    package.system_info = system_info
    return {'numpy.distutils': package, 'numpy.distutils.system_info': system_info}


def _pkg_resources() -> dict[str, Any]:
    """Return a stand-in for ``pkg_resources`` that answers "not installed" to every question.

    Chainer asks it only whether optional packages have a version it was tested with. Saying no
    leaves those checks out; which versions work is this project's own business.
    """
    module: Any = types.ModuleType('pkg_resources')

    class ResolutionError(Exception):
        pass

    class DistributionNotFound(ResolutionError):
        pass

    class VersionConflict(ResolutionError):
        pass

    class WorkingSet(list):
        def require(self, *requirements):
            raise DistributionNotFound(*requirements)

    def refuse(*requirements):
        raise DistributionNotFound(*requirements)

    module.ResolutionError = ResolutionError
    module.DistributionNotFound = DistributionNotFound
    module.VersionConflict = VersionConflict
    module.WorkingSet = WorkingSet
    module.working_set = WorkingSet()
    module.require = refuse
    module.get_distribution = refuse
    return {'pkg_resources': module}


def cuda_driver() -> tuple[int, int] | None:
    """Return the CUDA version that NVIDIA's driver is for, as (major, minor), or None."""
    try:
        driver = ctypes.CDLL('nvcuda.dll' if sys.platform == 'win32' else 'libcuda.so.1')
    except OSError:
        return None
    number = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None
    return number.value // 1000, number.value % 1000 // 10


#: What CuPy 13 links with or opens, each from the wheel nvidia-*-cu12 that has it.
_CUDA_LIBRARIES: Sequence[str] = (
    'libcudart.so.12',
    'libnvrtc.so.12',
    'libcublas.so.12',
    'libcusparse.so.12',
    'libcusolver.so.11',
    'libcurand.so.10',
    'libcufft.so.11',
    'libcudnn.so.8',
)


def _load_cuda_wheels() -> None:
    """Load the CUDA libraries that stand in wheels, so that CuPy 13 finds them by their names.

    CuPy 14 looks into the wheels itself; CuPy 13 would need LD_LIBRARY_PATH on their folders. They
    come before a CUDA of the system, so that compiler and headers are of one version: otherwise
    CuPy compiles nothing.
    """
    wheels = importlib.util.find_spec('nvidia')  # with a folder for each wheel
    folders = (wheels and wheels.submodule_search_locations) or ()
    for name in _CUDA_LIBRARIES:
        for folder in folders:
            for path in glob.glob(os.path.join(folder, '*', 'lib', name)):
                with contextlib.suppress(OSError):  # it lacks another one; CuPy will say which
                    ctypes.CDLL(path, ctypes.RTLD_GLOBAL)


def _import_chainer() -> None:
    """Import Chainer with the stand-ins in place, and take those away again afterwards.

    They leave ``sys.modules`` so that no other package takes them for the real thing.
    """
    lent = {}
    if _missing('numpy.distutils.system_info'):
        lent.update(_numpy_distutils())
    if _missing('pkg_resources'):
        lent.update(_pkg_resources())
    real = {name: sys.modules.get(name) for name in lent}
    sys.modules.update(lent)
    try:
        with warnings.catch_warnings():
            # CuPy's wheel says in ten lines, at every start, that there is no NCCL (several GPUs)
            warnings.filterwarnings('ignore', r'\s*nccl library could not be loaded')
            # devices.py and the doctor say what helps where cuDNN is missing
            warnings.filterwarnings('ignore', 'cuDNN is not enabled')
            chainer = importlib.import_module('chainer')
            chainer.backends.cuda.check_cuda_available._already_warned = True
            importlib.import_module('chainer.testing')
    finally:
        for name, module in real.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def _correct_deconvolution() -> None:
    """Give deconvolution's backward pass what it asks for.

    The gradient of a convolution is a deconvolution, so a gradient of a gradient runs its backward
    pass. That hands arrays to a method that takes their shapes, unless the gradient of the input
    was asked for as well: ValueError. Fixed in Chainer's repository after the release 7.8.1 (pull
    request 8624).
    """
    deconvolution = importlib.import_module('chainer.functions.connection.deconvolution_2d')
    node = deconvolution.Deconvolution2DFunction
    theirs = node._set_cover_all

    @functools.wraps(theirs)
    def set_cover_all(self: Any, x: Any, W: Any) -> None:
        return theirs(self, getattr(x, 'shape', x), getattr(W, 'shape', W))

    node._set_cover_all = set_cover_all


_lend_numpy_names()
if 'chainer' not in sys.modules:
    if (
        cuda_driver() is not None
        and not _missing('cupy')
        and int(sys.modules['cupy'].__version__.split('.')[0]) < 14
    ):
        _load_cuda_wheels()
    _import_chainer()
_correct_deconvolution()
