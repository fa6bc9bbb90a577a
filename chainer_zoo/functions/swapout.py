"""Swapout (Singh, Hoiem and Forsyth, 2016) without stored masks."""

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

# Element e has two lanes: 2e for the mask of x, 2e + 1 for that of f. So a block serves 4 elements.
_ELEMENTS = _philox.LANES // 2

_KEY = (
    'uint64 seed, uint64 draw, uint64 drop1, uint64 drop2, float64 scale1, float64 scale2, '
    'int64 size'
)

# A thread computes one block and handles its elements; {} is done for element e.
_LOOP = """
typedef computed<T>::type C;
unsigned long long words[4];
philox_block(seed, draw, i, words);
#pragma unroll
for (int k = 0; k < 4; ++k) {{
    const long long e = 4 * static_cast<long long>(i) + k;
    if (e < size) {{
        const C m1 = philox_lane(words, 2 * k) < drop1 ? C(0) : static_cast<C>(scale1);
        const C m2 = philox_lane(words, 2 * k + 1) < drop2 ? C(0) : static_cast<C>(scale2);
        {}
    }}
}}
"""


class _Masked(function_node.FunctionNode):
    """What swapout and its gradient share: the two masks.

    Args:
        theta1 (float): probability that an element of x is dropped, in [0, 1).
        theta2 (float): the same for f.
        key (tuple of int): (seed, draw) of both masks.
    """

    def __init__(self, theta1, theta2, key):
        super().__init__()
        self.thetas = theta1, theta2
        self.key = key

    def with_masks(self, array, work):
        """Call ``work(rows, mask of x, mask of f)`` for pieces of a NumPy array, masks scaled."""
        dtype = _array.computing_dtype(array.dtype)

        def draw(rows, start):
            shape = array[rows].shape
            lanes = _philox.lanes(self.key, 2 * start, 2 * array[rows].size)
            pair = []
            for k, theta in enumerate(self.thetas):
                mask = _philox.kept(lanes[k::2], _philox.threshold(theta)).astype(dtype)
                mask *= dtype.type(1 / (1 - theta))
                pair.append(mask.reshape(shape))
            work(rows, *pair)

        _philox.for_chunks(array.shape, draw)

    def kernel_arguments(self, size):
        """Return what the kernels take after their arrays."""
        theta1, theta2 = self.thetas
        return self.key + (
            _philox.threshold(theta1),
            _philox.threshold(theta2),
            1 / (1 - theta1),
            1 / (1 - theta2),
            size,
        )


class Swapout(_Masked):
    """y = m1 x / (1 - theta1) + m2 f / (1 - theta2); nothing is retained."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x', 'f'))
        x, f = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim > 0, f.dtype == x.dtype, f.shape == x.shape)

    def forward_cpu(self, inputs):
        x, f = inputs
        y = _array.empty(f)
        dtype = _array.computing_dtype(x.dtype)

        def work(rows, mask1, mask2):
            np.multiply(x[rows], mask1, out=mask1)
            np.multiply(f[rows], mask2, out=mask2)
            np.add(mask1, mask2, out=y[rows], dtype=dtype, casting='same_kind')

        self.with_masks(y, work)
        return (y,)

    def forward_gpu(self, inputs):
        x, f = inputs
        y = _array.empty(f)
        cuda.elementwise(
            'raw T x, raw T f, ' + _KEY,
            'raw T y',
            _LOOP.format(
                'y[e] = static_cast<T>(plus(times(static_cast<C>(x[e]), m1), '
                'times(static_cast<C>(f[e]), m2)));'
            ),
            'swapout_fwd',
            preamble=_array.CUDA_SOURCE + _philox.CUDA_SOURCE,
        )(x, f, *self.kernel_arguments(y.size) + (y,), size=-(-y.size // _ELEMENTS))
        return (y,)

    def backward(self, indexes, grad_outputs):
        gx, gf = SwapoutGrad(*self.thetas + (self.key,)).apply(grad_outputs)
        return tuple((gx, gf)[i] for i in indexes)


class SwapoutGrad(_Masked):
    """(gx, gf) = (m1 gy / (1 - theta1), m2 gy / (1 - theta2)), the masks computed again."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('gy',))
        type_check.expect(in_types[0].dtype.kind == 'f', in_types[0].ndim > 0)

    def forward_cpu(self, inputs):
        (gy,) = inputs
        gx, gf = _array.empty(gy), _array.empty(gy)
        dtype = _array.computing_dtype(gy.dtype)

        def work(rows, mask1, mask2):
            np.multiply(gy[rows], mask1, out=gx[rows], dtype=dtype, casting='same_kind')
            np.multiply(gy[rows], mask2, out=gf[rows], dtype=dtype, casting='same_kind')

        self.with_masks(gy, work)
        return gx, gf

    def forward_gpu(self, inputs):
        (gy,) = inputs
        gx, gf = _array.empty(gy), _array.empty(gy)
        cuda.elementwise(
            'raw T gy, ' + _KEY,
            'raw T gx, raw T gf',
            _LOOP.format(
                'const C g = static_cast<C>(gy[e]); '
                'gx[e] = static_cast<T>(times(g, m1)); '
                'gf[e] = static_cast<T>(times(g, m2));'
            ),
            'swapout_bwd',
            preamble=_array.CUDA_SOURCE + _philox.CUDA_SOURCE,
        )(gy, *self.kernel_arguments(gy.size) + (gx, gf), size=-(-gy.size // _ELEMENTS))
        return gx, gf

    def backward(self, indexes, grad_outputs):
        ggx, ggf = grad_outputs
        theta1, theta2 = self.thetas
        if ggx is None:
            ggx = ggf.xp.zeros_like(ggf.array)
        if ggf is None:
            ggf = ggx.xp.zeros_like(ggx.array)
        return Swapout(theta1, theta2, self.key).apply((ggx, ggf))


def swapout(
    x: Variable, f: Variable, theta1: float, theta2: float, sample: bool = False
) -> Variable:
    """Return m1 x / (1 - theta1) + m2 f / (1 - theta2), with masks m1 and m2 for each element.

    So each element is 0, x, f or x + f at random (section 3 of the paper), scaled as in
    dropout. Without noise (test mode without ``sample``, or inside
    :func:`chainer_zoo.no_noise`) it is x + f. float16 is computed in float32.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): the shortcut, float of any shape.
        f (:class:`~chainer.Variable` or :ref:`ndarray`): the branch, of the same shape and dtype.
        theta1 (float): probability that an element of ``x`` is dropped, in [0, 1).
        theta2 (float): probability that an element of ``f`` is dropped, in [0, 1).
        sample (bool): draw masks in test mode too, as stochastic inference does.

    Returns:
        :class:`~chainer.Variable`: of the shape, dtype and memory layout of ``f``.

    Raises:
        ~chainer_zoo.errors.UserError: if a theta is not in [0, 1).
    """
    noise.check_probability('theta1', theta1, below_one=True)
    noise.check_probability('theta2', theta2, below_one=True)
    if not noise.is_on(sample) or theta1 == theta2 == 0:
        return chainer.as_variable(x) + f
    (y,) = Swapout(theta1, theta2, noise.generator.next_key()).apply((x, f))
    return y
