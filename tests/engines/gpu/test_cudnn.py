"""cuDNN 9 lent to Chainer, on a stand-in for the library and on a GPU made of NumPy.

The stand-in (fake_cudnn.cpp) has the signatures of the real one, plain loops, and a count of its
calls. What it cannot show is whether the real one does as it says: tests/gpu/test_gpu_cudnn.py.
"""

import collections
import ctypes
import subprocess
import threading
import types

import chainer
import chainer.functions as F
import cudnn_cases
import numpy as np
import pytest
from chainer.backends import cuda
from chainer.functions.normalization import batch_normalization

from chainer_zoo import engines
from chainer_zoo.commands import doctor
from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.gpu import context
from chainer_zoo.engines.gpu import convolution
from chainer_zoo.engines.gpu import library
from chainer_zoo.engines.gpu import nodes
from chainer_zoo.engines.gpu import normalization

pytestmark = pytest.mark.kernels

RUN = ['cudnnConvolutionForward', 'cudnnConvolutionBackwardData', 'cudnnConvolutionBackwardFilter']
GUESS = [f'cudnnGetConvolution{name[16:]}Algorithm_v7' for name in RUN]
FIND = [f'cudnnFindConvolution{name[16:]}AlgorithmEx' for name in RUN]
BN = ['cudnnBatchNormalizationForwardTraining', 'cudnnBatchNormalizationBackward']


