"""Stages: what an engine computes of a sequence, several in one function node.

:mod:`chainer_zoo.sequence` asks an engine for a stage for each step. What a stage computes is
described here, once for all engines. An engine's own class adds the arithmetic: forward, backward,
and forward in test mode. Gradients of gradients go through Chainer's functions.
"""

from __future__ import annotations

import abc
from typing import cast

import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer import Variable

from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.geometry import Shape


class Stage(abc.ABC):
    """One stage of a function node. It takes the result of the stage before it.

    Attributes:
        name: what a profile calls it.
        inputs: the Variables that it takes besides, such as parameters or a shortcut.
        shape: of its result, (B, C, H, W) or (B, C).
        relu: whether it ends in ReLU.
    """

    name: str
    inputs: tuple[Variable, ...]
    shape: tuple[int, ...]
    relu = False

    @property
    def can_end_in_relu(self) -> bool:
        return not self.relu

    @abc.abstractmethod
    def forward(self, x, *inputs):
        """Return the result, in training mode, and keep what :meth:`backward` needs.

        Args:
            x (:ref:`ndarray`): the result of the stage before it.
            *inputs (:ref:`ndarray`): the arrays of :attr:`inputs`.
        """

    @abc.abstractmethod
    def backward(self, gy, wants_gx, more_gx=None):
        """Return the gradient of ``x``, and a list of those of :attr:`inputs`.

        Args:
            gy (:ref:`ndarray`): the gradient of the result.
            wants_gx (bool): whether that of ``x`` is needed; else it may be None.
            more_gx (:ref:`ndarray` or None): to be added to the gradient of ``x``. Only the first
                stage of a node is asked to.
        """

    @abc.abstractmethod
    def by_functions(self, x: Variable, *inputs: Variable) -> Variable:
        """Return what :meth:`forward` does, computed by Chainer's functions."""

    def evaluate(self, x):
        """Return the result in test mode, of which no gradient will be asked.

        Args:
            x (:ref:`ndarray`): the result of the stage before it.
        """
        return self.forward(x, *[variable.array for variable in self.inputs])


class Convolution(Stage):
    """A convolution, then, where they were added, the sum with a shortcut and ReLU.

    Args:
        x_shape (tuple of int): (B, C, H, W).
        link (chainer.links.Convolution2D): the convolution.

    Attributes:
        has_bias: whether the second of the inputs is a bias.
        adds: whether the last of them is a shortcut.
    """

    #: Whether it can compute BN and ReLU before it where it reads its input, in an evaluation.
    can_normalize_input = False
    #: Whether that is faster than a pass of its own.
    should_normalize_input = False

    def __init__(self, x_shape: tuple[int, ...], link: L.Convolution2D) -> None:
        self.inputs = (link.W,) if link.b is None else (link.W, link.b)
        self.has_bias = link.b is not None
        self.adds = False
        self.geometry = Geometry.of_link(link, cast(Shape, x_shape))
        self.shape = self.geometry.y_shape

    @property
    def name(self):
        parts = ['Convolution2D']
        if self.adds:
            parts.append(' + shortcut')
        if self.relu:
            parts.append(', ReLU')
        return ''.join(parts)

    @property
    def can_add(self) -> bool:
        """Whether a shortcut can be added to the result before that is stored."""
        return not self.adds and not self.relu

    def add(self, shortcut: Variable) -> None:
        """Have a shortcut, of the result's shape, added to the result."""
        self.inputs += (shortcut,)
        self.adds = True

    def unpack(self, inputs):
        """Return W, the bias or None, and the shortcut or None, of ``inputs``."""
        return (
            inputs[0],
            inputs[1] if self.has_bias else None,
            inputs[-1] if self.adds else None,
        )

    def by_functions(self, x, *inputs):
        W, b, shortcut = self.unpack(inputs)
        geometry = self.geometry
        y = F.convolution_2d(
            x, W, b, geometry.stride, geometry.pad, dilate=geometry.dilation, groups=geometry.groups
        )
        if shortcut is not None:
            y += shortcut
        return F.relu(y) if self.relu else y

    @abc.abstractmethod
    def evaluate(self, x, before=None, after=None, add=None, out=None):
        """Return the result in test mode, together with that of the stages around it.

        Args:
            x (:ref:`ndarray`): (B, C, H, W), the input of ``before``.
            before (Normalization or None): with ReLU, where :attr:`can_normalize_input`.
            after (Normalization or None): where the convolution has neither shortcut nor ReLU.
            add (Sum or None): after that.
            out (:ref:`ndarray` or None): where the result goes.
        """


