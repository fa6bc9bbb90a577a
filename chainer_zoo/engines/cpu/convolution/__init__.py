"""Convolution and its gradients, channels last."""

import collections

from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.cpu.convolution import pointwise
from chainer_zoo.engines.cpu.convolution import products
from chainer_zoo.engines.cpu.convolution import winograd
from chainer_zoo.engines.seam import Refused

RELU = primitive.RELU
_ADDED = 'added'  # stands for any array in the name of a primitive


Normalized = collections.namedtuple('Normalized', 'possible worthwhile in_gradient')


class _Convolution:
    """The primitives of one convolution: forward, gradient of the data, of weights and bias.

    Args:
        key (tuple): the arguments of :func:`_get`.
    """

    def __init__(self, x_shape, w_shape, y_shape, stride, pad, dilate, groups):
        self.name = f'convolution x {x_shape} W {w_shape} y {y_shape} stride {stride} pad {pad} dilate {dilate} groups {groups}'
        self.y_shape = y_shape
        self._pad = pad
        self._by_winograd, self._gradient_by_winograd = winograd.takes(
            x_shape, w_shape, y_shape, stride, pad, dilate, groups
        )
        self._is_pointwise = pointwise.knows(x_shape, w_shape, y_shape, stride, pad, dilate, groups)
        self._by_products = products.takes(x_shape, w_shape, y_shape, stride, pad, dilate, groups)
        # What the window needs at the far side; none where it leaves pixels unused.
        end = tuple(
            max((y - 1) * s + (k - 1) * d + 1 - x - p, 0)
            for x, k, y, s, p, d in zip(x_shape[2:], w_shape[2:], y_shape[2:], stride, pad, dilate)
        )
        if groups > 1:
            out, rest = w_shape[0] // groups, w_shape[1:]
            w_shape = (groups, out) + rest
        self._x = primitive.channels_last(x_shape)
        self._y = primitive.channels_last(y_shape)
        self._w = primitive.any_layout(w_shape)
        self._w_plain = primitive.contiguous(w_shape)
        self._b = primitive.contiguous((y_shape[1],))
        self._geometry = tuple(
            primitive.dims(values) for values in (stride, tuple(d - 1 for d in dilate), pad, end)
        )
        self._primitives = {}

    def _make(self, kind, create):
        """Return the primitive that is kept under ``kind``, made by ``create`` at first."""
        made = self._primitives.get(kind)
        if made is None:
            try:
                made = create()
            except dnnl.OneDNNError as error:
                if error.status != dnnl.UNIMPLEMENTED:
                    raise
                made = Refused(str(error))
            if not isinstance(made, Refused) and made.implementation.startswith('ref'):
                # plain loops: Chainer's matrix product is faster
                made = Refused(f'{self.name}: {made.implementation}')
            self._primitives[kind] = made
        if isinstance(made, Refused):
            raise made
        return made

    def _reorder(self, kind, source, target):
        """Return the primitive from one layout of the weights to another, None if they are one."""
        if kind not in self._primitives:
            self._primitives[kind] = None if source == target else primitive.reorder(source, target)
        return self._primitives[kind]

    def _weights(self, kind, W, layout):
        """Return the weights in ``layout``, and the bias of derived ones."""
        reorder = self._reorder(kind, self._w_plain, layout)
        derived = isinstance(W, weights.Derived)
        if reorder is None and not derived:
            return W, None

        def order():
            plain, b = W.make() if derived else (W, None)
            if reorder is None:
                return plain, b
            W_ordered = memory.empty((layout.size // 4,))
            reorder.run(plain, W_ordered)
            return W_ordered, b

        return weights.kept(
            (self.name, kind, W.name if derived else None), W.sources if derived else (W,), order
        )

    def _forward(self, with_bias, then=()):
        def create():
            post_ops = [self._y if step is _ADDED else step for step in then]
            return primitive.Primitive(
                self.name + ' forward',
                'dnnl_convolution_forward_primitive_desc_create',
                (
                    primitive.context().engine,
                    dnnl.FORWARD_TRAINING,
                    dnnl.CONVOLUTION_DIRECT,
                    self._x,
                    self._w,
                    self._b if with_bias else None,
                    self._y,
                )
                + self._geometry,
                [
                    (dnnl.ARG_SRC, self._x),
                    (dnnl.ARG_WEIGHTS, dnnl.QUERY_WEIGHTS),
                    (dnnl.ARG_DST, self._y),
                ]
                + [(dnnl.ARG_BIAS, self._b)] * with_bias,
                post_ops,
            )

        return self._make(('forward', with_bias, then), create)

    def forward(self, x, W, b, then, line=None, y=None):
        if self._is_pointwise and (line is not None or y is not None):
            return pointwise.forward(x, W, b, then, line, y)
        if line is not None or self._by_winograd and openmp.can_follow(then):
            return winograd.forward(x, W, b, self.y_shape[2:], self._pad, then, line=line, y=y)
        arrays = [step for step in then if step is not RELU]
        then = tuple([RELU if step is RELU else _ADDED for step in then])
        with_bias = W.has_bias if isinstance(W, weights.Derived) else b is not None
        run = self._forward(with_bias, then)
        y = memory.empty_channels_last(self.y_shape)
        W, derived_b = self._weights(('weights', with_bias, then), W, run.layouts[1])
        if with_bias:
            arrays.insert(0, b if derived_b is None else derived_b)
        run.run(x, W, y, *arrays)
        return y

    def _data(self):
        def create():
            return primitive.Primitive(
                self.name + ' backward data',
                'dnnl_convolution_backward_data_primitive_desc_create',
                (primitive.context().engine, dnnl.CONVOLUTION_DIRECT, self._x, self._w, self._y)
                + self._geometry
                + (self._forward(False),),
                [
                    (dnnl.ARG_DIFF_SRC, self._x),
                    (dnnl.ARG_WEIGHTS, dnnl.QUERY_WEIGHTS),
                    (dnnl.ARG_DIFF_DST, self._y),
                ],
            )

        return self._make('data', create)

    def backward_data(self, gy, W, x_shape):
        run = self._data()
        gx = memory.empty_channels_last(x_shape)
        W, _ = self._weights('weights for data', W, run.layouts[1])
        run.run(gx, W, gy)
        return gx

    def _gradient(self, with_bias):
        def create():
            return primitive.Primitive(
                self.name + ' backward weights',
                'dnnl_convolution_backward_weights_primitive_desc_create',
                (
                    primitive.context().engine,
                    dnnl.CONVOLUTION_DIRECT,
                    self._x,
                    self._w,
                    self._b if with_bias else None,
                    self._y,
                )
                + self._geometry
                + (self._forward(with_bias),),
                [
                    (dnnl.ARG_SRC, self._x),
                    (dnnl.ARG_DIFF_WEIGHTS, dnnl.QUERY_DIFF_WEIGHTS),
                    (dnnl.ARG_DIFF_DST, self._y),
                ]
                + [(dnnl.ARG_DIFF_BIAS, self._b)] * with_bias,
            )

        return self._make(('gradient', with_bias), create)

    def backward_weights(self, x, gy, w_shape, with_bias, line=None):
        if line is not None or self._gradient_by_winograd:
            return winograd.gradient(x, gy, self._pad, with_bias, line)
        run = self._gradient(with_bias)
        if self._by_products and run.implementation in products.SLOW:
            return products.gradient(x, gy, w_shape, with_bias)
        gW = memory.empty(w_shape)
        gb = memory.empty((w_shape[0],)) if with_bias else None
        layout = run.layouts[1]
        reorder = self._reorder('gradient order', layout, self._w_plain)
        gW_ordered = gW if reorder is None else memory.empty((layout.size // 4,))
        run.run(x, gW_ordered, gy, *[gb] * with_bias)
        if reorder is not None:
            reorder.run(gW_ordered, gW)
        return gW, gb

    def takes(self, with_bias):
        """Return whether forward and both gradients have good code."""
        try:
            self._forward(with_bias)
            self._data()
            self._gradient(with_bias)
        except Refused:
            return False
        return True


def _get(x_shape, w_shape, y_shape, stride, pad, dilate, groups):
    key = ('convolution', x_shape, w_shape, y_shape, stride, pad, dilate, groups)
    return primitive.cached(key, lambda: _Convolution(*key[1:]))


def takes(x_shape, w_shape, with_bias, y_hw, stride, pad, dilate, groups):
    """Return whether oneDNN has fast code for a convolution and its gradients.

    Arguments as in :func:`forward`, with shapes for arrays.
    """
    y_shape = (x_shape[0], w_shape[0]) + tuple(y_hw)
    return _get(x_shape, w_shape, y_shape, stride, pad, dilate, groups).takes(with_bias)


def reads_normalized(x_shape, w_shape, y_hw, stride, pad, dilate, groups):
    """Return whether a convolution can normalize what it reads, which then is no pass of its own.

    Arguments as in :func:`forward`, with shapes for arrays.

    Returns:
        Normalized: :func:`forward` can; that is no slower; :func:`backward_weights` can.
    """
    y_shape = (x_shape[0], w_shape[0]) + tuple(y_hw)
    arguments = x_shape, w_shape, y_shape, stride, pad, dilate, groups
    by_winograd, gradient = winograd.takes(*arguments)
    is_pointwise = pointwise.knows(*arguments)
    return Normalized(
        is_pointwise or winograd.knows(*arguments), is_pointwise or by_winograd, gradient
    )


def forward(x, W, b, y_hw, stride, pad, dilate, groups, then=(), line=None, y=None):
    """Convolve.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W).
        W (numpy.ndarray or chainer_zoo.engines.cpu.weights.Derived): float32 (O, C / groups, K_h, K_w).
        b (numpy.ndarray or None): float32 (O,); None where W is derived.
        y_hw (pair of int): height and width of the result.
        stride (pair of int): of the window.
        pad (pair of int): zeros before the first pixel; after the last as many as ``y_hw`` asks.
        dilate (pair of int): distance of the kernel's elements, 1 for a plain convolution.
        groups (int): of channels.
        then (sequence): what happens to the result before it is stored, in this order:
            :data:`RELU`, or an array that is added, float32 (B, O, y_h, y_w).
        line (pair of numpy.ndarray or None): float32 (C,) both, scale and shift: what is convolved
            is ReLU(scale x + shift). Only where :func:`reads_normalized` says that it can be; what
            may follow then is what :func:`chainer_zoo.engines.cpu.openmp.can_follow` says.
        y (numpy.ndarray or None): where the result goes, some channels of a channels-last array.

    Returns:
        numpy.ndarray: float32 (B, O, y_h, y_w), channels last.

    Raises:
        Refused: oneDNN has no fast code for it.
    """
    y_shape = (x.shape[0], W.shape[0]) + tuple(y_hw)
    convolution = _get(x.shape, W.shape, y_shape, stride, pad, dilate, groups)
    x = (memory.to_channels_last if line is None else memory.to_pixels)(x, 'convolution')
    if not isinstance(W, weights.Derived):
        W = memory.to_contiguous(W, 'convolution weights')
    if b is not None:
        b = memory.to_contiguous(b, 'convolution bias')
    then = [step if step is RELU else memory.to_channels_last(step, 'convolution') for step in then]
    try:
        found = convolution.forward(x, W, b, then, line, y)
    except Refused:
        if not then:
            raise
        found = convolution.forward(x, W, b, ())
        for step in then:
            if step is RELU:
                elementwise.relu_in_place(found)
            else:
                found = elementwise.add((found, step))
    if y is None or found is y:
        return found
    memory.copy_into(y, found)
    return y


def backward_data(gy, W, x_hw, stride, pad, dilate, groups, plus=None):
    """Return the gradient of the input, float32 (B, C, H, W), channels last.

    Args:
        gy (numpy.ndarray): float32 (B, O, y_h, y_w), the gradient of the result.
        W (numpy.ndarray): float32 (O, C / groups, K_h, K_w).
        x_hw (pair of int): height and width of the input.
        plus (numpy.ndarray or None): float32 (B, C, H, W), added to it.

    The rest is as in :func:`forward`.
    """
    w_shape = (W.shape[1], W.shape[0]) + W.shape[2:]
    x_shape = (gy.shape[0], W.shape[1] * groups) + tuple(x_hw)
    back = tuple(d * (k - 1) - p for k, p, d in zip(W.shape[2:], pad, dilate))
    W = memory.to_contiguous(W, 'convolution weights')
    if winograd.takes(gy.shape, w_shape, x_shape, stride, back, dilate, groups)[0]:
        gy = memory.to_channels_last(gy, 'convolution gradient')
        then = [] if plus is None else [memory.to_channels_last(plus, 'convolution gradient')]
        return winograd.forward(gy, W, None, x_shape[2:], back, then, turned=True)
    if plus is not None:
        if stride == (1, 1) and groups == 1 and min(back) >= 0:
            # A convolution itself, to whose result oneDNN can add before that is stored.
            turned = weights.Derived(
                'turned',
                (W,),
                w_shape,
                False,
                lambda: (W[:, :, ::-1, ::-1].swapaxes(0, 1).copy(), None),
            )
            return forward(gy, turned, None, x_hw, stride, back, dilate, groups, [plus])
        gx = backward_data(gy, W, x_hw, stride, pad, dilate, groups)
        joining.add_in_place(gx, plus)
        return gx
    convolution = _get(x_shape, W.shape, gy.shape, stride, pad, dilate, groups)
    gy = memory.to_channels_last(gy, 'convolution gradient')
    return convolution.backward_data(gy, W, x_shape)


def backward_weights(x, gy, w_shape, with_bias, stride, pad, dilate, groups, line=None):
    """Return the gradients of weights and bias.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W).
        gy (numpy.ndarray): float32 (B, O, y_h, y_w), the gradient of the result.
        w_shape (tuple of int): (O, C / groups, K_h, K_w).
        with_bias (bool): whether the gradient of the bias is wanted.
        line (pair of numpy.ndarray or None): as in :func:`forward`, where
            :func:`reads_normalized` says that the gradient can be computed so.

    The rest is as in :func:`forward`.

    Returns:
        tuple: float32 arrays of shape ``w_shape`` and (O,), the second None without bias.
    """
    convolution = _get(x.shape, w_shape, gy.shape, stride, pad, dilate, groups)
    x = memory.to_channels_last(x, 'convolution')
    gy = memory.to_channels_last(gy, 'convolution gradient')
    return convolution.backward_weights(x, gy, w_shape, with_bias, line)