@pytest.fixture(scope='module')
def path(kernels, tmp_path_factory):
    """The stand-in, compiled."""
    import harness

    built = tmp_path_factory.mktemp('cudnn') / library.NAME
    done = subprocess.run(
        [
            'g++',
            '-std=c++17',
            '-O2',
            '-shared',
            '-fPIC',
            '-w',
            '-I',
            str(harness.HERE),
            str(harness.HERE / 'fake_cudnn.cpp'),
            '-o',
            str(built),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()
    return str(built)


@pytest.fixture
def fake(kernels, path, monkeypatch):
    """The stand-in with its counts at 0, in use by Chainer on the GPU made of NumPy."""
    import fake_gpu

    lib = ctypes.CDLL(path)
    lib.fake_stream.argtypes, lib.fake_stream.restype = [ctypes.c_void_p], ctypes.c_void_p
    lib.fake_reset()
    with fake_gpu.installed(kernels.folder), chainer.using_config('use_cudnn', 'auto'):
        monkeypatch.setattr(library, '_candidates', lambda: [path])
        monkeypatch.setattr(library, '_state', {})
        forget_choices(monkeypatch)
        monkeypatch.setattr(engines.GPU, '_printed', False)
        monkeypatch.setattr(cuda, '_cupy_major', 14, raising=False)
        monkeypatch.setattr(cuda, '_cudnn_disabled_by_user', False)
        yield lib
        monkeypatch.undo()  # the test's patches, too, before the GPU goes


@pytest.fixture
def device(fake):
    return chainer.get_device('@cupy:0')


def forget_choices(monkeypatch):
    monkeypatch.setattr(context, '_threads', threading.local())
    monkeypatch.setattr(context, '_free', collections.defaultdict(list))


def calls(fake, names):
    return [fake.fake_calls(name.encode()) for name in names]


def fail(fake, name, status):
    fake.fake_fail(name.encode(), status)


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('autotune', [False, True])
@pytest.mark.parametrize('name', cudnn_cases.CONVOLUTIONS)
def test_convolution(name, autotune, dtype, fake, device):
    with chainer.using_config('autotune', autotune):
        cudnn_cases.assert_close(
            cudnn_cases.convolution, cudnn_cases.CONVOLUTIONS[name], device, dtype
        )
    assert calls(fake, RUN) == ([1, 1, 1] if dtype == 'float16' else [3, 2, 2])
    assert (sum(calls(fake, GUESS)) == 0) == autotune == (sum(calls(fake, FIND)) > 0)


@pytest.mark.parametrize('how', ['channels last', 'strided'])
@pytest.mark.parametrize('name', ['3x3', 'odd sizes', 'groups'])
def test_convolution_of_other_layouts_and_without_bias(name, how, fake, device):
    cudnn_cases.assert_close(
        cudnn_cases.convolution,
        cudnn_cases.CONVOLUTIONS[name],
        device,
        'float32',
        how=how,
        bias=False,
    )
    assert min(calls(fake, RUN)) >= 2


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('name', cudnn_cases.DECONVOLUTIONS)
def test_deconvolution(name, bias, dtype, fake, device):
    case = cudnn_cases.DECONVOLUTIONS[name]
    cudnn_cases.assert_close(cudnn_cases.deconvolution, case, device, dtype, bias=bias)
    if 'cover_all' in name:
        assert calls(fake, RUN) == [0, 0, 0]
    else:
        assert min(calls(fake, RUN)) >= 1


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('how', ['contiguous', 'strided'])
@pytest.mark.parametrize('name', cudnn_cases.NORMALIZATIONS)
def test_normalization(name, how, dtype, fake, device):
    case = cudnn_cases.NORMALIZATIONS[name]
    cudnn_cases.assert_close(cudnn_cases.normalization, case, device, dtype, how=how)
    taken = dtype != 'float16' or len(case[0]) == 4 and case[1] is None
    assert calls(fake, BN) == [taken, taken]


def test_running_statistics_are_those_of_chainers_own_code(fake, device):
    case = cudnn_cases.NORMALIZATIONS['images']
    found = cudnn_cases.normalization(case, device, 'float32')
    with chainer.using_config('use_cudnn', 'never'):
        expected = cudnn_cases.normalization(case, device, 'float32')
    assert calls(fake, BN) == [1, 1]
    for name in ('mean', 'var'):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_persistent_mode_of_normalization(fake, device):
    with chainer.using_config('cudnn_fast_batch_normalization', True):
        cudnn_cases.assert_close(
            cudnn_cases.normalization, cudnn_cases.NORMALIZATIONS['many'], device, 'float32'
        )
    assert calls(fake, BN) == [1, 1]


def test_without_running_statistics_and_one_number_a_channel(fake, device):
    x = device.send(np.arange(12, dtype='f').reshape(4, 3))
    one, zero = device.send(np.ones(3, 'f')), device.send(np.zeros(3, 'f'))
    y = F.batch_normalization(x, one, zero, running_mean=None, running_var=None)
    np.testing.assert_allclose(cuda.to_cpu(y.array).std(axis=0), 1, rtol=1e-5)
    assert calls(fake, BN) == [1, 0]
    with pytest.warns(UserWarning, match='no more than one sample'):
        F.batch_normalization(x[:1], one, zero, running_mean=one.copy(), running_var=one.copy())
    assert calls(fake, BN) == [1, 0]


def pair(device, x_shape=(2, 3, 6, 5), W_shape=(4, 3, 3, 3), dtype='f'):
    rng = np.random.RandomState(0)
    return [device.send(rng.standard_normal(shape).astype(dtype)) for shape in (x_shape, W_shape)]


def assert_is_the_cpus(x, W, **options):
    y = F.convolution_2d(x, W, **options)
    expected = F.convolution_2d(cuda.to_cpu(x), cuda.to_cpu(W), **options)
    np.testing.assert_allclose(cuda.to_cpu(y.array), expected.array, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of NumPy, for the empty batch
def test_what_chainers_own_code_computes(fake, device):
    x, W = pair(device)
    assert_is_the_cpus(x, W, stride=2, cover_all=True)
    with chainer.using_config('use_cudnn', 'never'):
        assert_is_the_cpus(x, W)
    empty = F.convolution_2d(x[:0], W, pad=1)
    assert empty.shape == (0, 4, 6, 5)
    assert F.convolution_2d(x, W.astype('d')).shape == (2, 4, 4, 3)  # of two types
    one = device.send(np.ones(3, 'f'))
    for array, eps in ((x.astype('d'), 2e-5), (x, -1e-9), (x[:0], 2e-5)):
        F.batch_normalization(array, one, one, eps=eps)
    assert calls(fake, RUN) == [0, 0, 0] and calls(fake, BN) == [0, 0]
    assert_is_the_cpus(x, W, stride=(np.int64(2), 1), pad=(np.int32(1), 0))
    F.batch_normalization(x, one, one, eps=np.float32(1e-5), decay=np.float32(0.9))
    assert calls(fake, RUN) == [1, 0, 0] and calls(fake, BN) == [1, 0]


@pytest.mark.parametrize('refused', [RUN, GUESS, ['cudnnSetConvolution2dDescriptor']])
def test_what_cudnn_refuses(refused, fake, device):
    for name in refused:
        fail(fake, name, 3007)
    counts = []
    for _ in range(2):
        cudnn_cases.assert_close(
            cudnn_cases.convolution, cudnn_cases.CONVOLUTIONS['groups'], device, 'float32'
        )
        counts.append(calls(fake, RUN))
    assert counts[0] == counts[1]  # what was refused is not tried again
    asked = refused[0].startswith('cudnnSet')
    assert calls(fake, GUESS)[0] == (0 if asked else 1)


@pytest.mark.parametrize('refused', [RUN[0], GUESS[0], 'cudnnSetConvolution2dDescriptor', None])
def test_nothing_is_allocated_for_what_is_known_to_be_refused(refused, fake, device, monkeypatch):
    x, W = device.send([np.ones((1, 1, 2**10, 2**10), 'f'), np.ones((2**11, 1, 1, 1), 'f')])
    if refused is not None:  # None: 2 ** 31 numbers in the result
        x = x[:, :, :2, :2]
        fail(fake, refused, 3000)
    geometry = Geometry(x.shape, W.shape, (len(x), len(W)) + x.shape[2:])
    if refused is not None:
        with pytest.raises(library.NotSupported):
            convolution.forward(x, W, None, geometry)
    for name in ('empty', 'ascontiguousarray'):
        monkeypatch.setattr(cuda.cupy, name, None)
    with pytest.raises(library.NotSupported, match='no algorithm'):
        convolution.forward(x, W, None, geometry)


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('refused', [BN, BN[1:]])
def test_normalization_that_cudnn_refuses(refused, dtype, fake, device):
    for name in refused:
        fail(fake, name, 3000)
    cudnn_cases.assert_close(
        cudnn_cases.normalization, cudnn_cases.NORMALIZATIONS['images'], device, dtype
    )
    assert calls(fake, BN) == [1, dtype == 'float32' or refused is not BN]


def test_a_gradient_of_another_type_than_the_images(fake, device):
    x, one = chainer.Variable(pair(device)[0]), device.send(np.ones(3, 'f'))
    y = F.batch_normalization(x, one, one)
    gx, expected = (
        chainer.grad([y], [x], [chainer.Variable((x.array**2).astype(dtype))])[0] for dtype in 'df'
    )
    np.testing.assert_allclose(cuda.to_cpu(gx.array), cuda.to_cpu(expected.array), atol=1e-5)
    assert calls(fake, BN) == [1, 1]  # of the second gradient


def test_a_node_keeps_a_selector_that_it_was_given(fake, device):
    own = batch_normalization.GeneralBatchNormalizationImpl()  # as ChainerMN's
    node = batch_normalization.BatchNormalization(impl_selector=lambda node, inputs: own)
    one = device.send(np.ones(3, 'f'))
    node.apply((pair(device)[0], one, one))
    assert node._impl is own and calls(fake, BN) == [0, 0]


@pytest.mark.parametrize(
    'layouts',
    [
        (chainer.memory_layouts.CUDNN_CHANNEL_LAST_X, None),
        (None, chainer.memory_layouts.CUDNN_CHANNEL_LAST_W),
    ],
)
def test_arrays_that_chainer_lays_out_otherwise(layouts, fake, device):
    for W_shape, (kind, _, ours) in zip([(4, 3, 3, 3), (3, 4, 3, 3)], nodes.REPLACED[::2]):
        node = kind()
        node._input_layouts = layouts  # as apply() does
        assert ours(node, pair(device, W_shape=W_shape)) is nodes.NOT_HERE
    assert node.outh is None  # Chainer derives it, from a shape that it has put in order


@pytest.mark.parametrize('mode,used', [('always', True), ('auto', True), ('never', False)])
def test_the_modes_of_chainers_switch(mode, used, fake, device):
    with chainer.using_config('use_cudnn', mode):
        assert engines.GPU.is_enabled() == used


def test_a_failure_names_function_and_shapes(fake, device):
    fail(fake, RUN[0], 5000)
    with pytest.raises(
        library.CuDNNError,
        match=(
            r'^cudnnConvolutionForward: x \(2, 3, 6, 5\), W \(4, 3, 3, 3\), y \(2, 4, 6, 5\), '
            r'stride \(1, 1\), pad \(1, 1\), dilation \(1, 1\), groups 1, float32: '
            r'CUDNN_STATUS_5000 \(as the test wants it\)$'
        ),
    ) as caught:
        F.convolution_2d(*pair(device), pad=1)
    assert caught.value.status == 5000
    fail(fake, BN[0], 2000)
    with pytest.raises(library.CuDNNError, match=r'^cudnnBatchN.*: x \(2, 3, 6, 5\), mode 1, eps'):
        one = device.send(np.ones(3, 'f'))
        F.batch_normalization(pair(device)[0], one, one)


@pytest.mark.parametrize('autotune,asked', [(False, GUESS), (True, FIND)])
def test_one_choice_for_each_shape(autotune, asked, fake, device):
    x, W = pair(device)
    with chainer.using_config('autotune', autotune):
        for _ in range(3):
            F.convolution_2d(x, W)
        assert calls(fake, asked)[0] == 1 and calls(fake, RUN)[0] == 3
        F.convolution_2d(x, W, pad=1)
        F.convolution_2d(*pair(device, dtype='d'))
        assert calls(fake, asked)[0] == 3
        with chainer.using_config('cudnn_deterministic', True):
            F.convolution_2d(x, W)
        assert calls(fake, asked)[0] == 4


@pytest.mark.parametrize(
    'pads,guesses', [((0, 1, 2, 0, 0), 4), ((0, 1, 0, 2, 0), 3)]
)  # what was used last stays
def test_choices_do_not_pile_up(pads, guesses, fake, device, monkeypatch):
    monkeypatch.setattr(context, 'MOST_PLANS', 2)
    x, W = pair(device)
    for pad in pads:
        F.convolution_2d(x, W, pad=pad)
    assert calls(fake, GUESS)[0] == guesses
    assert fake.fake_destroyed() == (guesses - 2) * 4  # descriptors


@pytest.mark.parametrize('autotune', [False, True])
def test_the_fastest_algorithm_that_fits(autotune, fake, device, monkeypatch):
    import fake_gpu

    x, W = pair(device)

    def used(limit=library.WORKSPACE, memory=2**30, deterministic=False):
        monkeypatch.setattr(library, 'WORKSPACE', limit)
        monkeypatch.setattr(fake_gpu.Memory, 'most', memory)
        forget_choices(monkeypatch)
        with (
            chainer.using_config('autotune', autotune),
            chainer.using_config('cudnn_deterministic', deterministic),
        ):
            assert_is_the_cpus(x, W)
        return fake.fake_algorithm()

    assert used() == 3  # not 5, which needs 1 GiB
    assert used(deterministic=True) == 1
    assert used(limit=2**31, memory=2**32, deterministic=True) == 5
    assert used(limit=2**20, deterministic=True) == 0
    assert fake.fake_math() == 3  # the arithmetic that goes with it
    assert used(memory=2**21, deterministic=True) == 0  # 1 does not get what it needs
    assert used(memory=100) == 0


def test_memory_that_runs_short_later(fake, device, monkeypatch):
    import fake_gpu

    x, W = pair(device)
    assert_is_the_cpus(x, W)
    assert fake.fake_algorithm() == 3
    monkeypatch.setattr(fake_gpu.Memory, 'most', 100)
    assert_is_the_cpus(x, W)
    assert fake.fake_algorithm() == 0
    fake.fake_break(0)  # the only one that needs no memory
    with pytest.raises(fake_gpu.OutOfMemoryError, match='bytes'):
        F.convolution_2d(x, W, pad=1)


@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_arrays_that_start_anywhere_in_memory(dtype, fake, device):
    x, gy, W, gamma, beta = arrays = [
        device.send(np.arange(np.prod(shape) + 1) % 7.0).astype(dtype)[1:].reshape(shape)
        for shape in ((2, 3, 6, 5), (2, 3, 6, 5), (4, 3, 3, 3), (3,), (3,))
    ]
    assert all(a.data.ptr % 16 for a in arrays)
    assert_is_the_cpus(x, W)
    x, gy = map(chainer.Variable, (x, gy))
    chainer.grad([F.batch_normalization(x, gamma, beta)], [x], [gy])
    assert calls(fake, RUN) == [1, 0, 0] and calls(fake, BN) == [1, 1]


@pytest.mark.parametrize(
    'dtype,mode,math', [('e', 'auto', 1), ('e', 'always', 1), ('e', 'never', 0), ('f', 'always', 0)]
)
def test_tensor_cores_for_float16(dtype, mode, math, fake, device):
    with chainer.using_config('use_cudnn_tensor_core', mode):
        F.convolution_2d(*pair(device, dtype=dtype))
    assert fake.fake_math() == math


def test_every_call_goes_to_the_current_stream_of_its_own_thread(fake, device, monkeypatch):
    handles = []
    for stream in (7, 8):
        current = types.SimpleNamespace(ptr=stream)
        monkeypatch.setattr(cuda.cupy.cuda, 'get_current_stream', lambda current=current: current)
        assert fake.fake_stream(context.current().handle) == stream
    for _ in range(2):
        thread = threading.Thread(target=lambda: handles.append(context.current().handle.value))
        thread.start()
        thread.join()
    assert handles[0] != context.current().handle.value
    assert handles[0] == handles[1]  # nobody else has it any more


@pytest.mark.parametrize(
    'why,prepare',
    [
        ('CuPy is not there', lambda patch, fake: patch(cuda, 'available', False)),
        (
            'Chainer has cuDNN from CuPy 13',
            lambda patch, fake: [
                patch(cuda, 'cudnn_enabled', True),
                patch(cuda, '_cupy_major', 13),
            ],
        ),
        (
            'CuPy 13 has not found its cuDNN: no libcudnn.so.8',
            lambda patch, fake: [
                patch(cuda, '_resolution_error', ImportError('no\nlibcudnn.so.8'), raising=False),
                patch(cuda, '_cupy_major', 13),
            ],
        ),
        (
            'CHAINER_CUDNN=0 is set',
            lambda patch, fake: patch(cuda, '_cudnn_disabled_by_user', True),
        ),
        (
            'there is no GPU',
            lambda patch, fake: patch(cuda.cupy.cuda.runtime, 'getDeviceCount', lambda: 0),
        ),
        (
            'no GPU can be used: cudaErrorNoDevice',
            lambda patch, fake: patch(
                cuda.cupy.cuda.runtime,
                'getDeviceCount',
                lambda: (_ for _ in ()).throw(RuntimeError('cudaErrorNoDevice')),
            ),
        ),
        (
            'cuDNN 9 does not load: .*no-such.so',
            lambda patch, fake: patch(library, '_candidates', lambda: ['no-such.so']),
        ),
        (
            'has no function cudnnCreate: not cuDNN 9',
            lambda patch, fake: patch(library, '_candidates', lambda: ['libc.so.6']),
        ),
        (
            'this cuDNN is for CUDA 12, and CuPy for CUDA 13',
            lambda patch, fake: fail(fake, 'cudnnGetCudartVersion', 12090),
        ),
        (
            r'cudnnCreate: GPU 0: CUDNN_STATUS_1008 \(as the test wants it\)',
            lambda patch, fake: fail(fake, 'cudnnCreate', 1008),
        ),
    ],
)
def test_why_it_is_not_used(why, prepare, fake, device, monkeypatch, capsys):
    prepare(monkeypatch.setattr, fake)
    with pytest.raises(AssertionError):  # the reason is one line
        assert '\n' in engines.GPU.why_not()
    with pytest.raises(RuntimeError, match=why):
        raise RuntimeError(engines.GPU.why_not())
    for _ in range(2):
        assert not engines.GPU.is_enabled()
    if cuda.available:
        F.convolution_2d(*pair(device))
    printed = capsys.readouterr().out
    if library.is_wanted():
        assert printed.startswith('computing without cuDNN') and printed.count('\n') == 1
    else:  # Chainer asks its own CuPy for cuDNN, or there is no CuPy
        assert printed == ''
    assert calls(fake, RUN) == [0, 0, 0]


def test_version(fake, monkeypatch):
    assert engines.GPU.version() == doctor.cudnn_version() == '9.19.0'
    assert calls(fake, ['cudnnCreate']) == [0]  # no GPU is started for that
    monkeypatch.setattr(library, '_state', {})
    monkeypatch.setattr(library, '_candidates', lambda: ['no-such.so'])
    assert engines.GPU.version() is None is doctor.cudnn_version()


def test_wheels_come_before_the_system(tmp_path, monkeypatch):
    folder = tmp_path / 'nvidia' / 'cudnn' / 'lib'
    folder.mkdir(parents=True)
    (folder / library.NAME).write_text('')
    monkeypatch.setattr(
        library.importlib.util,
        'find_spec',
        lambda name: types.SimpleNamespace(
            submodule_search_locations=[str(tmp_path / 'other'), str(tmp_path / 'nvidia')]
        ),
    )
    assert list(library._candidates()) == [str(folder / library.NAME), library.NAME]
    monkeypatch.setattr(library.importlib.util, 'find_spec', lambda name: None)
    assert list(library._candidates()) == [library.NAME]


def test_a_training_step_of_a_model(fake, device):
    _, grads = found = cudnn_cases.training_step(device, 'float64', 2)
    layers = sum(path.endswith('/W') and grad.ndim == 4 for path, grad in grads.items())
    assert calls(fake, RUN) == [layers, layers - 1, layers]  # the images have no gradient
    assert min(calls(fake, BN)) > 5
    cudnn_cases.assert_same_step(found, 'float64', 2)


def test_it_is_wanted_where_chainer_has_no_cudnn(monkeypatch):
    found = []
    for available, major in ((False, 14), (True, 13), (True, 14), (True, 15)):
        monkeypatch.setattr(cuda, 'available', available)
        monkeypatch.setattr(cuda, '_cupy_major', major, raising=False)
        found.append(library.is_wanted())
    assert found == [False, False, True, True]


def test_sizes_that_are_refused():
    def array(shape, dtype='f'):
        return types.SimpleNamespace(
            dtype=np.dtype(dtype), ndim=len(shape), size=int(np.prod(shape, dtype=np.int64))
        )

    large = 2**11, 2**10, 2**5, 2**5
    assert convolution.can_compute(array((1, 2, 3, 4)), array((5, 2, 1, 1)))
    assert not convolution.can_compute(array(large), array((5, 2, 1, 1)))
    assert not convolution.can_compute(array((1, 2, 3, 4), 'i'))
    for shape, taken in (
        ((2, 2**10, 2**5, 2**5), True),
        (large, False),
        ((131070, 2**10), True),
        ((131071, 2**10), False),
    ):
        assert normalization.can_compute(array(shape), array((2**10,)), (1,), 2e-5) == taken
