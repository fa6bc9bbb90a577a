"""Max and average pooling, channels last."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive


class Window(NamedTuple):
    """What is pooled into one pixel. Pairs are (vertical, horizontal).

    Attributes:
        ksize: height and width.
        stride: pixels from one window to the next.
        pad: pixels before the first; after the last there are as many as the result needs.
    """

    ksize: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]


def can_pool(x_shape: tuple[int, ...], y_hw: tuple[int, int], window: Window) -> bool:
    """Return whether every window has a pixel in it: oneDNN refuses others."""
    return all(
        y > 0 and p < k and (y - 1) * s < n + p for n, y, k, s, p in zip(x_shape[2:], y_hw, *window)
    )


def max_forward(
    x: np.ndarray, y_hw: tuple[int, int], window: Window, has_gradient: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the maxima.

    Args:
        x: float32 (B, C, H, W), all finite: oneDNN overlooks NaN, and takes a window of -inf for
            one of the least finite number.
        y_hw: height and width of the result.
        window: where :func:`can_pool`.
        has_gradient: whether :func:`max_backward` may be called.

    Returns:
        tuple: y, float32 (B, C, y_h, y_w), channels last; the workspace for :func:`max_backward`,
        None without a gradient.
    """
    pool = _get(dnnl.POOLING_MAX, x.shape, (*x.shape[:2], *y_hw), window, has_gradient)
    x = memory.to_channels_last(x, 'pooling')
    y = memory.empty_channels_last(pool.y_shape)
    if not has_gradient:
        pool.forward.run(x, y)
        return y, None
    workspace = memory.empty((-(-pool.workspace_size // 4),))
    pool.forward.run(x, y, workspace)
    return y, workspace


def max_backward(
    gy: np.ndarray, workspace: np.ndarray, x_shape: tuple[int, ...], window: Window
) -> np.ndarray:
    """Return the gradient of the input, float32 of ``x_shape``, channels last.

    Args:
        gy: float32 (B, C, y_h, y_w), the gradient of the result.
        workspace: what :func:`max_forward` returned.
        x_shape: (B, C, H, W).
        window: as there.
    """
    pool = _get(dnnl.POOLING_MAX, x_shape, gy.shape, window, True)
    gy = memory.to_channels_last(gy, 'pooling gradient')
    gx = memory.empty_channels_last(x_shape)
    pool.backward.run(gx, gy, workspace)
    return gx


def max_indexes(workspace: np.ndarray, y_shape: tuple[int, ...]) -> np.ndarray:
    """Return which element of its window each maximum was, as Chainer numbers them.

    Args:
        workspace: what :func:`max_forward` returned.
        y_shape: (B, C, y_h, y_w).

    Returns:
        numpy.ndarray: int64 (B, C, y_h, y_w), row by row in the window.
    """
    b, c, h, w = y_shape
    size = b * c * h * w
    stored = workspace.view(np.uint8 if workspace.nbytes < 4 * size else np.int32)[:size]
    return stored.reshape(b, h, w, c).transpose(0, 3, 1, 2).astype(np.int64)


def average_forward(x: np.ndarray, y_hw: tuple[int, int], window: Window) -> np.ndarray:
    """Return averages, in which padding counts: float32 (B, C, y_h, y_w), channels last.

    Args:
        x: float32 (B, C, H, W).
        y_hw: height and width of the result.
        window: where :func:`can_pool`.
    """
    pool = _get(dnnl.POOLING_AVERAGE, x.shape, (*x.shape[:2], *y_hw), window, True)
    x = memory.to_channels_last(x, 'pooling')
    y = memory.empty_channels_last(pool.y_shape)
    pool.forward.run(x, y)
    return y


def average_backward(gy: np.ndarray, x_shape: tuple[int, ...], window: Window) -> np.ndarray:
    """Return the gradient of the input, float32 of ``x_shape``, channels last.

    Args:
        gy: float32 (B, C, y_h, y_w), the gradient of the result.
        x_shape: (B, C, H, W).
        window: as in :func:`average_forward`.
    """
    pool = _get(dnnl.POOLING_AVERAGE, x_shape, gy.shape, window, True)
    gy = memory.to_channels_last(gy, 'pooling gradient')
    gx = memory.empty_channels_last(x_shape)
    pool.backward.run(gx, gy)
    return gx


def _get(*key):
    return primitive.cached(('pooling', *key), lambda: _Pooling(*key))


class _Pooling:
    """The primitives of one pooling."""

    def __init__(self, kind, x_shape, y_shape, window, has_gradient):
        name = 'max' if kind == dnnl.POOLING_MAX else 'average'
        name += f' pooling x {x_shape} y {y_shape} {window}'
        # Where the windows cover all pixels the last one may stand out.
        end = [
            max((y - 1) * s + k - x - p, 0)
            for x, y, k, s, p in zip(x_shape[2:], y_shape[2:], *window)
        ]
        no_dilation = (0, 0)
        geometry = [
            primitive.dims(pair)
            for pair in (window.stride, window.ksize, no_dilation, window.pad, end)
        ]
        x, y = primitive.channels_last(x_shape), primitive.channels_last(y_shape)
        engine = primitive.context().engine
        workspace = []
        if kind == dnnl.POOLING_MAX and has_gradient:
            workspace.append((dnnl.ARG_WORKSPACE, dnnl.QUERY_WORKSPACE))
        self.y_shape = y_shape
        self.forward = primitive.Primitive(
            name,
            'dnnl_pooling_forward_primitive_desc_create',
            (
                engine,
                dnnl.FORWARD_TRAINING if has_gradient else dnnl.FORWARD_INFERENCE,
                kind,
                x,
                y,
                *geometry,
            ),
            [(dnnl.ARG_SRC, x), (dnnl.ARG_DST, y), *workspace],
        )
        self.workspace_size = self.forward.layouts[2].size if workspace else 0
        if has_gradient:
            self.backward = primitive.Primitive(
                name + ' gradient',
                'dnnl_pooling_backward_primitive_desc_create',
                (engine, kind, x, y, *geometry, self.forward),
                [(dnnl.ARG_DIFF_SRC, x), (dnnl.ARG_DIFF_DST, y), *workspace],
            )
