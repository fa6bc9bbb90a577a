"""Products of matrices: the linear layer and its gradients."""

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive


def _order(x, why):
    """Return ``x`` and whether it is in Fortran order; a copy in C order where it is in neither."""
    if x.flags.c_contiguous:
        return x, False
    if x.flags.f_contiguous:
        return x, True
    return memory.to_contiguous(x, why), False


def _describe(shape, fortran):
    return primitive.strided(shape, (1, shape[0]) if fortran else (shape[1], 1))


def product(a, b, bias=None):
    """Return a b + bias.

    Args:
        a (numpy.ndarray): float32 (M, K), in C or Fortran order.
        b (numpy.ndarray): float32 (K, N), in C or Fortran order.
        bias (numpy.ndarray or None): float32 (N,).

    Returns:
        numpy.ndarray: float32 (M, N) in C order.
    """
    a, a_fortran = _order(a, 'matrix product')
    b, b_fortran = _order(b, 'matrix product')
    shape = (a.shape[0], b.shape[1])
    key = ('product', a.shape, a_fortran, b.shape, b_fortran, bias is not None)

    def build():
        x, w = _describe(a.shape, a_fortran), _describe(b.shape, b_fortran)
        y = primitive.contiguous(shape)
        c = primitive.contiguous((1, shape[1])) if bias is not None else None
        arguments = [(dnnl.ARG_SRC, x), (dnnl.ARG_WEIGHTS, w), (dnnl.ARG_DST, y)]
        if bias is not None:
            arguments.append((dnnl.ARG_BIAS, c))
        return primitive.Primitive(
            f'product of {a.shape} and {b.shape}',
            'dnnl_matmul_primitive_desc_create',
            (primitive.context().engine, x, w, c, y),
            arguments,
        )

    y = memory.empty(shape)
    arrays = [a, b, y]
    if bias is not None:
        arrays.append(memory.to_contiguous(bias, 'bias'))
    primitive.cached(key, build).run(*arrays)
    return y
