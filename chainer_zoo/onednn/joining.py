"""Concatenation of channels, and its gradient, channels last."""
import ctypes

from chainer_zoo.onednn import library as dnnl
from chainer_zoo.onednn import memory
from chainer_zoo.onednn import primitive


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
            'concat {}'.format(shapes), 'dnnl_concat_primitive_desc_create',
            (primitive.context().engine, y, len(xs), 1,
             (ctypes.c_void_p * len(xs))(*[layout.handle for layout in layouts])),
            [(dnnl.ARG_MULTIPLE_SRC + i, layout) for i, layout in enumerate(layouts)]
            + [(dnnl.ARG_DST, y)])
    y = memory.empty_channels_last(shape)
    primitive.cached(('concat', shapes), build).run(
        *[memory.address(x) for x in xs] + [memory.address(y)])
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
            primitive.cached(('split', x.shape, shape), lambda: primitive.reorder(
                primitive.strided(shape, (h * w * c, 1, w * c, c)),
                primitive.channels_last(shape)),
            ).run(memory.address(x) + 4 * start, memory.address(y))
        pieces.append(y)
    return tuple(pieces)
