"""A GPU made of NumPy: Chainer takes its GPU code paths, and its kernels run through g++.

Arrays on it are NumPy arrays of a class of their own, which Chainer takes for CuPy's: functions
then go through ``forward_gpu``, models move there with ``to_device('@cupy:0')``, and what mixes up
host and device fails as it would. CuPy's array functions are NumPy's; elementwise kernels are the
CUDA source that CuPy generates, compiled for the CPU (:mod:`harness`). There is no cuDNN, but
``fake_cudnn.cpp`` can stand for it (test_cudnn.py).
"""

import ast
import contextlib
import inspect
import sys
import types

import chainer
import cupy
import harness
import numpy as np
from chainer.backends import cuda

# The package has a function of this name, too.
relu = sys.modules['chainer.functions.activation.relu']


class Device:
    """Stands for ``cupy.cuda.Device``; there is one, number 0."""

    id = 0

    def __init__(self, number=0):
        assert number == 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __eq__(self, other):
        return isinstance(other, Device)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return 0

    def __int__(self):
        return 0

    def use(self):
        pass

    def synchronize(self):
        pass


class Array(np.ndarray):
    """Stands for ``cupy.ndarray``. Its results are such arrays too, also those without axes."""

    device = Device()

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.ctypes.data)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array.view(Array)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        host = [
            a
            for a in inputs + (out or ())
            if isinstance(a, np.ndarray) and not isinstance(a, Array)
        ]
        assert not host, f'an array of the host meets one of the device in {ufunc}'
        inputs = [np.asarray(a) if isinstance(a, Array) else a for a in inputs]
        if out is not None:
            kwargs['out'] = tuple(a if a is None else np.asarray(a) for a in out)
        result = getattr(ufunc, method)(*inputs, **kwargs)
        if out is not None:
            return out[0] if len(out) == 1 else out
        return on_device(result)

    def get(self, stream=None):
        return np.array(self, subok=False)

    def set(self, array, stream=None):
        assert not isinstance(array, Array)
        self[...] = np.asarray(array).view(Array)

    def reduced_view(self):
        return self

    def scatter_add(self, slices, value):
        np.add.at(self.view(np.ndarray), slices, np.asarray(value))


for _name in (
    'sum',
    'mean',
    'max',
    'min',
    'var',
    'prod',
    'argmax',
    'argmin',
    'dot',
    'take',
    'all',
    'any',
    'cumsum',
):

    def _method(self, *args, _name=_name, **kwargs):
        kwargs = {k: v.view(np.ndarray) if isinstance(v, Array) else v for k, v in kwargs.items()}
        return on_device(getattr(self.view(np.ndarray), _name)(*args, **kwargs))

    setattr(Array, _name, _method)


