"""Batch normalization with ReLU behind it, and with convolution before it."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import function_node
from chainer.functions.normalization import batch_normalization

from chainer_zoo import onednn


class BatchNormalizationReLU(function_node.FunctionNode):
    """ReLU(BN(x)) with the statistics of the batch, in one pass forward and one backward.

    Only for arrays that the CPU engine takes; :func:`bn_relu` sees to that.

    Args:
        eps (float): added to the variance.
        running_mean, running_var (numpy.ndarray or None): float32 (C,), updated in place.
        decay (float): what these keep of themselves.
    """

    def __init__(self, eps, running_mean, running_var, decay):
        super(BatchNormalizationReLU, self).__init__()
        self.eps = eps
        self.running_mean = running_mean
        self.running_var = running_var
        self.decay = decay

    def forward_cpu(self, inputs):
        from chainer_zoo.onednn import normalization
        from chainer_zoo.onednn import seam
        seam.note(self, True)
        x, gamma, beta = inputs
        y, self.mean, self.var, self.workspace = normalization.forward(
            x, gamma, beta, self.eps, True)
        self.inv_std = seam.update_statistics(
            x, self.mean, self.var, self.eps, self.decay, self.running_mean, self.running_var)
        self.retain_inputs((0, 1, 2))
        if self.workspace is None:  # else that says where y is 0, in a thirty-second of the memory
            self.retain_outputs((0,))
        return y,

    def backward(self, indexes, grad_outputs):
        x, gamma, beta = self.get_retained_inputs()
        y = self.get_retained_outputs()[0].array if self.workspace is None else None
        return BatchNormalizationReLUGrad(self, beta.array, y).apply(
            (x, gamma, grad_outputs[0]))


class BatchNormalizationReLUGrad(function_node.FunctionNode):
    """The gradients of x, gamma and beta.

    Args:
        node (BatchNormalizationReLU): the forward pass.
        beta (numpy.ndarray): float32 (C,).
        y (numpy.ndarray or None): its result, where its workspace does not say what was 0.
    """

    def __init__(self, node, beta, y):
        super(BatchNormalizationReLUGrad, self).__init__()
        self.node = node
        self.beta = beta
        self.y = y

    def forward_cpu(self, inputs):
        from chainer_zoo.onednn import normalization
        from chainer_zoo.onednn import seam
        seam.note(self, True)
        x, gamma, gy = inputs
        node = self.node
        self.retain_inputs((0, 1, 2))
        return normalization.backward(
            x, gamma, node.mean, node.var, gy, node.eps, self.y, node.workspace)

    def backward(self, indexes, grad_outputs):
        # Built from Chainer's own two gradients, whose gradients are known.
        x, gamma, gy = self.get_retained_inputs()
        node = self.node
        key_axis, axis = (1,), (0,) + tuple(range(2, x.ndim))
        expander = (None, slice(None)) + (None,) * (x.ndim - 2)
        from chainer_zoo.onednn import normalization
        from chainer_zoo.onednn import seam
        gradient = batch_normalization.BatchNormalizationGrad(
            node.eps, expander, axis, node.mean, None, node.inv_std, key_axis,
            seam.BatchNormalizationImpl(), node.var)
        y = self.y
        if y is None:
            y, _, _, _ = normalization.forward(x.array, gamma.array, self.beta, node.eps, True)
        mask = (y > 0).astype(y.dtype)
        with chainer.using_config('enable_backprop', True):
            gradient.apply((x, gamma, gy * mask))
        gx, ggamma, ggy = gradient.backward((0, 1, 2), grad_outputs)
        return gx, ggamma, ggy * mask


def _fuses(x, bn):
    """Return whether the CPU engine takes the two as one."""
    if not onednn.is_enabled() or bn.avg_mean is None or bn.gamma is None or bn.beta is None:
        return False
    from chainer_zoo.onednn import seam
    x = chainer.as_variable(x)
    return x.layout is None and seam.takes_batch_normalization(
        x.array, bn.gamma.array, bn.beta.array, bn.axis)


def bn_relu(x, bn):
    """Return ReLU(BN(x)).

    On the CPU engine both are one pass over the array. The result is the same everywhere.

    Args:
        x (:class:`~chainer.Variable`): float (B, C, H, W) or (B, C).
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.

    Returns:
        :class:`~chainer.Variable`: like ``x``, at least 0.
    """
    if not _fuses(x, bn):
        return F.relu(bn(x))
    if chainer.config.train:
        # statistics stay as they are where Chainer only computes a forward pass again
        statistics = (None, None) if chainer.config.in_recomputing else (bn.avg_mean, bn.avg_var)
        y, = BatchNormalizationReLU(bn.eps, *statistics + (bn.decay,)).apply(
            (x, bn.gamma, bn.beta))
        return y
    if chainer.config.enable_backprop:
        return F.relu(bn(x))
    from chainer_zoo.onednn import normalization
    x = chainer.as_variable(x)
    return chainer.Variable(normalization.fixed(
        x.array, bn.gamma.array, bn.beta.array, bn.avg_mean, bn.avg_var, bn.eps, True),
        requires_grad=x.requires_grad)


def _pair(x):
    return tuple(x) if hasattr(x, '__getitem__') else (x, x)


def conv_bn(x, conv, bn, relu=False):
    """Return BN(convolution(x)), or ReLU of it.

    With fixed statistics and no gradient wanted, the CPU engine convolves with weights that BN's
    scale has gone into, and there is one pass over the result. Otherwise it is the same function
    in its steps.

    Args:
        x (:class:`~chainer.Variable`): float (B, C, H, W).
        conv (:class:`~chainer.links.Convolution2D`): the convolution.
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.
        relu (bool): whether ReLU follows.

    Returns:
        :class:`~chainer.Variable`: float (B, O, H', W').
    """
    config = chainer.config
    if not (config.train or config.enable_backprop) and onednn.is_enabled():
        from chainer_zoo.onednn import seam
        known = conv.W.array, bn.avg_mean, bn.gamma, bn.beta  # what begins with the first input
        if (type(conv).forward is L.Convolution2D.forward and chainer.as_variable(x).layout is None
                and all(value is not None for value in known)):
            x = chainer.as_variable(x)
            y = seam.convolve_normalized(
                x.array, conv.W.array, None if conv.b is None else conv.b.array, bn.gamma.array,
                bn.beta.array, bn.avg_mean, bn.avg_var, bn.eps, _pair(conv.stride),
                _pair(conv.pad), _pair(conv.dilate), conv.groups, relu)
            if y is not seam.NOT_HERE:
                return chainer.Variable(y, requires_grad=x.requires_grad)
    y = conv(x)
    return bn_relu(y, bn) if relu else bn(y)
