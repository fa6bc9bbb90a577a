"""Batch normalization and its gradient, alone or with ReLU behind it."""
from chainer_zoo.onednn import elementwise
from chainer_zoo.onednn import library as dnnl
from chainer_zoo.onednn import memory
from chainer_zoo.onednn import primitive

_AFFINE = dnnl.USE_SCALE | dnnl.USE_SHIFT


class _Normalization(object):
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
        self._eps = eps
        self._flags = _AFFINE | (dnnl.FUSE_RELU if relu else 0)
        self._forward = self._backward = self._fixed = None
        self._workspace_size = 0

    @property
    def forward(self):
        if self._forward is None:
            arguments = [
                (dnnl.ARG_SRC, self._x), (dnnl.ARG_DST, self._x), (dnnl.ARG_MEAN, self._c),
                (dnnl.ARG_VARIANCE, self._c), (dnnl.ARG_SCALE, self._c), (dnnl.ARG_SHIFT, self._c)]
            if self._flags & dnnl.FUSE_RELU:
                arguments.append((dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE))
            self._forward = primitive.Primitive(
                self.name + ' forward', 'dnnl_batch_normalization_forward_primitive_desc_create',
                (primitive.context().engine, dnnl.FORWARD_TRAINING, self._x, self._x, self._eps,
                 self._flags), arguments)
            if self._flags & dnnl.FUSE_RELU:
                self._workspace_size = self._forward.layouts[-1].size
        return self._forward

    @property
    def workspace_size(self):
        self.forward
        return self._workspace_size

    @property
    def backward(self):
        if self._backward is None:
            arguments = [
                (dnnl.ARG_SRC, self._x), (dnnl.ARG_MEAN, self._c), (dnnl.ARG_VARIANCE, self._c),
                (dnnl.ARG_SCALE, self._c), (dnnl.ARG_DIFF_DST, self._x),
                (dnnl.ARG_DIFF_SRC, self._x), (dnnl.ARG_DIFF_SCALE, self._c),
                (dnnl.ARG_DIFF_SHIFT, self._c)]
            if self._flags & dnnl.FUSE_RELU:
                arguments.append((dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE))
            self._backward = primitive.Primitive(
                self.name + ' backward', 'dnnl_batch_normalization_backward_primitive_desc_create',
                (primitive.context().engine, dnnl.BACKWARD, self._x, self._x, self._x, self._eps,
                 self._flags, self.forward), arguments)
        return self._backward

    @property
    def fixed(self):
        if self._fixed is None:
            self._fixed = primitive.Primitive(
                self.name + ' with fixed statistics',
                'dnnl_batch_normalization_forward_primitive_desc_create',
                (primitive.context().engine, dnnl.FORWARD_INFERENCE, self._x, self._x, self._eps,
                 self._flags | dnnl.USE_GLOBAL_STATS),
                [(dnnl.ARG_SRC, self._x), (dnnl.ARG_DST, self._x), (dnnl.ARG_MEAN, self._c),
                 (dnnl.ARG_VARIANCE, self._c), (dnnl.ARG_SCALE, self._c),
                 (dnnl.ARG_SHIFT, self._c)])
        return self._fixed


def _get(shape, eps, relu):
    return primitive.cached(
        ('normalization', shape, eps, relu), lambda: _Normalization(shape, eps, relu))


def _fuses(shape, eps):
    """Return whether the fused code is a good one.

    For channels that do not fill vectors there is only plain C++, many times slower than the
    vectorized normalization without ReLU and a ReLU in place behind it.
    """
    return primitive.cached(('normalization fuses', shape, eps), lambda: (
        'jit' in _get(shape, eps, True).forward.implementation,))[0]


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
    fused = relu and _fuses(x4.shape, eps)
    normalization = _get(x4.shape, eps, fused)
    y = memory.empty_channels_last(x4.shape)
    mean, var = memory.empty(gamma.shape), memory.empty(gamma.shape)
    gamma = memory.to_contiguous(gamma, 'batch normalization scale')
    beta = memory.to_contiguous(beta, 'batch normalization shift')
    arrays = [x4, y, mean, var, gamma, beta]
    workspace = None
    if fused:
        workspace = memory.empty((-(-normalization.workspace_size // 4),))
        arrays.append(workspace)
    normalization.forward.run(*[memory.address(a) for a in arrays])
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
    ggamma, gbeta = memory.empty(gamma.shape), memory.empty(gamma.shape)
    arrays = [x4, mean, var, gamma, gy4, gx, ggamma, gbeta]
    if relu:
        arrays.append(workspace)
    _get(x4.shape, eps, relu).backward.run(*[memory.address(a) for a in arrays])
    return gx.reshape(x.shape) if x.ndim == 2 else gx, ggamma, gbeta


def fixed(x, gamma, beta, mean, var, eps, relu):
    """Normalize with given statistics; returns y like x. Arguments as in :func:`forward`."""
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    y = memory.empty_channels_last(x4.shape)
    arrays = [x4, y] + [
        memory.to_contiguous(a, 'batch normalization statistics') for a in (mean, var, gamma, beta)]
    _get(x4.shape, eps, relu).fixed.run(*[memory.address(a) for a in arrays])
    return y.reshape(x.shape) if x.ndim == 2 else y
