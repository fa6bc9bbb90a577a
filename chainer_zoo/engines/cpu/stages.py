"""The stages of a sequence on oneDNN; see :mod:`chainer_zoo.engines.stages`."""

from __future__ import annotations

import functools
import math

import chainer

from chainer_zoo.engines import stages
from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import normalization
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights


class OneDNNStages(stages.Stages):
    """The stages that oneDNN computes: of plain float32 arrays, and of links with plain arrays."""

    def can_take(self, array):
        return memory.is_plain(array)

    def convolve(self, x_shape, link, before):
        if (
            link.W.array is None
            or len(x_shape) != 4
            or x_shape[1] != link.W.shape[1] * link.groups
            or not _are_plain_and_contiguous([p.array for p in (link.W, link.b) if p is not None])
        ):
            return None
        stage = Convolve(x_shape, link, before)
        return None if stage.affine_fusion is None else stage

    def normalize(self, x_shape, link):
        if link.gamma is None or link.beta is None:
            return None
        arrays = [link.gamma.array, link.beta.array, link.avg_mean, link.avg_var]
        numbers_a_channel = x_shape[0] * math.prod(x_shape[2:])
        if (
            numbers_a_channel > 1  # for less Chainer has a warning
            and normalization.can_normalize(x_shape, link.axis, *arrays)
            and _are_plain_and_contiguous(arrays)
        ):
            return Normalize(x_shape, link)
        return None

    def add(self, x_shape, shortcut):
        return Add(x_shape, shortcut)

    def concat(self, x_shape, other):
        return Concat(x_shape, other)

    def empty(self, shape):
        return memory.empty_channels_last(shape)

    def copy_into(self, y, x):
        memory.copy_into(y, x)


def _are_plain_and_contiguous(arrays):
    return memory.is_plain(*arrays) and all([array.flags.c_contiguous for array in arrays])


@functools.lru_cache(maxsize=primitive.CACHE_SIZE)
def _examine(geometry, has_bias):
    """Return what can be fused into reading a convolution's input, an ``AffineFusion``.

    None if oneDNN does not compute the convolution.
    """
    if min(geometry.y_shape[2:]) <= 0 or not convolution.can_compute(geometry, has_bias):
        return None
    return convolution.affine_fusion(geometry)


class Convolve(stages.Convolution):
    """A convolution by oneDNN; see :class:`chainer_zoo.engines.stages.Convolution`.

    Args:
        x_shape (tuple of int): (B, C, H, W).
        link (chainer.links.Convolution2D): the convolution.
        before (chainer_zoo.engines.stages.Stage or None): the stage that its input comes from.
    """

    def __init__(self, x_shape, link, before):
        super().__init__(x_shape, link)
        self.before = before
        self.affine_fusion = _examine(self.geometry, self.has_bias)

    @property
    def can_normalize_input(self):
        return self.affine_fusion.can_fuse

    @property
    def should_normalize_input(self):
        return self.affine_fusion.should_fuse

    def forward(self, x, *inputs):
        W, b, shortcut = self.unpack(inputs)
        epilogue = []
        if shortcut is not None:
            epilogue.append(shortcut)
        if self.relu:
            epilogue.append(convolution.RELU)
        y = convolution.forward(x, W, b, self.geometry, epilogue)
        self.W = W
        self.y = y if self.relu else None
        self.x, self.x_affine = x, None
        if (
            isinstance(self.before, Normalize)
            and self.before.relu
            and self.affine_fusion.can_fuse_in_gradient
        ):
            # That stage keeps its own input anyway. To normalize it again saves keeping the result.
            self.x, self.x_affine = self.before.x, self.before.batch_affine()
        return y

    def evaluate(self, x, before=None, after=None, add=None, out=None):
        W, b, shortcut = self.unpack([variable.array for variable in self.inputs])
        epilogue = []
        if shortcut is not None:
            epilogue.append(shortcut)
        if self.relu or (after is not None and after.relu):
            epilogue.append(convolution.RELU)
        if add is not None:
            epilogue.append(add.inputs[0].array)
            if add.relu:
                epilogue.append(convolution.RELU)
        if after is not None:
            W, b = _normalized_weights(W, b, after), None
        affine = None if before is None else before.fixed_affine()
        return convolution.forward(x, W, b, self.geometry, epilogue, affine, out)

    def backward(self, gy, wants_gx, more_gx=None):
        if self.relu:
            gy = elementwise.relu_gradient(self.y, gy)
        gx = None
        if wants_gx:
            gx = convolution.backward_data(gy, self.W, self.geometry, more_gx)
        gW, gb = convolution.backward_weights(
            self.x, gy, self.geometry, self.has_bias, self.x_affine
        )
        gradients = [gW]
        if self.has_bias:
            gradients.append(gb)
        if self.adds:
            gradients.append(gy)
        return gx, gradients


