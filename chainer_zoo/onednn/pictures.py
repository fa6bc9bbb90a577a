"""What :mod:`chainer_zoo.data.pictures_cpu` computes of pictures, with oneDNN."""
from chainer_zoo.data.pictures_cpu import VARIANCE_FLOOR
from chainer_zoo.onednn import library as dnnl
from chainer_zoo.onednn import primitive

# Rounds half up. oneDNN rounds half to even; a number of 0 to 255 with a little more than half of
# the smallest step of float32 there is not halfway any more, and hardly another one is rounded
# otherwise.
_LEVELS = ((dnnl.ELTWISE_LINEAR, 1, 1.01 * 2 ** -17), (dnnl.ELTWISE_ROUND, 0, 0),
           (dnnl.ELTWISE_CLIP, 0, 255))


def threads():
    """Return how many threads oneDNN may use."""
    return primitive.context().library.omp_get_max_threads()


def product(a, b, y, clip):
    """Write products of matrices, rounded to whole grey levels of 0 to 255.

    Args:
        a (numpy.ndarray): float32 (..., M, K). It may have length 1 where ``y`` has another.
        b (numpy.ndarray): float32 (..., K, N), likewise.
        y (numpy.ndarray): float32 (..., M, N).
        clip (bool): Not looked at: clipping costs nothing.
    """
    if a.ndim == 4 and b.shape[1] == 1:  # several with the same on their right are one, a high one
        a, b, y = (x.reshape(len(x), -1, x.shape[3]) for x in (a, b, y))
    arrays = a, b, y
    key = ('levels',) + tuple([(x.shape, x.strides) for x in arrays])

    def build():
        layouts = [primitive.strided(x.shape, [s // x.itemsize for s in x.strides])
                   for x in arrays]
        return primitive.Primitive(
            'levels of the products of {} and {}'.format(a.shape, b.shape),
            'dnnl_matmul_primitive_desc_create',
            (primitive.context().engine, layouts[0], layouts[1], None, layouts[2]),
            list(zip((dnnl.ARG_SRC, dnnl.ARG_WEIGHTS, dnnl.ARG_DST), layouts)), _LEVELS)
    primitive.cached(key, build).run(*arrays)


def normalize(y, out):
    """Write ``(y - mean) / sqrt(variance + 10)`` of each picture into ``out``.

    Both are float32 (P, 3, H, W) in C order.
    """
    shape = len(y), y[0].size

    def build():
        flat = primitive.contiguous(shape)
        return primitive.Primitive(
            'normalization of pictures {}'.format(y.shape),
            'dnnl_layer_normalization_forward_primitive_desc_create',
            (primitive.context().engine, dnnl.FORWARD_INFERENCE, flat, flat, None,
             VARIANCE_FLOOR, 0), [(dnnl.ARG_SRC, flat), (dnnl.ARG_DST, flat)])
    primitive.cached(('pictures', shape), build).run(y, out)
