"""Chainer imports and trains on the Python, NumPy and setuptools that are here."""

import subprocess
import sys

import numpy as np
import pytest

from chainer_zoo import compat


def run(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_chainer_and_its_testing_module_import_behind_chainer_zoo():
    assert (
        run('import chainer_zoo, chainer, chainer.testing; chainer.testing.product({})').returncode
        == 0
    )


@pytest.mark.parametrize('blocked', ['numpy.distutils', 'numpy.distutils.system_info'])
def test_without_setuptools_and_distutils_chainer_imports_all_the_same(blocked):
    result = run(
        f'blocked = {blocked!r}'
        + """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('pkg_resources', 'setuptools') or name == blocked:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import chainer_zoo, chainer
assert 'pkg_resources' not in sys.modules and blocked not in sys.modules
import numpy as np
print(float(chainer.functions.sum(chainer.Variable(np.ones(3, 'f'))).array))
"""
    )
    assert result.stdout.strip() == '3.0', result.stderr


def test_nothing_is_replaced_where_the_real_thing_is():
    result = run("""
import sys, types
import numpy as np
np.sctypes = mine = {'int': [np.int64], 'float': [np.float32]}
real = types.ModuleType('pkg_resources')
class Missing(Exception): pass
real.DistributionNotFound = real.VersionConflict = real.ResolutionError = Missing
def refuse(*names): raise Missing
real.require = refuse
class WorkingSet: pass
real.WorkingSet = WorkingSet
sys.modules['pkg_resources'] = real
import chainer_zoo
assert np.sctypes is mine and sys.modules['pkg_resources'] is real
print('kept')
""")
    assert result.stdout.strip() == 'kept', result.stderr


@pytest.mark.parametrize(
    'ask',
    [
        lambda module: module.require('cupy>=1'),
        lambda module: module.get_distribution('cupy'),
        lambda module: module.WorkingSet().require('cupy'),
    ],
)
def test_the_stand_in_says_that_nothing_is_installed(ask):
    module = compat._pkg_resources()['pkg_resources']
    with pytest.raises(module.DistributionNotFound):
        ask(module)


def test_resize_images_and_as_strided_find_their_numpy_names():
    import chainer.functions as F

    x = np.arange(16, dtype='f').reshape(1, 1, 4, 4)
    assert F.resize_images(x, (2, 2)).shape == (1, 1, 2, 2)
    assert F.as_strided(x, (2, 2), (4, 1), 0).array.tolist() == [[0, 1], [4, 5]]
