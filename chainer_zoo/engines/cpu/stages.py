"""The stages of a :class:`chainer_zoo.engines.cpu.sequence.Sequence`.

Every stage has ``parameters`` (the Variables it takes beside the input), ``first`` (whether it
takes the input of the first stage, too, as its last parameter), ``shape`` (of its result),
``relu`` (whether ReLU is part of it), ``name``, ``forward`` of arrays, ``backward`` of an array to
the gradients of its input and of each parameter, and ``again``, the same as ``forward`` for
Variables. What can be a first stage adds ``plus`` to the gradient of its input.
"""

import functools
import math

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import normalization
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.geometry import Geometry


@functools.lru_cache(maxsize=primitive.CACHE_SIZE)
def _examine(geometry, has_bias):
    """Return what a convolution does for its input, None if oneDNN does not compute it.

    That is an :class:`chainer_zoo.engines.cpu.convolution.AffineFusion`.
    """
    if min(geometry.y_shape[2:]) <= 0 or not convolution.can_compute(geometry, has_bias):
        return None
    return convolution.affine_fusion(geometry)


class Convolve:
    """A convolution, then on request the sum with an array, then on request ReLU.

    Args:
        x_shape (tuple of int): (B, C, H, W).
        link (chainer.links.Convolution2D): the convolution.
    """

    def __init__(self, x_shape, link):
        self.parameters = [link.W] if link.b is None else [link.W, link.b]
        self.has_bias = link.b is not None
        self.adds = self.relu = self.first = False
        self.geometry = Geometry.of_link(link, x_shape)
        self.affine_fusion = _examine(self.geometry, self.has_bias)
        self.shape = self.geometry.y_shape

    @classmethod
    def of(cls, x_shape, link):
        """Return the stage for ``link``, None where oneDNN does not compute it."""
        if (
            type(link).forward is not L.Convolution2D.forward
            or link.W.array is None
            or len(x_shape) != 4
            or x_shape[1] != link.W.shape[1] * link.groups
        ):
            return None
        stage = cls(x_shape, link)
        arrays = [p.array for p in stage.parameters]
        if (
            stage.affine_fusion is not None
            and memory.is_plain(*arrays)
            and all([a.flags.c_contiguous for a in arrays])
        ):
            return stage
        return None

    @property
    def name(self):
        return 'Convolution2D' + ' + shortcut' * self.adds + ', ReLU' * self.relu

    def add(self, x, first):
        """Have Variable ``x``, of the result's shape, added to the result.

        Args:
            x (chainer.Variable): what to add.
            first (bool): whether it is the input of the first stage.
        """
        self.parameters += [x] * (not first)
        self.first = first
        self.adds = True

    def _unpack(self, parameters):
        return (
            parameters[0],
            parameters[1] if self.has_bias else None,
            (parameters[-1:] if self.adds else []),
        )

    def forward(self, x, *parameters):
        W, b, added = self._unpack(parameters)
        self.x, self.W, self._line = x, W, None
        y = convolution.forward(
            x, W, b, self.geometry, list(added) + [convolution.RELU] * self.relu
        )
        self.y = y if self.relu else None
        return y

    def forget_input(self, ahead):
        """Keep the input of the normalization ahead instead of its result, if that will do.

        It is kept anyway, so this saves the memory of the result.

        Args:
            ahead (Normalize): it has just been computed.
        """
        if self.affine_fusion.can_fuse_in_gradient and ahead.workspace is not None:
            self.x, self._line = ahead.x, ahead.batch_line()

    def forward_fixed(self, x, ahead=None, behind=None, then=(), y=None):
        """Return its result, with fixed normalization ahead of it and behind it, in one pass.

        The statistics of what is ahead are used where the input is read, those of what is behind
        go into the weights. No gradient can be asked for.

        Args:
            x (numpy.ndarray): float32 (B, C, H, W).
            ahead (Normalize or None): with ReLU; only where ``affine_fusion.can_fuse``.
            behind (Normalize or None): without its ReLU.
            then (list), y (numpy.ndarray or None): as
                :func:`chainer_zoo.engines.cpu.convolution.forward` takes them.
        """
        W, b, _ = self._unpack([p.array for p in self.parameters])
        line = None if ahead is None else ahead.line()
        if behind is not None:

            def fold(W=W, b=b):
                scale, shift = behind.line()
                return (W * scale[:, None, None, None], shift + (0 if b is None else b) * scale)

            sources = [
                W,
                b,
                behind.link.gamma.array,
                behind.link.beta.array,
                behind.link.avg_mean,
                behind.link.avg_var,
            ]
            W = weights.Derived(
                ('normalized', behind.link.eps),
                [a for a in sources if a is not None],
                W.shape,
                True,
                fold,
            )
            b = None
        return convolution.forward(x, W, b, self.geometry, then, line, y)

    def backward(self, gy, wants_x, plus=None):
        if self.relu:
            gy = elementwise.relu_gradient(self.y, gy)
        gx = convolution.backward_data(gy, self.W, self.geometry, plus) if wants_x else None
        gW, gb = convolution.backward_weights(self.x, gy, self.geometry, self.has_bias, self._line)
        return gx, [gW] + [gb] * self.has_bias + [gy] * self.adds

    def again(self, x, *parameters):
        W, b, added = self._unpack(parameters)
        stride, pad, dilate, groups = self.geometry[3:]
        y = F.convolution_2d(x, W, b, stride, pad, dilate=dilate, groups=groups)
        if self.adds:
            y += added[0]
        return F.relu(y) if self.relu else y


