"""Max and average pooling, channels last."""

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive

MAX = dnnl.POOLING_MAX
AVERAGE = dnnl.POOLING_AVERAGE


class _Pooling:
    """The primitives of one pooling.

    Args: as :func:`forward`.
    """

    def __init__(self, kind, x_shape, y_shape, ksize, stride, pad, has_gradient):
        name = '{} pooling x {} y {} window {} stride {} pad {}'.format(
            'max' if kind == MAX else 'average', x_shape, y_shape, ksize, stride, pad
        )
        # Where the windows cover all pixels the last one may stand out.
        end = tuple(
            max((y - 1) * s + k - x - p, 0)
            for x, y, k, s, p in zip(x_shape[2:], y_shape[2:], ksize, stride, pad)
        )
        x, y = primitive.channels_last(x_shape), primitive.channels_last(y_shape)
        geometry = tuple(primitive.dims(v) for v in (stride, ksize, (0, 0), pad, end))
        engine = primitive.context().engine
        workspace = (
            [(dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE)] if kind == MAX and has_gradient else []
        )
        self.y_shape = y_shape
        self.forward = primitive.Primitive(
            name,
            'dnnl_pooling_forward_primitive_desc_create',
            (engine, dnnl.FORWARD_TRAINING if has_gradient else dnnl.FORWARD_INFERENCE, kind, x, y)
            + geometry,
            [(dnnl.ARG_SRC, x), (dnnl.ARG_DST, y)] + workspace,
        )
        self.workspace_size = self.forward.layouts[2].size if workspace else 0
        if not has_gradient:
            return
        self.backward = primitive.Primitive(
            name + ' gradient',
            'dnnl_pooling_backward_primitive_desc_create',
            (engine, kind, x, y) + geometry + (self.forward,),
            [(dnnl.ARG_DIFF_SRC, x), (dnnl.ARG_DIFF_DST, y)] + workspace,
        )


def _get(*key):
    return primitive.cached(('pooling',) + key, lambda: _Pooling(*key))


def can_pool(x_shape, y_hw, ksize, stride, pad):
    """Return whether every window has a pixel in it: oneDNN refuses others."""
    return all(
        y > 0 and p < k and (y - 1) * s < n + p
        for n, y, k, s, p in zip(x_shape[2:], y_hw, ksize, stride, pad)
    )


def forward(kind, x, y_hw, ksize, stride, pad, has_gradient=True):
    """Pool.

    Args:
        kind (int): MAX or AVERAGE; padding counts in the average.
        x (numpy.ndarray): float32 (B, C, H, W).
        y_hw (pair of int): height and width of the result.
        ksize (pair of int): the window.
        stride (pair of int): of the window.
        pad (pair of int): before the first pixel.
        has_gradient (bool): whether :func:`backward` may be called.

    Returns:
        tuple: y, float32 (B, C, y_h, y_w), channels last; the workspace for :func:`backward`,
        None for averages and without a gradient.
    """
    pooling = _get(kind, x.shape, x.shape[:2] + tuple(y_hw), ksize, stride, pad, has_gradient)
    x = memory.to_channels_last(x, 'pooling')
    y = memory.empty_channels_last(pooling.y_shape)
    arrays = [x, y]
    workspace = None
    if pooling.workspace_size:
        workspace = memory.empty((-(-pooling.workspace_size // 4),))
        arrays.append(workspace)
    pooling.forward.run(*arrays)
    return y, workspace


def backward(kind, gy, workspace, x_shape, ksize, stride, pad):
    """Return the gradient of the input, float32 of ``x_shape``, channels last.

    Args:
        gy (numpy.ndarray): float32, the gradient of the result.
        workspace (numpy.ndarray or None): what :func:`forward` returned.
        x_shape (tuple of int): (B, C, H, W).

    The rest is as in :func:`forward`.
    """
    pooling = _get(kind, x_shape, gy.shape, ksize, stride, pad, True)
    gy = memory.to_channels_last(gy, 'pooling gradient')
    gx = memory.empty_channels_last(x_shape)
    arrays = [gx, gy] + ([] if workspace is None else [workspace])
    pooling.backward.run(*arrays)
    return gx


def indexes(workspace, y_shape):
    """Return which element of its window each maximum was, as Chainer numbers them.

    Args:
        workspace (numpy.ndarray): what :func:`forward` returned.
        y_shape (tuple of int): (B, C, y_h, y_w).

    Returns:
        numpy.ndarray: int64 (B, C, y_h, y_w), row by row in the window.
    """
    b, c, h, w = y_shape
    size = b * c * h * w
    stored = workspace.view(np.uint8 if workspace.nbytes < 4 * size else np.int32)[:size]
    return stored.reshape(b, h, w, c).transpose(0, 3, 1, 2).astype(np.int64)
