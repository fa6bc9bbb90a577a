"""Convolutions and batch normalizations that cuDNN computes: on a stand-in for it and on a GPU.

:func:`convolution`, :func:`deconvolution` and :func:`normalization` run a case on a device and
return its results on the host, by name; :func:`assert_close` compares them with those of the CPU
in float64.
"""

import warnings

import chainer
import chainer.functions as F
import function_cases
import numpy as np
from chainer.backends import cuda

import chainer_zoo
from chainer_zoo.report import golden

# x (B, C, H, W), W (K, C / groups, kernel), and the options
CONVOLUTIONS = {
    '3x3': ((2, 3, 7, 6), (4, 3, 3, 3), {'pad': 1}),
    '1x1': ((3, 4, 5, 5), (6, 4, 1, 1), {}),
    'one pixel': ((2, 5, 1, 1), (3, 5, 1, 1), {}),
    'one pixel and a frame': ((1, 1, 1, 1), (1, 1, 3, 3), {'pad': 1}),
    'stride': ((2, 3, 9, 8), (4, 3, 3, 3), {'stride': 2, 'pad': 1}),
    'stride leaves pixels over': ((2, 3, 8, 10), (4, 3, 1, 1), {'stride': (2, 3)}),
    'odd sizes': ((3, 5, 11, 7), (7, 5, 5, 2), {'stride': (2, 1), 'pad': (2, 0)}),
    'dilation': ((2, 3, 11, 12), (4, 3, 3, 3), {'pad': (2, 3), 'dilate': (2, 3)}),
    'groups': ((2, 6, 7, 7), (4, 3, 3, 3), {'pad': 1, 'groups': 2}),
    'depthwise': ((2, 6, 8, 8), (6, 1, 3, 3), {'pad': 1, 'stride': 2, 'groups': 6}),
    'groups, dilation and stride': (
        (2, 4, 12, 9),
        (6, 2, 3, 3),
        {'pad': 2, 'stride': 2, 'dilate': 2, 'groups': 2},
    ),
    'wide': ((4, 16, 16, 16), (32, 16, 3, 3), {'pad': 1}),
}

# x (B, C, H, W), W (C, K / groups, kernel), and the options
DECONVOLUTIONS = {
    '4x4': ((2, 3, 4, 5), (3, 4, 4, 4), {'stride': 2, 'pad': 1}),
    'size': ((2, 3, 4, 4), (3, 2, 3, 3), {'stride': 2, 'pad': 1, 'outsize': (8, 7)}),
    # the convolution back would look beyond its input, which cuDNN does not do: Chainer's own code
    'size of cover_all': ((2, 3, 4, 4), (3, 2, 3, 3), {'stride': 2, 'pad': 1, 'outsize': (6, 7)}),
    'groups and dilation': ((2, 4, 5, 4), (4, 3, 2, 3), {'groups': 2, 'dilate': (2, 1)}),
}

# x, the axis given to Chainer, the type of the parameters beside float16
NORMALIZATIONS = {
    'images': ((6, 5, 4, 3), None, None),
    'one pixel': ((7, 4, 1, 1), None, None),
    'one image': ((1, 4, 5, 6), None, None),
    'many': ((32, 16, 8, 8), None, None),
    'vectors': ((9, 6), None, None),
    'channels in the last axis': ((3, 4, 5, 6), (0, 1, 2), None),
    'parameters in float32': ((6, 5, 4, 3), None, 'f'),
}

DTYPES = ['float16', 'float32', 'float64']

#: Largest error against float64 on the same numbers, as a part of the largest number.
#: Winograd's rule adds rounding; TensorFloat-32 would be 1e-3.
TOLERANCE = {'float16': 1e-2, 'float32': 2e-4, 'float64': 1e-6}


def _draw(shapes, dtype, seed=0):
    """Draw arrays that float16 holds exactly."""
    rng = np.random.RandomState(seed)
    return [rng.uniform(-1, 1, shape).astype(np.float16).astype(dtype) for shape in shapes]


def _variables(device, arrays, how='contiguous'):
    return [
        chainer.Variable(
            device.send(a)
            if how == 'contiguous' or a.ndim != 4
            else function_cases.layout(device.send(a), how, device.xp)
        )
        for a in arrays
    ]


def _gradients(y, inputs, names, gy, twice):
    """Return y, the gradients of some inputs and, if ``twice``, the gradients of their squares."""
    gradients = chainer.grad([y], inputs, [gy], enable_double_backprop=twice)
    found = dict(zip(names, gradients), y=y)
    if twice:
        squares = sum(F.sum(g * g) for g in gradients)
        second = chainer.grad([squares], inputs[:2] + [gy])
        found.update(zip(('gg' + names[0], 'gg' + names[1], 'ggy'), second))
    return {name: cuda.to_cpu(v.array) for name, v in found.items()}