def _normalized_weights(W, b, normalize):
    """Return the weights of a convolution and the fixed normalization after it, as one.

    Args:
        W (numpy.ndarray): float32 (O, C / groups, K_h, K_w).
        b (numpy.ndarray or None): float32 (O,).
        normalize (Normalize): the normalization.

    Returns:
        chainer_zoo.engines.cpu.weights.Derived: with a bias.
    """

    def make():
        scale, shift = normalize.fixed_affine()
        return W * scale[:, None, None, None], shift if b is None else shift + b * scale

    link = normalize.link
    sources = [W, b, link.gamma.array, link.beta.array, link.avg_mean, link.avg_var]
    return weights.Derived(
        ('normalized', link.eps), [a for a in sources if a is not None], W.shape, True, make
    )


class Normalize(stages.Normalization):
    """Batch normalization by oneDNN."""

    def forward(self, x, gamma, beta):
        link = self.link
        self.x, self.gamma, self.beta = x, gamma, beta
        y, self.mean, self.var = normalization.forward(x, gamma, beta, link.eps, self.relu)
        if not chainer.config.in_recomputing:  # which only computes a forward pass again
            normalization.update_statistics(
                x.size // gamma.size, self.mean, self.var, link.decay, link.avg_mean, link.avg_var
            )
        return y

    def batch_affine(self):
        """Return scale and shift by the statistics of the batch, float32 (C,) each."""
        return self.affine(self.gamma, self.beta, self.mean, self.var)

    def fixed_affine(self):
        """Return scale and shift by the running statistics, float32 (C,) each."""
        link = self.link
        return self.affine(link.gamma.array, link.beta.array, link.avg_mean, link.avg_var)

    def evaluate(self, x):
        link = self.link
        return normalization.fixed(
            x, link.gamma.array, link.beta.array, link.avg_mean, link.avg_var, link.eps, self.relu
        )

    def backward(self, gy, wants_gx, more_gx=None):
        gx, ggamma, gbeta = normalization.backward(
            self.x, self.gamma, self.beta, self.mean, self.var, gy, self.link.eps, self.relu
        )
        if more_gx is not None:
            joining.add_in_place(gx, more_gx)
        return gx, [ggamma, gbeta]


class Add(stages.Sum):
    """A sum by oneDNN."""

    def forward(self, x, shortcut):
        y = elementwise.add_relu(x, shortcut) if self.relu else elementwise.add((x, shortcut))
        self.y = y if self.relu else None
        return y

    def backward(self, gy, wants_gx, more_gx=None):
        g = elementwise.relu_gradient(self.y, gy) if self.relu else gy
        return g, [g]


class Concat(stages.Concatenation):
    """A concatenation by oneDNN."""

    def forward(self, x, other):
        self.bounds = [other.shape[1], self.shape[1]]
        return joining.concat((other, x))

    def backward(self, gy, wants_gx, more_gx=None):
        (gx,) = joining.split(gy, self.bounds)
        return gx, [memory.to_channels_last(gy, 'concat gradient')[:, : self.bounds[0]]]