def on_device(value):
    """Return arrays, alone or in a tuple or list, as arrays of the device."""
    if isinstance(value, (tuple, list)):
        return type(value)(on_device(v) for v in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(Array)
    return value


def reciprocal_root(x, dtype=None):
    """Stands for ``cupyx.rsqrt``."""
    return (1 / np.sqrt(x)).astype(dtype or x.dtype)


class OutOfMemoryError(MemoryError):
    """Stands for ``cupy.cuda.memory.OutOfMemoryError``."""


class Memory:
    """Stands for what ``cupy.cuda.alloc`` returns; ``most`` is the largest there is, in bytes."""

    most = 2**30

    def __init__(self, size):
        if size > self.most:
            raise OutOfMemoryError(f'{size} bytes')
        self._array = np.empty(size, np.uint8)
        self.ptr = self._array.ctypes.data


class CuPy(types.ModuleType):
    """Stands for the module ``cupy``."""

    ndarray = Array
    TAKES_HOST_ARRAYS = ('array', 'asarray', 'ascontiguousarray', 'split')

    def __init__(self):
        super().__init__('cupy')
        self.__version__ = cupy.__version__
        runtime = types.SimpleNamespace(
            CUDARuntimeError=RuntimeError,
            getDeviceCount=lambda: 1,
            runtimeGetVersion=lambda: 13020,
            getDeviceProperties=lambda number: {
                'name': b'NumPy',
                'major': 0,
                'minor': 0,
                'totalGlobalMem': 2**30,
            },
        )
        self.cuda = types.SimpleNamespace(
            Device=Device,
            cudnn_enabled=False,
            runtime=runtime,
            alloc=Memory,
            get_device_id=lambda: 0,
            memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            get_current_stream=lambda: types.SimpleNamespace(ptr=7),
        )

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def function(*args, **kwargs):
            assert name in self.TAKES_HOST_ARRAYS or not any(
                isinstance(a, np.ndarray) and not isinstance(a, Array) for a in args
            ), 'an array of the host is given to cupy.' + name
            return on_device(found(*args, **kwargs))

        return function

    @staticmethod
    def get_array_module(*args):
        return cuda.cupy if any(isinstance(a, Array) for a in args) else np

    @staticmethod
    def asnumpy(array, stream=None):
        return array.get() if isinstance(array, Array) else np.asarray(array)


class Kernels(harness.Kernels):
    """Kernels whose results are arrays of the device; also Chainer's one reduction."""

    def _launch(self, kernel, args, size=None):
        for a in args:
            assert isinstance(a, Array) or not isinstance(a, np.ndarray), (
                'an array of the host is given to ' + kernel.name
            )
        return super()._launch(kernel, args, size)

    def empty(self, shape, dtype):
        return on_device(np.empty(shape, dtype))

    def reduce(self, in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name):
        assert name == 'crossent_fwd', 'stand in for the reduction ' + name

        def cross_entropy(t, log_y, n_channel, coeff, ignore_label):
            t, log_y = (np.asarray(a) for a in (t.ravel(), log_y.reshape(-1, n_channel)))
            valid = t != ignore_label
            picked = log_y[np.arange(t.size), np.where(valid, t, 0)][valid]
            return on_device(np.asarray(picked.sum() * -np.asarray(coeff)))

        return cross_entropy


class Pool:
    """Stands for CuPy's memory pool, as far as somebody asks it."""

    def free_all_blocks(self):
        pass

    def total_bytes(self):
        return 2**20


def define_kernels():
    """Run what Chainer's modules define only where a GPU was found when they were imported."""
    for module in [relu]:
        for statement in ast.parse(inspect.getsource(module)).body:
            if isinstance(statement, ast.If) and ast.unparse(statement.test) == 'cuda.available':
                code = ast.Module(statement.body, [])
                exec(compile(code, module.__file__, 'exec'), vars(module))


@contextlib.contextmanager
def installed(folder):
    """Let Chainer find this GPU, with its kernels compiled into ``folder``."""
    kernels = Kernels(folder)
    module = CuPy()
    names = {
        'available': True,
        'cupy': module,
        'ndarray': Array,
        'Device': Device,
        'cuda': module.cuda,
        'cudnn_enabled': False,
        '_cudnn_disabled_by_user': True,
        'memory_pool': Pool(),
        'Stream': types.SimpleNamespace(null=types.SimpleNamespace(synchronize=lambda: None)),
        'elementwise': kernels.elementwise,
        'reduce': kernels.reduce,
        'cupyx': types.SimpleNamespace(rsqrt=reciprocal_root),
    }
    missing = object()
    before = {name: getattr(cuda, name, missing) for name in names}
    device_class = cuda.GpuDevice.xp, cuda.GpuDevice.supported_array_types
    vars(cuda).update(names)
    sys.modules['cupy'] = module
    cuda.GpuDevice.xp, cuda.GpuDevice.supported_array_types = module, (Array,)
    try:
        define_kernels()
        with chainer.using_config('use_cudnn', 'never'):
            yield kernels
    finally:
        sys.modules['cupy'] = cupy
        cuda.GpuDevice.xp, cuda.GpuDevice.supported_array_types = device_class
        for name, value in before.items():
            if value is missing:
                delattr(cuda, name)
            else:
                setattr(cuda, name, value)
