"""Stochastic depth: residual branches that are dropped at random (Huang et al., 2016)."""

from __future__ import annotations

import chainer
import numpy as np
from chainer import backend
from chainer import function_node
from chainer import Variable
from chainer.backends import cuda
from chainer.utils import type_check

from chainer_zoo.errors import UserError
from chainer_zoo.functions import _array
from chainer_zoo.functions import _philox
from chainer_zoo.functions import noise
from chainer_zoo.functions.shortcut import add_scaled
from chainer_zoo.functions.shortcut import channel_slice
from chainer_zoo.functions.shortcut import check_branch
from chainer_zoo.functions.shortcut import check_stride
from chainer_zoo.functions.shortcut import element_kernel
from chainer_zoo.functions.shortcut import residual_add
from chainer_zoo.functions.shortcut import shortcut
from chainer_zoo.functions.shortcut import shortcut_grad
from chainer_zoo.functions.shortcut import strided


class _ImageMask(function_node.FunctionNode):
    """What drop-path with a draw for each image and its gradient share: which branches survive.

    Image b and group g of G have lane b * G + g of one draw.

    Args:
        p (float): survival probability.
        split (int or None): channels in the first of two groups, or None for one group of all.
        key (tuple of int): (seed, draw) of the mask.
    """

    def __init__(self, p, split, key):
        super().__init__()
        self.p = p
        self.split = split
        self.key = key

    @property
    def groups(self):
        return 1 if self.split is None else 2

    def mask_cpu(self, h):
        """Return 0 or 1 for each image and channel of h, (B, C_h, 1, 1)."""
        lanes = _philox.lanes(self.key, 0, h.shape[0] * self.groups)
        kept = _philox.kept(lanes, _philox.threshold(1 - self.p)).reshape(-1, self.groups)
        split = h.shape[1] if self.split is None else self.split
        mask = np.repeat(kept, [split, h.shape[1] - split][: self.groups], axis=1)
        return mask[:, :, None, None].astype(_array.computing_dtype(h.dtype))

    def mask_gpu(self, h):
        """Return 0 or 1 for each image and group, (B * G,); the kernels need no larger one."""
        mask = backend.get_array_module(h).empty(h.shape[0] * self.groups, h.dtype)
        size = mask.size
        cuda.elementwise(
            'uint64 seed, uint64 draw, uint64 drop, int64 size',
            'raw T mask',
            """
            unsigned long long words[4];
            philox_block(seed, draw, i, words);
            for (int lane = 0; lane < 8; ++lane) {
                const long long e = 8 * static_cast<long long>(i) + lane;
                if (e < size) {
                    mask[e] = T(philox_lane(words, lane) < drop ? 0 : 1);
                }
            }
            """,
            'image_mask',
            preamble=_philox.CUDA_SOURCE,
        )(
            self.key[0],
            self.key[1],
            _philox.threshold(1 - self.p),
            size,
            mask,
            size=-(-size // _philox.LANES),
        )
        return mask


class DropPath(_ImageMask):
    """m h + shortcut(x), m 0 or 1 for each image (and group of channels).

    Args:
        p (float): survival probability.
        split (int or None): channels in the first of two groups, or None for one group of all.
        stride (int): of x, in both directions.
        key (tuple of int): (seed, draw) of the mask.
    """

    def __init__(self, p, split, stride, key):
        super().__init__(p, split, key)
        self.stride = stride

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('h', 'x'))
        check_branch(*in_types + (self.stride,))

    def _empty(self, h, x):
        return _array.empty(h, (h.shape[0], max(h.shape[1], x.shape[1])) + h.shape[2:])

    def forward_cpu(self, inputs):
        h, x = inputs
        y = self._empty(h, x)
        add_scaled(y, h, strided(x, self.stride), self.mask_cpu(h), 0)
        return (y,)

    def forward_gpu(self, inputs):
        h, x = inputs
        y = self._empty(h, x)
        element_kernel(
            'raw T h, raw T x, raw T mask, index groups, index split, index channels_h, '
            'index channels_x, index stride',
            'T y',
            """
            typedef computed<T>::type C;
            C value = C(0);
            if (channel < channels_h) {
                const ptrdiff_t at[] = {image, channel, row, column};
                const I group = groups == 2 && channel >= split ? 1 : 0;
                const C factor = static_cast<C>(mask[image * groups + group]);
                value = times(static_cast<C>(h[at]), factor);
            }
            if (channel < channels_x) {
                const ptrdiff_t at[] = {image, channel, row * stride, column * stride};
                const C skip = static_cast<C>(x[at]);
                value = channel < channels_h ? plus(value, skip) : skip;
            }
            y = static_cast<T>(value);
            """,
            'drop_path_fwd',
            (h, x, y),
            _array.CUDA_SOURCE,
        )(
            h,
            x,
            self.mask_gpu(h),
            self.groups,
            self.split or 0,
            h.shape[1],
            x.shape[1],
            self.stride,
            *y.shape[1:] + (y,),
        )
        return (y,)

    def backward(self, indexes, grad_outputs):
        (gy,) = grad_outputs
        h, x = self.inputs
        grads = []
        if 0 in indexes:
            gh = channel_slice(gy, 0, h.shape[1])
            grads.extend(MaskImages(self.p, self.split, self.key).apply((gh,)))
        if 1 in indexes:
            grads.append(shortcut_grad(gy, x.shape, self.stride))
        return grads