def convolution(case, device, dtype, how='contiguous', bias=True, function=F.convolution_2d):
    """Run a case of :data:`CONVOLUTIONS`.

    Args:
        case (tuple): the case.
        device (chainer.backend.Device): where.
        dtype (str): of all arrays.
        how (str): the layout of x and gy, see :func:`function_cases.layout`.
        bias (bool): whether there is one.
        function (callable): Chainer's.

    Returns:
        dict: of numpy.ndarray. float16 has no gradients of second order: their sums overflow.
    """
    x_shape, W_shape, options = case
    channels = W_shape[0]
    if function is F.deconvolution_2d:
        channels = W_shape[1] * options.get('groups', 1)
    x, W, b = _variables(device, _draw([x_shape, W_shape, (channels,)], dtype))
    (x,) = _variables(device, [cuda.to_cpu(x.array)], how)
    with chainer.using_device(device):
        y = function(x, W, b if bias else None, **options)
        (gy,) = _variables(device, _draw([y.shape], dtype, 1), how)
        return _gradients(y, [x, W] + [b] * bias, ['gx', 'gW', 'gb'], gy, dtype != 'float16')


def deconvolution(case, device, dtype, **keywords):
    """Run a case of :data:`DECONVOLUTIONS`; see :func:`convolution`."""
    return convolution(case, device, dtype, function=F.deconvolution_2d, **keywords)


def normalization(case, device, dtype, how='contiguous', eps=2e-5):
    """Run a case of :data:`NORMALIZATIONS`, with running statistics; see :func:`convolution`."""
    shape, axis, parameters = case
    parameters = parameters if parameters and dtype == 'float16' else dtype
    channels = shape[1] if axis is None else shape[-1]
    x, gy = _variables(device, _draw([shape, shape], dtype), how)
    gamma, beta, mean, var = _variables(device, _draw([(channels,)] * 4, parameters, 1))
    gamma.array[...] += 2
    var.array[...] += 3
    with chainer.using_device(device), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'A batch with no more than one sample')
        y = F.batch_normalization(
            x,
            gamma,
            beta,
            eps=eps,
            running_mean=mean.array,
            running_var=var.array,
            decay=0.8,
            axis=axis,
        )
        found = _gradients(y, [x, gamma, beta], ['gx', 'ggamma', 'gbeta'], gy, dtype != 'float16')
    assert gamma.dtype == mean.dtype == found['ggamma'].dtype
    return dict(found, mean=cuda.to_cpu(mean.array), var=cuda.to_cpu(var.array))


def training_step(device, dtype, images):
    """Run a small ResNet forward and backward.

    Args:
        device (chainer.backend.Device): where.
        dtype (str): of all arrays.
        images (int): as many of 32 x 32 pixels.

    Returns:
        tuple: the loss (float); dict of numpy.ndarray, the parameters' gradients by path.
    """
    with chainer.using_config('dtype', np.dtype(dtype)):
        model = chainer_zoo.build('resnet', depth=14)
    golden.fill_model(model)
    model.to_device(device)
    model.cleargrads()
    x, t = golden.batch(0, images, 32)
    with chainer.using_config('train', True), chainer.using_device(device):
        loss = F.softmax_cross_entropy(model(device.send(x.astype(dtype))), device.send(t))
        loss.backward()
    return float(loss.array), {
        path: cuda.to_cpu(p.grad) for path, p in model.namedparams() if p.grad is not None
    }


def assert_close(run, case, device, dtype, **keywords):
    """Compare a case's results on a device with those on the CPU in float64."""
    found = run(case, device, dtype, **keywords)
    with chainer.using_config('use_ideep', 'never'):
        expected = run(case, chainer.get_device('@numpy'), 'float64', **keywords)
    for name, array in found.items():
        assert array.dtype == dtype or name not in ('y', 'gx', 'gW'), name
        np.testing.assert_allclose(
            array,
            expected[name],
            rtol=0,
            err_msg=name,
            atol=TOLERANCE[dtype] * max(np.abs(expected[name]).max(), 1e-3),
        )


def assert_same_step(found, dtype, images):
    """Compare what :func:`training_step` returned with the CPU's in the same type."""
    loss, grads = found
    expected_loss, expected = training_step(chainer.get_device('@numpy'), dtype, images)
    exact = dtype == 'float64'
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6 if exact else 1e-3)
    assert set(grads) == set(expected)
    largest = max(np.abs(grad).max() for grad in expected.values())
    for path, grad in expected.items():
        # biases before BN have a gradient of rounding errors alone
        np.testing.assert_allclose(
            grads[path],
            grad,
            rtol=0,
            err_msg=path,
            equal_nan=False,
            atol=1e-6 * largest if exact else 0.02 * np.abs(grad).max() + 2e-3 * largest,
        )
