"""Arrays that share channels or pixels with others: joined, split, added; channels last."""

import ctypes

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive


def concat(xs):
    """Return float32 arrays (B, C_i, H, W) joined along their channels, channels last."""
    xs = [memory.to_channels_last(x, 'concat') for x in xs]
    shapes = tuple(x.shape for x in xs)
    b, _, h, w = shapes[0]
    shape = (b, sum(s[1] for s in shapes), h, w)

    def build():
        layouts = [primitive.channels_last(s) for s in shapes]
        y = primitive.channels_last(shape)
        return primitive.Primitive(
            f'concat {shapes}',
            'dnnl_concat_primitive_desc_create',
            (
                primitive.context().engine,
                y,
                len(xs),
                1,
                (ctypes.c_void_p * len(xs))(*[layout.handle for layout in layouts]),
            ),
            [(dnnl.ARG_MULTIPLE_SRC + i, layout) for i, layout in enumerate(layouts)]
            + [(dnnl.ARG_DST, y)],
        )

    y = memory.empty_channels_last(shape)
    primitive.cached(('concat', shapes), build).run(*xs + [y])
    return y


def split(x, bounds):
    """Return the channels of x in pieces, each dense, channels last.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W).
        bounds (list of int): where pieces begin and end, from 0 to C.
    """
    x = memory.to_channels_last(x, 'split')
    b, c, h, w = x.shape
    pieces = []
    for start, stop in zip(bounds[:-1], bounds[1:]):
        shape = (b, stop - start, h, w)
        y = memory.empty_channels_last(shape)
        if y.size:
            primitive.cached(
                ('split', x.shape, shape),
                lambda shape=shape: primitive.reorder(
                    primitive.strided(shape, (h * w * c, 1, w * c, c)),
                    primitive.channels_last(shape),
                ),
            ).run(x[:, start:stop], y)
        pieces.append(y)
    return tuple(pieces)


def _picked(shape, stride):
    """Describe every ``stride``-th pixel of a channels-last array of ``shape`` (B, C, H, W)."""
    b, c, h, w = shape
    return primitive.strided(
        (b, c, -(-h // stride), -(-w // stride)), (h * w * c, 1, stride * w * c, stride * c)
    )


def _first_channels(shape, channels):
    """Describe the first ``channels`` channels of a channels-last array of ``shape``."""
    b, c, h, w = shape
    return primitive.strided((b, channels, h, w), (h * w * c, 1, w * c, c))


def can_pick(x_shape, stride):
    """Return whether oneDNN can be told of every ``stride``-th pixel of an array (B, C, H, W).

    To it rows and images that are no multiple of the stride seem to overlap.
    """
    return all(n % stride == 0 for n in x_shape[2:])


def residual_add(h, x, stride):
    """Return h plus every ``stride``-th pixel of x, in the first channels of h.

    Args:
        h (numpy.ndarray): float32 (B, C_h, H, W).
        x (numpy.ndarray): float32 (B, C_x, H_x, W_x), C_x <= C_h, H = ceil(H_x / stride).
        stride (int): in both directions.
    """
    h = memory.to_channels_last(h, 'residual add')
    x = memory.to_channels_last(x, 'residual add')
    y = memory.copy(h)
    primitive.cached(
        ('residual add', h.shape, x.shape, stride),
        lambda: primitive.reorder(
            _picked(x.shape, stride), _first_channels(h.shape, x.shape[1]), [primitive.SUM]
        ),
    ).run(x, y)
    return y


def add_in_place(y, x):
    """Add x to y.

    Args:
        y (numpy.ndarray): float32 (B, C, H, W), channels last, or of another number of axes.
        x (numpy.ndarray): likewise, or the first C channels of such an array.
    """
    if y.ndim != 4:
        y += x
        return
    if not all(s and s % 4 == 0 for s in x.strides):
        x = memory.to_channels_last(x, 'sum')
    strides = tuple([s // 4 for s in x.strides])
    primitive.cached(
        ('add in place', x.shape, strides),
        lambda: primitive.reorder(
            primitive.strided(x.shape, strides), primitive.channels_last(x.shape), [primitive.SUM]
        ),
    ).run(x, y)


def shortcut_gradient(gy, x_shape, stride):
    """Return the gradient of x in :func:`residual_add`, float32 of ``x_shape``.

    Args:
        gy (numpy.ndarray): float32 (B, C, H, W), at least as many channels as x.
        x_shape (tuple of int): (B, C_x, H_x, W_x).
        stride (int): in both directions.
    """
    gy = memory.to_channels_last(gy, 'residual add gradient')
    gx = memory.empty_channels_last(x_shape)
    gx.fill(0)
    primitive.cached(
        ('shortcut gradient', gy.shape, x_shape, stride),
        lambda: primitive.reorder(_first_channels(gy.shape, x_shape[1]), _picked(x_shape, stride)),
    ).run(gy, gx)
    return gx
