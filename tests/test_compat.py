"""Chainer imports and trains on the Python, NumPy and setuptools that are here."""

import subprocess
import sys

import chainer
import chainer.functions as F
import numpy as np
import pytest

from chainer_zoo import compat
from chainer_zoo import engines


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
    x = np.arange(16, dtype='f').reshape(1, 1, 4, 4)
    assert F.resize_images(x, (2, 2)).shape == (1, 1, 2, 2)
    assert F.as_strided(x, (2, 2), (4, 1), 0).array.tolist() == [[0, 1], [4, 5]]


@pytest.mark.parametrize('engine', [False, True], ids=['chainer', 'onednn'])
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'stride': 2},
        {'pad': 1},
        {'dilate': 2},
        {'groups': 2},
        {'stride': (2, 1), 'pad': (0, 2)},
        {'stride': 2, 'pad': 1, 'cover_all': True},
    ],
    ids=str,
)
@pytest.mark.parametrize('wanted', ['x', 'W', 'x and W'])
def test_a_gradient_of_a_gradient_of_a_convolution(wanted, options, engine):
    """Against differences of the gradient, in a function of x that needs x twice."""
    if engine and not engines.CPU.is_available():
        pytest.skip('oneDNN does not load: ' + engines.CPU.why_not())
    rng = np.random.RandomState(0)
    x = rng.standard_normal((2, 2, 8, 7))
    W = rng.standard_normal((4, 2 // options.get('groups', 1), 3, 3))
    direction = rng.standard_normal(x.shape)

    def squared_gradient(x):
        """Return x and the sum of the squared gradients that are wanted, as Variables."""
        variables = x, w = chainer.Variable(x), chainer.Variable(W)
        y = F.sum(F.convolution_2d(x**2, w, **options))
        chosen = [v for v, name in zip(variables, 'xW') if name in wanted]
        grads = chainer.grad([y], chosen, enable_double_backprop=True)
        return x, sum(F.sum(g * g) for g in grads)

    with engines.CPU.using(engine):
        variable, value = squared_gradient(x)
        value.backward()
        higher, lower = (float(squared_gradient(x + h * direction)[1].array) for h in (1e-6, -1e-6))
    assert float((variable.grad * direction).sum()) == pytest.approx(
        (higher - lower) / 2e-6, rel=1e-5
    )


def test_the_sum_of_a_gradient_can_be_differentiated():
    x = chainer.Variable(np.ones((1, 1, 3, 3), 'f'))
    y = F.convolution_2d(x**2, chainer.Variable(np.ones((1, 1, 2, 2), 'f')))
    (gx,) = chainer.grad([y], [x], enable_double_backprop=True)
    F.sum(gx).backward()
    np.testing.assert_array_equal(x.grad, [[[[2, 4, 2], [4, 8, 4], [2, 4, 2]]]])
