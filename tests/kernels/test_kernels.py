"""The kernels' source: it compiles for GPUs, and on a CPU it gives the bits that NumPy gives."""

import function_cases
import numpy as np
import pytest

from chainer_zoo.functions import _array
from chainer_zoo.functions.drop_path import DropPath
from chainer_zoo.functions.drop_path import MaskImages
from chainer_zoo.functions.dropout import Dropout
from chainer_zoo.functions.shortcut import ResidualAdd
from chainer_zoo.functions.shortcut import Shortcut
from chainer_zoo.functions.swapout import Swapout
from chainer_zoo.functions.swapout import SwapoutGrad

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings('ignore:invalid value')]

DTYPES = 'float16', 'float32', 'float64'
LAYOUTS = 'contiguous', 'channels last', 'strided'
ARCHITECTURES = 'sm_75', 'sm_80', 'sm_90'


def both(node, arrays):
    """Return what the CPU's code and the kernel give."""
    with np.errstate(all='ignore'):
        return node().forward_gpu(arrays), node().forward_cpu(arrays)


@pytest.mark.parametrize('how', LAYOUTS)
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name,node,shapes', function_cases.CASES, ids=function_cases.NAMES)
def test_kernel_gives_numpys_bits(on_cpu, name, node, shapes, dtype, how):
    arrays = function_cases.inputs(shapes, dtype, how)
    function_cases.assert_same_bits(*both(node, arrays))


# none, less than one block, one, the end of a block and of a cache-sized piece, and many
@pytest.mark.parametrize(
    'size', [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 1000, 65535, 65536, 65537, 999999, 1000000]
)
@pytest.mark.parametrize(
    'node,inputs',
    [
        (lambda: Dropout(0.3, function_cases.KEY), 1),
        (lambda: Swapout(0.2, 0.5, function_cases.KEY), 2),
        (lambda: SwapoutGrad(0.2, 0.5, function_cases.KEY), 1),
    ],
    ids=['dropout', 'swapout', 'swapout gradient'],
)
def test_sizes_of_masks(on_cpu, node, inputs, size):
    arrays = function_cases.inputs([(size,)] * inputs, 'float32')
    function_cases.assert_same_bits(*both(node, arrays))


@pytest.mark.parametrize('batch,width', [(0, 4), (1, 1), (1000, 1), (7, 100), (5, 200)])
@pytest.mark.parametrize(
    'node,inputs',
    [
        (lambda: ResidualAdd(1, 0.3), 2),
        (lambda: Shortcut(7), 1),
        (lambda: DropPath(0.5, None, 1, function_cases.KEY), 2),
        (lambda: MaskImages(0.5, 2, function_cases.KEY), 1),
    ],
    ids=['residual add', 'shortcut', 'drop path', 'drop path gradient'],
)
def test_sizes_of_images(on_cpu, node, inputs, batch, width):
    arrays = function_cases.inputs([(batch, 5, width, width)] * inputs, 'float32')
    function_cases.assert_same_bits(*both(node, arrays))


def test_rows_with_gaps_between_them(on_cpu):
    arrays = [np.random.RandomState(0).standard_normal((1000, 1001)).astype('f')[:, 1:]]
    function_cases.assert_same_bits(*both(lambda: Dropout(0.3, function_cases.KEY), arrays))


def test_indices_of_more_than_32_bits(on_cpu, monkeypatch):
    monkeypatch.setattr(_array, 'index_type', lambda *arrays: 'int64')
    for _, node, shapes in function_cases.CASES:
        arrays = function_cases.inputs(shapes, 'float32')
        function_cases.assert_same_bits(*both(node, arrays))


def test_the_header_converts_float16_as_numpy_does(on_cpu):
    """Every float16, and float32 numbers around and between them, through Dropout's kernel."""
    halves = np.arange(1 << 16, dtype='u2').view('e')
    keep = both(lambda: Dropout(0.0, (0, 0)), (halves,))
    function_cases.assert_same_bits(*keep)
    np.testing.assert_array_equal(keep[0][0], halves)
    third = both(lambda: Dropout(2 / 3.0, (0, 1)), (halves,))  # times 3: rounds, overflows
    function_cases.assert_same_bits(*third)
    tenth = both(lambda: ResidualAdd(1, 0.1), (halves.reshape(64, 16, 8, 8),) * 2)
    function_cases.assert_same_bits(*tenth)
    small = both(
        lambda: ResidualAdd(1, 0.1), (halves.reshape(64, 16, 8, 8), np.zeros((64, 16, 8, 8), 'e'))
    )  # times .1: underflows
    function_cases.assert_same_bits(*small)


def test_a_wrong_kernel_would_be_seen(on_cpu, monkeypatch):
    """One changed constant of the generator changes the masks."""
    from chainer_zoo.functions import _philox

    wrong = _philox.CUDA_SOURCE.replace('0xD2E7470EE14C6C93', '0xD2E7470EE14C6C91')
    assert wrong != _philox.CUDA_SOURCE
    monkeypatch.setattr(_philox, 'CUDA_SOURCE', wrong)
    arrays = function_cases.inputs([(1000,)], 'float32')
    with pytest.raises(AssertionError):
        function_cases.assert_same_bits(*both(lambda: Dropout(0.3, function_cases.KEY), arrays))


@pytest.mark.slow
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_kernel_compiles_for_gpus_without_a_warning(on_cpu, architecture, monkeypatch):
    import harness

    launched = harness.Kernels(on_cpu.folder)
    monkeypatch.setattr(launched, '_run', lambda *args: None)  # the source is all that is wanted
    from chainer.backends import cuda

    monkeypatch.setattr(cuda, 'elementwise', launched.elementwise)
    variants = [('int32', dtype, how) for dtype in DTYPES for how in LAYOUTS]
    for index, dtype, how in variants + [('int64', 'float32', 'contiguous')]:
        monkeypatch.setattr(_array, 'index_type', lambda *arrays, index=index: index)
        for _, node, shapes in function_cases.CASES:
            node().forward_gpu(function_cases.inputs(shapes, dtype, how))
    assert set(launched.sources.values()) == {
        'dropout_counted',
        'swapout_fwd',
        'swapout_bwd',
        'shortcut_fwd',
        'shortcut_bwd',
        'residual_add_fwd',
        'drop_path_fwd',
        'image_mask',
        'mask_images',
    }
    for code, name in launched.sources.items():
        binary, log = harness.nvrtc(code, architecture)
        assert binary and not log.strip('\0 \n'), name + ': ' + log


def test_nvrtc_would_tell(kernels):
    import harness

    with pytest.raises(AssertionError, match='undefined'):
        harness.nvrtc('extern "C" __global__ void f(float* x) { *x = undefined; }', 'sm_80')
    _, log = harness.nvrtc('extern "C" __global__ void f() { int unused = 1; }', 'sm_80')
    assert 'unused' in log
