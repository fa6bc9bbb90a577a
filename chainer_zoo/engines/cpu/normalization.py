"""Batch normalization and its gradient, alone or with ReLU behind it."""

import numpy as np

from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive

_AFFINE = dnnl.USE_SCALE | dnnl.USE_SHIFT
_VECTOR = 16  # float32 numbers in the widest vector


def _vector_shape(shape):
    """Return the shape under which BN's per-channel arithmetic fills vectors.

    Pixels of a channels-last array lie behind each other. Taking k of them for one with k times
    the channels changes nothing for a function of single numbers, and k * C can be a multiple of
    16, the float32 numbers of a vector, where C is not.

    Args:
        shape (tuple of int): (B, C, H, W).

    Returns:
        tuple: (B * H * W / k, k * C, 1, 1), and k. ``shape`` and 1 where C is such a multiple or
        the number of pixels has no such divisor.
    """
    b, c, h, w = shape
    k = 1
    while k * c % _VECTOR and k < _VECTOR:
        k *= 2
    if k == 1 or k * c % _VECTOR or b * h * w % k:
        return shape, 1
    return (b * h * w // k, k * c, 1, 1), k


class _Normalization:
    """The primitives for one shape.

    Args:
        shape (tuple of int): (B, C, H, W).
        eps (float): added to the variance.
        relu (bool): whether ReLU follows.
    """

    def __init__(self, shape, eps, relu):
        self.name = 'batch normalization{} {}'.format(' and ReLU' if relu else '', shape)
        self._x = primitive.channels_last(shape)
        self._c = primitive.contiguous((shape[1],))
        self._one = primitive.channels_last((1, shape[1], 1, 1))
        self._eps = eps
        self._flags = _AFFINE | (dnnl.FUSE_RELU if relu else 0)
        self._made = {}

    def _forward(self, kind, flags, statistics_only=False):
        """Return a forward primitive; with a workspace where it trains and ReLU is fused."""
        key = kind, flags, statistics_only
        if key not in self._made:
            arguments = [
                (dnnl.ARG_SRC, self._x),
                (dnnl.ARG_DST, self._x),
                (dnnl.ARG_MEAN, self._c),
                (dnnl.ARG_VARIANCE, self._c),
            ]
            if not statistics_only:
                arguments += [(dnnl.ARG_SCALE, self._c), (dnnl.ARG_SHIFT, self._c)]
            if flags & dnnl.FUSE_RELU and kind == dnnl.FORWARD_TRAINING:
                arguments.append((dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE))
            self._made[key] = primitive.Primitive(
                self.name + ' forward',
                'dnnl_batch_normalization_forward_primitive_desc_create',
                (primitive.context().engine, kind, self._x, self._x, self._eps, flags),
                arguments,
            )
        return self._made[key]

    @property
    def forward(self):
        return self._forward(dnnl.FORWARD_TRAINING, self._flags)

    @property
    def statistics(self):
        """The primitive that only has to compute mean and variance (it normalizes too)."""
        return self._forward(dnnl.FORWARD_TRAINING, 0, True)

    @property
    def fixed(self):
        return self._forward(dnnl.FORWARD_INFERENCE, self._flags | dnnl.USE_GLOBAL_STATS)

    @property
    def fixed_for_gradient(self):
        """As :attr:`fixed`, with a workspace where ReLU is fused."""
        return self._forward(dnnl.FORWARD_TRAINING, self._flags | dnnl.USE_GLOBAL_STATS)

    @property
    def backward(self):
        return self._backward(self.forward, self._flags)

    @property
    def backward_fixed(self):
        """The gradient as if mean and variance did not depend on x."""
        return self._backward(self.fixed_for_gradient, self._flags | dnnl.USE_GLOBAL_STATS)

    def _backward(self, forward, flags):
        if ('backward', flags) not in self._made:
            arguments = [
                (dnnl.ARG_SRC, self._x),
                (dnnl.ARG_MEAN, self._c),
                (dnnl.ARG_VARIANCE, self._c),
                (dnnl.ARG_SCALE, self._c),
                (dnnl.ARG_DIFF_DST, self._x),
                (dnnl.ARG_DIFF_SRC, self._x),
                (dnnl.ARG_DIFF_SCALE, self._c),
                (dnnl.ARG_DIFF_SHIFT, self._c),
            ]
            if self._flags & dnnl.FUSE_RELU:
                arguments.append((dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE))
            self._made['backward', flags] = primitive.Primitive(
                self.name + ' backward',
                'dnnl_batch_normalization_backward_primitive_desc_create',
                (
                    primitive.context().engine,
                    dnnl.BACKWARD,
                    self._x,
                    self._x,
                    self._x,
                    self._eps,
                    flags,
                    forward,
                ),
                arguments,
            )
        return self._made['backward', flags]

    @property
    def line(self):
        """The primitive that adds a x + b to an array, with a and b for each channel."""
        if 'line' not in self._made:
            self._made['line'] = primitive.Primitive(
                self.name + ' line',
                'dnnl_binary_primitive_desc_create',
                (primitive.context().engine, dnnl.BINARY_MUL, self._x, self._one, self._x),
                [(dnnl.ARG_SRC, self._x), (dnnl.ARG_SRC_1, self._one), (dnnl.ARG_DST, self._x)],
                [self._one, primitive.SUM],
            )
        return self._made['line']


def _get(shape, eps, relu):
    return primitive.cached(
        ('normalization', shape, eps, relu), lambda: _Normalization(shape, eps, relu)
    )


def _fuses(shape, eps, fixed):
    """Return whether the fused code is a good one.

    For channels that do not fill vectors there is only plain C++, many times slower than the
    vectorized normalization without ReLU and a ReLU in place behind it.
    """

    def forward():
        normalization = _get(shape, eps, True)
        return normalization.fixed_for_gradient if fixed else normalization.forward

    return primitive.cached(
        ('normalization fuses', shape, eps, fixed), lambda: ('jit' in forward().implementation,)
    )[0]


def can_normalize(x_shape, axis, *parameters):
    """Return whether oneDNN normalizes float32 arrays of a shape.

    Args:
        x_shape (tuple of int): (B, C, H, W) or (B, C).
        axis (tuple of int or None): what statistics are taken over.
        *parameters (numpy.ndarray or None): of scale, shift and, where given, statistics: all
            must be there, float32 (C,).
    """
    return (
        len(x_shape) in (2, 4)
        and axis in (None, (0,) + tuple(range(2, len(x_shape))))
        and memory.is_plain(*parameters)
        and all(a.shape == x_shape[1:2] for a in parameters)
    )


def _as_4d(x):
    return x if x.ndim == 4 else x[:, :, None, None]


def forward(x, gamma, beta, eps, relu):
    """Normalize with the statistics of the batch.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W) or (B, C).
        gamma (numpy.ndarray): float32 (C,), the scale.
        beta (numpy.ndarray): float32 (C,), the shift.
        eps (float): added to the variance.
        relu (bool): whether ReLU follows.

    Returns:
        tuple: y like x, channels last; mean and variance (biased), float32 (C,); the workspace
        that :func:`backward` wants, None where ReLU is absent or was not fused.
    """
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    shape, k = _vector_shape(x4.shape)
    by_loops = openmp.can_run()
    fused = relu and _fuses(shape, eps, by_loops or k > 1)
    normalization = _get(shape, eps, fused)
    y = memory.empty_channels_last(x4.shape)
    gamma = memory.to_contiguous(gamma, 'batch normalization scale')
    beta = memory.to_contiguous(beta, 'batch normalization shift')
    if by_loops or k > 1:
        mean, var = moments(x4) if by_loops else _statistics(x4, y, shape, k, eps)
        run = normalization.fixed_for_gradient
        arrays = [x4, y] + [a if k == 1 else np.tile(a, k) for a in (mean, var, gamma, beta)]
    else:
        mean, var = memory.empty(gamma.shape), memory.empty(gamma.shape)
        run = normalization.forward
        arrays = [x4, y, mean, var, gamma, beta]
    workspace = None
    if fused:
        workspace = memory.empty((-(-run.layouts[-1].size // 4),))
        arrays.append(workspace)
    run.run(*arrays)
    if relu and not fused:
        elementwise.relu_in_place(y)
    return y.reshape(x.shape) if x.ndim == 2 else y, mean, var, workspace


def backward(x, gamma, mean, var, gy, eps, y=None, workspace=None):
    """Return the gradients of x, gamma and beta.

    Args:
        x, gamma, eps: as in :func:`forward`.
        mean, var, workspace: what it returned.
        gy (numpy.ndarray): float32, the gradient of its result.
        y (numpy.ndarray or None): its result where ReLU followed.
    """
    relu = workspace is not None
    if y is not None and not relu:
        gy = elementwise.relu_gradient(y, gy)
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    gy4 = memory.to_channels_last(_as_4d(gy), 'batch normalization gradient')
    gamma = memory.to_contiguous(gamma, 'batch normalization scale')
    gx = memory.empty_channels_last(x4.shape)
    shape, k = _vector_shape(x4.shape)
    normalization = _get(shape, eps, relu)
    mean, var, gamma = (a if k == 1 else np.tile(a, k) for a in (mean, var, gamma))
    ggamma, gbeta = memory.empty(gamma.shape), memory.empty(gamma.shape)
    arrays = [x4, mean, var, gamma, gy4, gx, ggamma, gbeta] + [workspace] * relu
    run = normalization.backward if k == 1 else normalization.backward_fixed
    run.run(*arrays)
    if k > 1:
        # What x does to mean and variance is a straight line in x for each channel.
        ggamma, gbeta = (g.reshape(k, -1).sum(axis=0) for g in (ggamma, gbeta))
        count = x4.size // ggamma.size
        inv_std = 1 / np.sqrt(var.astype(np.float64) + eps)
        a = -gamma * inv_std * inv_std * np.tile(ggamma, k) / count
        b = -gamma * inv_std * np.tile(gbeta, k) / count - a * mean
        a, b = a.astype(np.float32), b.astype(np.float32)
        normalization.line.run(x4, a, gx, b)
    return gx.reshape(x.shape) if x.ndim == 2 else gx, ggamma, gbeta


def update_statistics(count, mean, var, decay, running_mean, running_var):
    """Update running statistics in place as Chainer does.

    Args:
        count (int): numbers a channel that were normalized.
        mean, var (numpy.ndarray): of this batch, float32 (C,); the variance is biased.
        decay (float): what the running statistics keep of themselves.
        running_mean, running_var (numpy.ndarray or None): overwritten.
    """
    if running_mean is not None:
        running_mean *= decay
        running_mean += (1 - decay) * mean
        running_var *= decay
        running_var += (1 - decay) * (count / max(count - 1.0, 1.0)) * var  # unbiased


def moments(x):
    """Return mean and (biased) variance of each channel, float32 (C,), exact to rounding.

    oneDNN adds up one pixel after the other in float32, which costs a deep network a digit.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W), channels last.
    """
    found = memory.empty((openmp.thread_limit(), 3, x.shape[1]))
    found[:, 0] = 0  # of a thread that does not come
    openmp.run('batch normalization, moments', 'take_moments', (openmp.pixels(x), found), ())
    mean, var = memory.empty(x.shape[1:2]), memory.empty(x.shape[1:2])
    openmp.loops().join_moments(found, mean, var)
    return mean, var


def _statistics(x, y, shape, k, eps):
    """Return mean and variance of x (B, C, H, W); ``y`` is scratch memory of its size.

    Each of the k pixels that :func:`_vector_shape` takes for one gives its own, which are joined.
    """
    means, variances = memory.empty((shape[1],)), memory.empty((shape[1],))
    _get(shape, eps, False).statistics.run(x, y, means, variances)
    means, variances = means.reshape(k, -1), variances.reshape(k, -1)
    mean = means.mean(axis=0)
    return mean, (variances + np.square(means - mean)).mean(axis=0)


def _run_fixed(x, y, gamma, beta, mean, var, eps, relu):
    """Normalize channels-last x into y with given statistics."""
    shape, k = _vector_shape(x.shape)
    arrays = [x, y] + [
        memory.to_contiguous(a, 'batch normalization statistics') if k == 1 else np.tile(a, k)
        for a in (mean, var, gamma, beta)
    ]
    _get(shape, eps, relu).fixed.run(*arrays)


def fixed(x, gamma, beta, mean, var, eps, relu):
    """Normalize with given statistics; returns y like x. Arguments as in :func:`forward`."""
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    y = memory.empty_channels_last(x4.shape)
    _run_fixed(x4, y, gamma, beta, mean, var, eps, relu)
    return y.reshape(x.shape) if x.ndim == 2 else y
