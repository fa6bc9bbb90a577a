"""Runs kernels without a GPU: the CUDA that CuPy generates, compiled by NVRTC or by g++.

:class:`Kernels` stands in for ``chainer.backends.cuda.elementwise``. A function's own
``forward_gpu`` then runs on NumPy arrays: what it launches is written as CuPy writes it for arrays
of those types and layouts, compiled by g++ with ``cpu_cuda.h`` before it and run. The sources are
kept, and :func:`nvrtc` compiles them for GPUs.
"""

import ctypes
import glob
import hashlib
import os
import pathlib
import subprocess
import sysconfig

import cupy
import numpy as np
from cupy import _core
from cupy._core import _carray
from cupy._core import _kernel
from cupy._core import _scalar

HERE = pathlib.Path(__file__).parent
INCLUDE = pathlib.Path(_core.__file__).parent / 'include'

# CuPy's kinds of kernel arguments.
ARRAY, INDEXER, SCALAR = 1, 2, 3

CUPY = int(cupy.__version__.split('.')[0])


def element_type(dtype):
    """Return what CuPy names an element type by inside: a class, from CuPy 14 on a dtype."""
    return dtype if CUPY >= 14 else dtype.type


def includes():
    """Return the lines that CuPy puts before a kernel's source."""
    return ''.join(f'#include <{name}>\n' for name in _core.core._cupy_header_list)


class Kernels:
    """Makes elementwise kernels that run on the CPU.

    Args:
        folder (pathlib.Path): for sources and compiled code; a source compiles once.

    Attributes:
        sources (dict): CUDA source to the kernel's name, of every kernel launched.
    """

    def __init__(self, folder):
        self.folder = folder
        self.sources = {}

    def elementwise(self, in_params, out_params, operation, name, **kwargs):
        """Return a kernel, to be called with its inputs and, if not to be made, its outputs."""
        kernel = cupy.ElementwiseKernel(in_params, out_params, operation, name, **kwargs)
        return lambda *args, **keywords: self._launch(kernel, args, **keywords)

    def _launch(self, kernel, args, size=None):
        assert len(args) in (kernel.nin, kernel.nargs), kernel.name
        args = list(args)
        looped = [
            k
            for k, (p, a) in enumerate(zip(kernel.params, args))
            if isinstance(a, np.ndarray) and not p.raw
        ]
        # CuPy takes a size where all arrays are raw, and only there.
        assert bool(looped) == (size is None), kernel.name
        shape = (
            (size,) if size is not None else np.broadcast_shapes(*[args[k].shape for k in looped])
        )
        types = [element_type(a.dtype) if isinstance(a, np.ndarray) else None for a in args]
        in_types, out_types, type_map = kernel._decide_params_type(
            tuple(types[: kernel.nin]), tuple(types[kernel.nin :])
        )
        args.extend(self.empty(shape, t) for t in out_types[len(args) - kernel.nin :])
        outs = args[kernel.nin :]
        if 0 not in shape:
            self._launch_code(kernel, args, in_types, type_map, shape)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def empty(self, shape, dtype):
        """Return the array for a result that the caller has not given."""
        return np.empty(shape, dtype)

    def _launch_code(self, kernel, args, in_types, type_map, shape):
        looped = []
        for k, p in enumerate(kernel.params[:-1]):
            if isinstance(args[k], np.ndarray):
                if not p.raw:
                    looped.append(k)
                    if args[k].shape != shape:
                        assert k < kernel.nin, kernel.name
                        args[k] = np.broadcast_to(args[k], shape)
            else:
                value = np.dtype(in_types[k]).type(args[k])
                assert value.dtype.kind == 'f' or int(value) == int(args[k]), p.name
                args[k] = value
        if looped and all(args[k].flags.c_contiguous for k in looped):
            shape = (int(np.prod(shape)),)  # CuPy drops the axes that it does not need
            for k in looped:
                args[k] = args[k].reshape(shape)
        infos = [
            (ARRAY, cupy.ndarray, element_type(a.dtype), a.ndim, a.flags.c_contiguous, True)
            if isinstance(a, np.ndarray)
            else (SCALAR, _scalar.CScalar, element_type(a.dtype), 0, True, True)
            for a in args
        ] + [(INDEXER, _carray.Indexer, None, len(shape), True, True)]
        code = _kernel._get_elementwise_kernel_code(
            tuple(_kernel._ArgInfo(*info) for info in infos),
            type_map,
            kernel.params,
            kernel.operation,
            kernel.name,
            kernel.preamble,
        )
        self.sources[code] = kernel.name
        self._run(code, kernel.name, args, shape)

    def _run(self, code, name, args, shape):
        values, text = [], []
        for k, a in enumerate(args):
            if isinstance(a, np.ndarray):
                strides = a.strides
                if a.flags.c_contiguous:  # NumPy leaves the strides of axes of length 1 open
                    strides = [int(np.prod(a.shape[d + 1 :])) * a.itemsize for d in range(a.ndim)]
                layout = np.array(list(a.shape) + list(strides), np.intp)
                values.append([a, layout])
                element, contiguous = _scalar.get_typename(a.dtype), int(a.flags.c_contiguous)
                text.append(
                    f'CArray<{element}, {a.ndim}, {contiguous}, 1>('
                    f'reinterpret_cast<{element}*>(values[{k}][0]), '
                    f'static_cast<ptrdiff_t*>(values[{k}][1]), '
                    f'static_cast<ptrdiff_t*>(values[{k}][1]) + {a.ndim})'
                )
            else:
                values.append([np.array([a])])
                text.append(f'*static_cast<{_scalar.get_typename(a.dtype)}*>(values[{k}][0])')
        # Two blocks of three threads, the last first: an element must not depend on another's.
        code += f"""
extern "C" void run(void*** values, ptrdiff_t* shape) {{
    gridDim.x = 2; blockDim.x = 3;
    for (int thread = 5; thread >= 0; --thread) {{
        blockIdx.x = thread / 3; threadIdx.x = thread % 3;
        {name}({', '.join(text)}, CIndexer<{len(shape)}, 1>(shape));
    }}
}}
"""
        pointers = [(ctypes.c_void_p * 2)(*[v.ctypes.data for v in pair]) for pair in values]
        table = (ctypes.c_void_p * len(pointers))(*[ctypes.addressof(p) for p in pointers])
        extents = np.array(shape, np.intp)
        gcc(code, self.folder).run(table, ctypes.c_void_p(extents.ctypes.data))