class Normalization(Stage):
    """Batch normalization, then, where it was added, ReLU.

    Args:
        x_shape (tuple of int): (B, C, H, W) or (B, C).
        link (chainer.links.BatchNormalization): the normalization.
    """

    def __init__(self, x_shape: tuple[int, ...], link: L.BatchNormalization) -> None:
        self.link = link
        self.inputs = cast('tuple[Variable, ...]', (link.gamma, link.beta))
        self.shape = x_shape

    @property
    def name(self):
        return 'BatchNormalization, ReLU' if self.relu else 'BatchNormalization'

    def affine(self, gamma, beta, mean, var):
        """Return the scale and the shift that the statistics make of it, float32 (C,) each."""
        scale = gamma / np.sqrt(var + np.float32(self.link.eps))
        return scale, beta - mean * scale

    def by_functions(self, x, gamma, beta):
        y = F.batch_normalization(x, gamma, beta, eps=self.link.eps)
        return F.relu(y) if self.relu else y


class Sum(Stage):
    """The sum with a shortcut of the same shape, then, where it was added, ReLU."""

    def __init__(self, x_shape: tuple[int, ...], shortcut: Variable) -> None:
        self.inputs = (shortcut,)
        self.shape = x_shape

    @property
    def name(self):
        return '+ shortcut, ReLU' if self.relu else '+ shortcut'

    def by_functions(self, x, shortcut):
        return F.relu(x + shortcut) if self.relu else x + shortcut


class Concatenation(Stage):
    """The channels of another array, then those of the stage before it."""

    name = 'Concat'
    can_end_in_relu = False

    def __init__(self, x_shape: tuple[int, ...], other: Variable) -> None:
        b, channels, h, w = x_shape
        self.inputs = (other,)
        self.shape = (b, other.shape[1] + channels, h, w)

    def by_functions(self, x, other):
        return F.concat((other, x))


class Stages:
    """The stages that an engine offers. A subclass says which; this class offers none."""

    def can_take(self, array) -> bool:
        """Return whether ``array`` (:ref:`ndarray`) can be an input of a stage."""
        return False

    def convolve(
        self, x_shape: tuple[int, ...], link: L.Convolution2D, before: Stage | None
    ) -> Convolution | None:
        """Return the stage for a convolution, or None where its steps are computed apart.

        Args:
            x_shape (tuple of int): of its input.
            link (chainer.links.Convolution2D): the convolution.
            before (Stage or None): the stage that its input comes from.
        """
        return None

    def normalize(
        self, x_shape: tuple[int, ...], link: L.BatchNormalization
    ) -> Normalization | None:
        """Return the stage for a batch normalization, or None."""
        return None

    def add(self, x_shape: tuple[int, ...], shortcut: Variable) -> Sum | None:
        """Return the stage for a sum with a shortcut of the same shape, or None."""
        return None

    def concat(self, x_shape: tuple[int, ...], other: Variable) -> Concatenation | None:
        """Return the stage for a concatenation, with the channels of ``other`` first, or None."""
        return None

    def empty(self, shape: tuple[int, ...]):
        """Return an array (B, C, H, W) whose channels an evaluation's stages can write to."""
        raise NotImplementedError

    def copy_into(self, y, x) -> None:
        """Copy ``x`` into ``y``, some channels of an array of :meth:`empty`."""
        raise NotImplementedError


NO_STAGES = Stages()