class Normalize:
    """Batch normalization, on request with ReLU.

    Args:
        x_shape (tuple of int): (B, C, H, W) or (B, C).
        link (chainer.links.BatchNormalization): the normalization.
    """

    def __init__(self, x_shape, link):
        self.link = link
        self.relu = self.first = False
        self.shape = x_shape
        self.parameters = [link.gamma, link.beta]

    @property
    def name(self):
        return 'BatchNormalization' + ', ReLU' * self.relu

    @classmethod
    def of(cls, x_shape, link):
        """Return the stage for ``link``, None where oneDNN does not compute it."""
        if link.gamma is None or link.beta is None:
            return None
        known = link.gamma.array, link.beta.array, link.avg_mean, link.avg_var
        pixels = x_shape[0] * math.prod(x_shape[2:])
        if (
            pixels > 1  # for less Chainer has a warning
            and type(link).forward is L.BatchNormalization.forward
            and normalization.can_normalize(x_shape, link.axis, *known)
            and all([a.flags.c_contiguous for a in known])
        ):
            return cls(x_shape, link)
        return None

    def forward(self, x, gamma, beta):
        link = self.link
        self.x, self.gamma, self.beta = x, gamma, beta
        y, self.mean, self.var, self.workspace = normalization.forward(
            x, gamma, beta, link.eps, self.relu
        )
        if not chainer.config.in_recomputing:  # which only computes a forward pass again
            normalization.update_statistics(
                x.size // gamma.size, self.mean, self.var, link.decay, link.avg_mean, link.avg_var
            )
        # The workspace says where y is 0, in a thirty-second of the memory.
        self.y = y if self.relu and self.workspace is None else None
        return y

    def line(self):
        """Return what the running statistics make of it: scale and shift, float32 (C,)."""
        link = self.link
        return self._line(link.gamma.array, link.beta.array, link.avg_mean, link.avg_var)

    def batch_line(self):
        """Return what the statistics of the batch made of it, likewise."""
        return self._line(self.gamma, self.beta, self.mean, self.var)

    def _line(self, gamma, beta, mean, var):
        scale = gamma / np.sqrt(var + np.float32(self.link.eps))
        return scale, beta - mean * scale

    def forward_fixed(self, x):
        """Return float32 array ``x`` normalized with the running statistics."""
        link = self.link
        return normalization.fixed(
            x, link.gamma.array, link.beta.array, link.avg_mean, link.avg_var, link.eps, self.relu
        )

    def backward(self, gy, wants_x, plus=None):
        gx, ggamma, gbeta = normalization.backward(
            self.x, self.gamma, self.mean, self.var, gy, self.link.eps, self.y, self.workspace
        )
        if plus is not None:
            joining.add_in_place(gx, plus)
        return gx, [ggamma, gbeta]

    def again(self, x, gamma, beta):
        y = F.batch_normalization(x, gamma, beta, eps=self.link.eps)
        return F.relu(y) if self.relu else y


class Add:
    """The sum with a shortcut of the same shape, on request with ReLU."""

    def __init__(self, x_shape, shortcut, first):
        self.shape = x_shape
        self.relu = False
        self.parameters = [shortcut] * (not first)
        self.first = first

    @property
    def name(self):
        return '+ shortcut' + ', ReLU' * self.relu

    def forward(self, x, shortcut):
        y = elementwise.add((x, shortcut), self.relu)
        self.y = y if self.relu else None
        return y

    def backward(self, gy, wants_x):
        g = elementwise.relu_gradient(self.y, gy) if self.relu else gy
        return g, [g]

    def again(self, x, shortcut):
        return F.relu(x + shortcut) if self.relu else x + shortcut


class Concat:
    """The channels of the first stage's input, then the others."""

    name = 'Concat'
    parameters = ()
    first = relu = True  # nothing of ReLU can be joined to it

    def __init__(self, x_shape, joined_shape):
        b, channels, h, w = x_shape
        self.joined = joined_shape[1]
        self.shape = b, self.joined + channels, h, w

    def forward(self, x, joined):
        return joining.concat((joined, x))

    def backward(self, gy, wants_x):
        (gx,) = joining.split(gy, [self.joined, self.shape[1]])
        return gx, [memory.to_channels_last(gy, 'concat gradient')[:, : self.joined]]

    def again(self, x, joined):
        return F.concat((joined, x))
