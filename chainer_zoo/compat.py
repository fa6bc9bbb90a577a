"""Chainer 7.8.1 on today's Python, NumPy and CuPy.

Chainer's last release is older than the tools it now has to run with. What it misses when it is
imported is lent to it here, and only where the real thing is absent:

=============================  ===========================  ===================================
what Chainer wants             gone since                   where Chainer asks for it
=============================  ===========================  ===================================
``numpy.sctypes``              NumPy 2.0                    functions/array/as_strided.py
``numpy.distutils``            Python 3.12                  _environment_check.py
``pkg_resources``              setuptools 82, or none       _environment_check.py, testing
``numpy.float``                NumPy 1.24                   functions/array/resize_images.py
=============================  ===========================  ===================================

Import this module before Chainer; ``import chainer_zoo`` does it first of all. No other module
of this package patches Chainer for the sake of a version.
"""
import importlib
import importlib.util
import sys
import types
import warnings

import numpy as np


def _lend_numpy_names():
    """Give back two names that NumPy dropped; both are only tables of types."""
    if not hasattr(np, 'sctypes'):  # NumPy >= 2.0
        np.sctypes = {
            'int': [np.int8, np.int16, np.int32, np.int64],
            'uint': [np.uint8, np.uint16, np.uint32, np.uint64],
            'float': [np.float16, np.float32, np.float64, np.longdouble],
            'complex': [np.complex64, np.complex128, np.clongdouble],
            'others': [bool, object, bytes, str, np.void],
        }
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy 1.20 to 1.23 still have it, and warn
        if not hasattr(np, 'float'):  # NumPy >= 1.24
            np.float = float


def _missing(name):
    """Return whether module ``name`` can neither be found nor is already there."""
    if name in sys.modules:
        return False
    try:
        return importlib.util.find_spec(name) is None
    except ImportError:
        return True


def _numpy_distutils():
    """Return stand-ins for ``numpy.distutils.system_info``, asked on macOS only."""
    package = types.ModuleType('numpy.distutils')
    package.__path__ = []
    system_info = types.ModuleType('numpy.distutils.system_info')
    system_info.get_info = lambda name, notfound_action=0: {}
    package.system_info = system_info
    return {'numpy.distutils': package, 'numpy.distutils.system_info': system_info}


def _pkg_resources():
    """Return a stand-in for ``pkg_resources`` that answers "not installed" to every question.

    Chainer asks it only whether optional packages have a version it was tested with. Saying no
    leaves those checks out; which versions work is this project's own business.
    """
    module = types.ModuleType('pkg_resources')

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


def _import_chainer():
    """Import Chainer with the stand-ins in place, and take those away again afterwards.

    They leave ``sys.modules`` so that no other package takes them for the real thing.
    """
    lent = {}
    if _missing('numpy.distutils'):
        lent.update(_numpy_distutils())
    if _missing('pkg_resources'):
        lent.update(_pkg_resources())
    sys.modules.update(lent)
    try:
        importlib.import_module('chainer')
        importlib.import_module('chainer.testing')
    finally:
        for name in lent:
            sys.modules.pop(name, None)


_lend_numpy_names()
if 'chainer' not in sys.modules:
    _import_chainer()
