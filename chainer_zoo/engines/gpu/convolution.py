"""The three passes of a convolution on cuDNN, and how each is computed fastest.

Arrays are (B, C, H, W) and (O, C / groups, K_h, K_w), all float16, all float32 or all float64.
cuDNN has several algorithms for each pass. Which of them to take is found out once for each shape,
in each thread: where ``chainer.config.autotune`` is true by trying them all, with
:data:`library.WORKSPACE` bytes beside the arrays, else by asking cuDNN for its guess.
"""

from __future__ import annotations

import ctypes
import math
from typing import NamedTuple

import chainer
import numpy as np
from chainer.backends import cuda

from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.gpu import context
from chainer_zoo.engines.gpu import library

FORWARD, DATA, WEIGHTS = 'Forward', 'BackwardData', 'BackwardFilter'
#: Which of the operands and the result of a pass are filters.
_FILTERS = {
    FORWARD: (False, True, False),
    DATA: (True, False, False),
    WEIGHTS: (False, False, True),
}
_SHAPES = {
    FORWARD: ('x_shape', 'w_shape', 'y_shape'),
    DATA: ('w_shape', 'y_shape', 'x_shape'),
    WEIGHTS: ('x_shape', 'y_shape', 'w_shape'),
}
_NAMES = {FORWARD: ('x', 'W', 'y'), DATA: ('W', 'gy', 'gx'), WEIGHTS: ('x', 'gy', 'gW')}


class Algorithm(NamedTuple):
    """One of cuDNN's algorithms for a pass.

    Attributes:
        number: cuDNN's number of it.
        math_type: the kind of arithmetic it uses.
        workspace: bytes that it needs beside the arrays.
    """

    number: int
    math_type: int
    workspace: int


def can_compute(*arrays: cuda.ndarray) -> bool:
    """Return whether cuDNN computes with arrays of their kind and size."""
    char = arrays[0].dtype.char
    return char in library.DATA_TYPES and all(
        a.dtype.char == char and a.ndim == 4 and 0 < a.size < 2**31 for a in arrays
    )


def forward(
    x: cuda.ndarray, W: cuda.ndarray, b: cuda.ndarray | None, geometry: Geometry
) -> cuda.ndarray:
    """Convolve.

    Args:
        x: (B, C, H, W).
        W: (O, C / groups, K_h, K_w), of x's type.
        b: (O,).
        geometry: of the convolution.

    Returns:
        cupy.ndarray: (B, O, y_h, y_w).

    Raises:
        ~chainer_zoo.engines.gpu.library.NotSupported: cuDNN refuses.
        ~chainer_zoo.engines.gpu.library.CuDNNError: it fails.
    """
    y = _compute(FORWARD, x, W, geometry)
    if b is not None:
        y += b.reshape(1, -1, 1, 1)
    return y


def backward_data(gy: cuda.ndarray, W: cuda.ndarray, geometry: Geometry) -> cuda.ndarray:
    """Return a convolution's gradient of x, which is a deconvolution of gy.

    Arguments and errors as for :func:`forward`.
    """
    return _compute(DATA, W, gy, geometry)


def backward_weights(x: cuda.ndarray, gy: cuda.ndarray, geometry: Geometry) -> cuda.ndarray:
    """Return a convolution's gradient of W; arguments and errors as for :func:`forward`."""
    return _compute(WEIGHTS, x, gy, geometry)


def _compute(which, a, b, geometry):
    config = chainer.config
    key = (
        which,
        a.dtype.char,
        geometry,
        bool(config.autotune),
        bool(config.cudnn_deterministic),
        config.use_cudnn_tensor_core,
    )
    here = context.current()
    plan = here.plan(key, lambda here: _Plan(here, *key))
    plan.check_possible()  # before copies and a result, which may be large
    a, b = context.plain(a), context.plain(b)
    result = cuda.cupy.empty(plan.result_shape, a.dtype)
    plan.run(here, a, b, result)
    return result


def _allocate(most, least):
    """Return memory of CuPy's pool and its bytes, half as much each time that it is short.

    Below ``least`` bytes there is none: None and 0.
    """
    while most >= least:
        try:
            return cuda.cupy.cuda.alloc(most), most
        except cuda.cupy.cuda.memory.OutOfMemoryError:
            most //= 2
    return None, 0


def _address(memory):
    return None if memory is None else memory.ptr


