"""On a GPU the functions give the bits that they give on a CPU."""

import gc

import chainer
import chainer.functions as F
import function_cases
import numpy as np
import pytest
from chainer.backends import cuda

import chainer_zoo
from chainer_zoo.functions import drop_path
from chainer_zoo.functions import dropout
from chainer_zoo.functions import noise
from chainer_zoo.functions import separated_drop_path
from chainer_zoo.functions import swapout
from chainer_zoo.functions.swapout import Swapout

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize('how', ['contiguous', 'channels last', 'strided'])
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
@pytest.mark.parametrize('name,node,shapes', function_cases.CASES, ids=function_cases.NAMES)
def test_gpu_gives_the_bits_of_the_cpu(name, node, shapes, dtype, how):
    on_gpu = node().forward_gpu(function_cases.inputs(shapes, dtype, how, xp=cuda.cupy))
    with np.errstate(all='ignore'):
        on_cpu = node().forward_cpu(function_cases.inputs(shapes, dtype))
    function_cases.assert_same_bits([np.ascontiguousarray(cuda.to_cpu(y)) for y in on_gpu], on_cpu)
    if how == 'channels last':
        assert all(y.transpose(0, 2, 3, 1).flags.c_contiguous for y in on_gpu)


@pytest.mark.parametrize('size', [0, 1, 7, 8, 9, 1000, 65537, 10**7])
def test_masks_of_every_size(size):
    x, f = function_cases.inputs([(size,), (size,)], 'float32')
    with np.errstate(all='ignore'):
        expected = Swapout(0.2, 0.5, function_cases.KEY).forward_cpu((x, f))
    (y,) = Swapout(0.2, 0.5, function_cases.KEY).forward_gpu((cuda.to_gpu(x), cuda.to_gpu(f)))
    function_cases.assert_same_bits([cuda.to_cpu(y)], expected)


FUNCTIONS = {
    'dropout': lambda h, x: dropout(h, 0.3),
    'swapout': lambda h, x: swapout(h, h * h, 0.3, 0.5),
    'drop path': lambda h, x: drop_path(h, x, 0.5, 2),
    'drop path, image by image': lambda h, x: drop_path(h, x, 0.5, 2, True),
    'separated drop path': lambda h, x: separated_drop_path(h, x, 0.5, 2, 2),
    'separated drop path, image by image': lambda h, x: separated_drop_path(h, x, 0.5, 2, 2, True),
}


@pytest.mark.parametrize('function', FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_forward_and_gradients_of_both_orders(function, device):
    """The same draws, so the same numbers: y, gx, gh and the gradient of their squares."""

    def run(device):
        rng = np.random.RandomState(0)
        noise.generator.seed(3)
        h, x = (
            chainer.Variable(device.send(rng.standard_normal(shape).astype('f')))
            for shape in ((6, 5, 4, 3), (6, 3, 8, 6))
        )
        with chainer.using_config('train', True):
            y = function(h, x)
        grads = chainer.grad([F.sum(y**3)], [h, x], enable_double_backprop=True)
        used = [(v, g) for v, g in zip((h, x), grads) if g is not None]
        second = chainer.grad([sum(F.sum(g * g) for _, g in used)], [v for v, _ in used])
        return [cuda.to_cpu(v.array) for v in [y] + [g for _, g in used] + second if v is not None]

    on_gpu, on_cpu = run(device), run(chainer.get_device('@numpy'))
    assert len(on_gpu) == len(on_cpu) >= 3
    for a, e in zip(on_gpu, on_cpu):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


def test_a_mask_takes_no_memory():
    pool = cuda.memory_pool
    x, f = cuda.cupy.ones((32, 256, 32, 32), 'f'), cuda.cupy.ones((32, 256, 32, 32), 'f')
    with chainer.using_config('train', True):
        swapout(x[:1], f[:1], 0.5, 0.5)  # compiles
        x, f = chainer.Variable(x), chainer.Variable(f)
        gc.collect()  # so that nothing older goes meanwhile
        before = pool.used_bytes()
        y = swapout(x, f, 0.5, 0.5)
        assert pool.used_bytes() - before == y.array.nbytes


def test_noise_off_is_a_sum():
    x = cuda.cupy.ones((2, 3, 4, 4), 'f')
    with chainer.using_config('train', True), chainer_zoo.no_noise():
        assert bool((swapout(x, x, 0.5, 0.5).array == 2).all())