class MaskImages(_ImageMask):
    """m h: linear in h and its own transpose, so its backward is itself with the same key."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('h',))
        type_check.expect(in_types[0].dtype.kind == 'f', in_types[0].ndim == 4)

    def forward_cpu(self, inputs):
        (h,) = inputs
        y = _array.empty(h)
        np.multiply(h, self.mask_cpu(h), out=y, casting='same_kind')
        return (y,)

    def forward_gpu(self, inputs):
        (h,) = inputs
        y = _array.empty(h)
        element_kernel(
            'raw T h, raw T mask, index groups, index split',
            'T y',
            """
            typedef computed<T>::type C;
            const ptrdiff_t at[] = {image, channel, row, column};
            const I group = groups == 2 && channel >= split ? 1 : 0;
            const C factor = static_cast<C>(mask[image * groups + group]);
            y = static_cast<T>(times(static_cast<C>(h[at]), factor));
            """,
            'mask_images',
            (h, y),
            _array.CUDA_SOURCE,
        )(h, self.mask_gpu(h), self.groups, self.split or 0, *y.shape[1:] + (y,))
        return (y,)

    def backward(self, indexes, grad_outputs):
        return MaskImages(self.p, self.split, self.key).apply(grad_outputs)


def survives(p: float) -> bool:
    """Draw once for a whole batch whether a branch that survives with probability ``p`` does.

    A model that asks before it computes the branch saves the computation, and the parameters of a
    dropped branch then have no gradient.

    Args:
        p (float): survival probability in [0, 1].

    Returns:
        bool: False where noise is on and p <= u, u uniform in [0, 1); else True.

    Raises:
        ~chainer_zoo.errors.UserError: if ``p`` is not in [0, 1].
    """
    noise.check_probability('the survival probability', p)
    return not noise.is_on() or p > noise.generator.uniform()


def survival_scale(p: float) -> float:
    """Return the factor of a branch that survives with probability ``p``.

    Args:
        p (float): survival probability in [0, 1].

    Returns:
        float: p in test mode; 1.0 in training mode, with noise or without.
    """
    return 1.0 if chainer.config.train else p


def drop_path(
    h: Variable, x: Variable, p: float, stride: int = 1, per_image: bool = False
) -> Variable:
    """Residual add whose branch ``h`` survives with probability ``p``, in one pass.

    The whole batch shares one draw, or each image has its own. Where the branch is dropped, only
    the shortcut is left; the result's shape does not depend on the draw. In test mode the branch
    is multiplied by ``p``; in training mode without noise it is kept as it is. float16 is computed
    in float32.

    Args:
        h (:class:`~chainer.Variable`): the branch, float (B, C_h, H, W).
        x (:class:`~chainer.Variable`): the block's input, float (B, C_x, H * stride, W * stride).
        p (float): survival probability in [0, 1].
        stride (int): the shortcut takes every ``stride``-th pixel.
        per_image (bool): one draw for each image instead of one for the batch.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_h, C_x), H, W).

    Raises:
        ~chainer_zoo.errors.UserError: if ``p`` is not in [0, 1] or the stride less than 1.
    """
    noise.check_probability('the survival probability', p)
    check_stride(stride)
    if not noise.is_on():
        return residual_add(h, x, stride, survival_scale(p))
    if per_image:
        (y,) = DropPath(p, None, stride, noise.generator.next_key()).apply((h, x))
        return y
    if survives(p):
        return residual_add(h, x, stride)
    return shortcut(x, max(h.shape[1], x.shape[1]), stride)


def separated_drop_path(
    h: Variable, x: Variable, p: float, split: int, stride: int = 1, per_image: bool = False
) -> Variable:
    """Residual add whose branch has two groups of channels that are dropped independently.

    As in PyramidNet with separated stochastic depth (Yamada et al., 2016): the first ``split``
    channels are those that the block's input has, the others are those that the block adds.

    Args:
        h (:class:`~chainer.Variable`): the branch, float (B, C_h, H, W).
        x (:class:`~chainer.Variable`): the block's input, float (B, C_x, H * stride, W * stride).
        p (float): survival probability of each group, in [0, 1].
        split (int): the number of channels in the first group, 0 < split < C_h.
        stride (int): the shortcut takes every ``stride``-th pixel.
        per_image (bool): one draw a group for each image instead of one for the batch.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_h, C_x), H, W).

    Raises:
        ~chainer_zoo.errors.UserError: if ``p`` is not in [0, 1], ``split`` leaves a group without
            channels, or the stride is less than 1.
    """
    noise.check_probability('the survival probability', p)
    check_stride(stride)
    if not 0 < split < h.shape[1]:
        raise UserError(
            f'the first group has {split} of {h.shape[1]} channels: give a number between'
        )
    if not noise.is_on():
        return residual_add(h, x, stride, survival_scale(p))
    if per_image:
        (y,) = DropPath(p, split, stride, noise.generator.next_key()).apply((h, x))
        return y
    old, added = survives(p), survives(p)
    channels = max(h.shape[1], x.shape[1])
    if old and added:
        return residual_add(h, x, stride)
    if old:
        return shortcut(residual_add(h[:, :split], x, stride), channels)
    if added:
        return residual_add(h[:, split:], x, stride, offset=split)
    return shortcut(x, channels, stride)