class _Plan:
    """How one pass is computed for arrays of one type and shape."""

    def __init__(self, here, which, char, geometry, autotune, deterministic, tensor_core):
        self._which = which
        self._shapes = [getattr(geometry, name) for name in _SHAPES[which]]
        self.result_shape = self._shapes[-1]
        self._geometry = geometry
        self._char = char
        self._autotune = autotune
        self._deterministic = deterministic
        self._convolution = self._math_type = None
        self._algorithms = None  # the fastest first; found with the first arrays
        self._function = getattr(here.library, 'cudnnConvolution' + which)
        self._alpha, self._beta = (ctypes.byref(s[char]) for s in (context.ONE, context.ZERO))
        if math.prod(self.result_shape) >= 2**31:
            self._algorithms = []
            return
        try:
            self._describe(here, tensor_core)
        except library.NotSupported:
            self._algorithms = []

    def _describe(self, here, tensor_core):
        data_type = library.DATA_TYPES[self._char]
        self._a, self._b, self._result = (
            here.descriptor(
                self, 'Filter', 'cudnnSetFilter4dDescriptor', data_type, library.NCHW, *shape
            )
            if is_filter
            else here.descriptor(
                self, 'Tensor', 'cudnnSetTensor4dDescriptor', library.NCHW, data_type, *shape
            )
            for shape, is_filter in zip(self._shapes, _FILTERS[self._which])
        )
        # Products of float16 are summed in float32.
        compute_type = library.DATA_TYPES['d' if self._char == 'd' else 'f']
        self._convolution = here.descriptor(
            self,
            'Convolution',
            'cudnnSetConvolution2dDescriptor',
            *self._geometry.pad,
            *self._geometry.stride,
            *self._geometry.dilation,
            library.CROSS_CORRELATION,
            compute_type,
        )
        self._check(
            here,
            here.library.cudnnSetConvolutionGroupCount(self._convolution, self._geometry.groups),
            'cudnnSetConvolutionGroupCount',
        )
        self._set_math_type(
            here,
            library.TENSOR_OP_MATH
            if self._char == 'e' and tensor_core != 'never'
            else library.DEFAULT_MATH,
        )

    def _set_math_type(self, here, math_type):
        if math_type != self._math_type:
            self._check(
                here,
                here.library.cudnnSetConvolutionMathType(self._convolution, math_type),
                'cudnnSetConvolutionMathType',
            )
            self._math_type = math_type

    def __str__(self):
        return ', '.join(
            [f'{name} {shape}' for name, shape in zip(_NAMES[self._which], self._shapes)]
            + [f'{name} {value}' for name, value in zip(Geometry._fields[3:], self._geometry[3:])]
            + [np.dtype(self._char).name]
        )

    def _check(self, here, status, function):
        if status:
            library.check(here.library, status, function, str(self))

    def _no_algorithm(self):
        return library.NotSupported(f'cudnnConvolution{self._which}: {self}: no algorithm', 3000)

    def check_possible(self):
        """Raise NotSupported if it is known that no algorithm computes this."""
        if self._algorithms == []:
            raise self._no_algorithm()

    def run(self, here, a, b, result):
        """Compute ``result`` from ``a`` and ``b``, all C-contiguous.

        Raises:
            NotSupported: no algorithm does.
            CuDNNError: cuDNN fails.
        """
        if self._algorithms is None:
            self._algorithms = self._choose(here, a, b, result)
        short = None
        for algorithm in list(self._algorithms):
            try:
                memory = cuda.cupy.cuda.alloc(algorithm.workspace) if algorithm.workspace else None
            except cuda.cupy.cuda.memory.OutOfMemoryError as error:
                short = error  # the next one may need less
                continue
            self._set_math_type(here, algorithm.math_type)
            status = self._function(
                here.handle,
                self._alpha,
                self._a,
                a.data.ptr,
                self._b,
                b.data.ptr,
                self._convolution,
                algorithm.number,
                _address(memory),
                algorithm.workspace,
                self._beta,
                self._result,
                result.data.ptr,
            )
            if not status:
                return
            if not library.is_not_supported(status):
                self._check(here, status, 'cudnnConvolution' + self._which)
            self._algorithms.remove(algorithm)
        if short is not None:
            raise short
        raise self._no_algorithm()

    def _choose(self, here, a, b, result):
        """Return the algorithms that fit, the fastest first; ``result`` is overwritten."""
        found = (library.AlgorithmPerf * library.MOST_ALGORITHMS)()
        count = ctypes.c_int()
        if self._autotune:
            function = f'cudnnFindConvolution{self._which}AlgorithmEx'
            # Less than 1 MiB would not bring in any other algorithm.
            memory, limit = _allocate(library.WORKSPACE, 2**20)
            status = getattr(here.library, function)(
                here.handle,
                self._a,
                a.data.ptr,
                self._b,
                b.data.ptr,
                self._convolution,
                self._result,
                result.data.ptr,
                len(found),
                ctypes.byref(count),
                found,
                _address(memory),
                limit,
            )
        else:
            function = f'cudnnGetConvolution{self._which}Algorithm_v7'
            limit = library.WORKSPACE
            status = getattr(here.library, function)(
                here.handle,
                self._a,
                self._b,
                self._convolution,
                self._result,
                len(found),
                ctypes.byref(count),
                found,
            )
        if library.is_not_supported(status):
            return []
        self._check(here, status, function)
        return [
            Algorithm(perf.algorithm, perf.math_type, perf.memory)
            for perf in found[: count.value]
            if perf.status == 0
            and perf.memory <= limit
            and (perf.determinism == library.DETERMINISTIC or not self._deterministic)
        ]
