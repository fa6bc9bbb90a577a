"""Dropout without a stored mask (Srivastava et al., 2014)."""

from __future__ import annotations

import chainer
import numpy as np
from chainer import function_node
from chainer import Variable
from chainer.backends import cuda
from chainer.utils import type_check

from chainer_zoo.functions import _array
from chainer_zoo.functions import _philox
from chainer_zoo.functions import noise


class Dropout(function_node.FunctionNode):
    """y = m x / (1 - ratio), m 0 or 1 by the lanes of one draw: element e has lane e.

    It is linear in x and its own transpose, so its backward is itself with the same key.

    Args:
        ratio (float): probability to be dropped, in [0, 1).
        key (tuple of int): (seed, draw) of the mask.
    """

    def __init__(self, ratio, key):
        super().__init__()
        self.ratio = ratio
        self.key = key

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f', in_types[0].ndim > 0)

    def forward_cpu(self, inputs):
        (x,) = inputs
        y = _array.empty(x)
        dtype = _array.computing_dtype(x.dtype)
        drop = _philox.threshold(self.ratio)
        scale = dtype.type(1 / (1 - self.ratio))

        def work(rows, start):
            lane = _philox.lanes(self.key, start, x[rows].size).reshape(x[rows].shape)
            keep = np.empty_like(x[rows], bool)  # in the memory order of x
            keep[...] = _philox.kept(lane, drop)
            factor = keep.astype(dtype)
            factor *= scale
            np.multiply(x[rows], factor, out=y[rows], dtype=dtype, casting='same_kind')

        _philox.for_chunks(x.shape, work)
        return (y,)

    def forward_gpu(self, inputs):
        (x,) = inputs
        y = _array.empty(x)
        cuda.elementwise(
            'raw T x, uint64 seed, uint64 draw, uint64 drop, float64 scale, int64 size',
            'raw T y',
            """
            typedef computed<T>::type C;
            unsigned long long words[4];
            philox_block(seed, draw, i, words);
#pragma unroll
            for (int lane = 0; lane < 8; ++lane) {
                const long long e = 8 * static_cast<long long>(i) + lane;
                if (e < size) {
                    const C factor = philox_lane(words, lane) < drop
                        ? C(0) : static_cast<C>(scale);
                    y[e] = static_cast<T>(times(static_cast<C>(x[e]), factor));
                }
            }
            """,
            'dropout_counted',
            preamble=_array.CUDA_SOURCE + _philox.CUDA_SOURCE,
        )(
            x,
            self.key[0],
            self.key[1],
            _philox.threshold(self.ratio),
            1 / (1 - self.ratio),
            x.size,
            y,
            size=-(-x.size // _philox.LANES),
        )
        return (y,)

    def backward(self, indexes, grad_outputs):
        return Dropout(self.ratio, self.key).apply(grad_outputs)


def dropout(x: Variable, ratio: float) -> Variable:
    """Drop elements with probability ``ratio`` and scale the others by 1 / (1 - ratio).

    Without noise (test mode, or inside :func:`chainer_zoo.no_noise`) it returns ``x``. float16 is
    computed in float32.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float of any shape with an axis.
        ratio (float): in [0, 1).

    Returns:
        :class:`~chainer.Variable`: of the shape, dtype and memory layout of ``x``.

    Raises:
        ~chainer_zoo.errors.UserError: if ``ratio`` is not in [0, 1).
    """
    noise.check_probability('the dropout ratio', ratio, below_one=True)
    if not noise.is_on() or ratio == 0:
        return chainer.as_variable(x)
    (y,) = Dropout(ratio, noise.generator.next_key()).apply((x,))
    return y