def gcc(code, folder):
    """Compile CuPy's source for the CPU and return the loaded library."""
    name = hashlib.sha256(code.encode()).hexdigest()
    library = folder / (name + '.so')
    if not library.exists():
        source = folder / (name + '.cpp')
        source.write_text(f'#include "{HERE / "cpu_cuda.h"}"\n#include <cupy/carray.cuh>\n{code}')
        command = [
            'g++',
            '-std=c++17',
            '-O1',
            '-ffp-contract=off',
            '-shared',
            '-fPIC',
            '-w',
            '-I',
            str(INCLUDE),
            str(source),
            '-o',
            str(library),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout.decode()
    return ctypes.CDLL(str(library))


def nvrtc(code, architecture):
    """Compile CuPy's source for a GPU.

    Args:
        code (str): the kernel's source.
        architecture (str): such as ``sm_80``.

    Returns:
        (bytes, str): the machine code, and what the compiler had to say.
    """
    wheels = os.path.join(sysconfig.get_paths()['purelib'], 'nvidia', '*')
    (library,) = glob.glob(os.path.join(wheels, 'lib', 'libnvrtc.so.*'))
    headers = os.path.dirname(*glob.glob(os.path.join(wheels, 'include', 'cuda_fp16.h')))
    ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    from cupy_backends.cuda.libs import nvrtc as compiler

    folders = [INCLUDE, headers] + sorted(INCLUDE.glob('cupy/_cccl/*'))
    options = [f'-I{folder}' for folder in folders] + [
        '--std=c++17',
        '-arch=' + architecture,
        '-ftz=true',
        '--device-as-default-execution-space',
    ]
    program = compiler.createProgram(includes() + code, 'kernel.cu', (), ())
    try:
        try:
            compiler.compileProgram(program, options)
        except compiler.NVRTCError as error:
            raise AssertionError(compiler.getProgramLog(program)) from error
        return compiler.getCUBIN(program), compiler.getProgramLog(program)
    finally:
        compiler.destroyProgram(program)
