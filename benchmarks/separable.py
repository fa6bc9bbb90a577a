"""Time separable convolution beside plain convolution of the same arithmetic, on the CPU.

    python benchmarks/separable.py [--cpu numpy|onednn] [--repeat N]

Each line is a layer of Xception at 299 pixels. ``plain`` is a 3x3 convolution with as many output
channels and as many multiply-adds as the separable one (so it has fewer input channels), and
``chainer`` the separable one with Chainer's own grouped convolution. Times are for forward and
backward together, the shortest of N, taken in turns; the ratio is to ``plain``.
"""

import argparse
import time

import chainer_zoo  # noqa: F401  # before Chainer

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo import engines
from chainer_zoo.functions import depthwise_convolution

# batch, channels in, channels out, pixels a side
LAYERS = [
    (4, 64, 128, 147),
    (4, 128, 256, 74),
    (4, 256, 728, 37),
    (4, 728, 728, 19),
    (4, 1024, 1536, 10),
    (4, 1536, 2048, 10),
]


def variable(*shape):
    return chainer.Variable(np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32))


def plain(x, w):
    return F.convolution_2d(x, w, pad=1)


def separable(x, depthwise, pointwise):
    return F.convolution_2d(depthwise_convolution(x, depthwise, 1, 1), pointwise)


def grouped(x, depthwise, pointwise):
    return F.convolution_2d(F.convolution_2d(x, depthwise, pad=1, groups=x.shape[1]), pointwise)


def seconds(function, x, *weights):
    """Return the time of one forward and backward pass."""
    for v in (x,) + weights:
        v.cleargrad()
    start = time.perf_counter()
    y = function(x, *weights)
    y.grad = y.array
    y.backward()
    return time.perf_counter() - start


def measure(layer, repeat):
    """Return milliseconds and the multiply-adds of plain and separable, by name."""
    batch, channels, out, size = layer
    products = 9 * channels + channels * out  # a pixel, of the separable one
    narrow = int(round(products / (9.0 * out)))
    runs = {
        'plain': (plain, variable(batch, narrow, size, size), variable(out, narrow, 3, 3)),
        'separable': (
            separable,
            variable(batch, channels, size, size),
            variable(channels, 1, 3, 3),
            variable(out, channels, 1, 1),
        ),
    }
    runs['chainer'] = (grouped,) + runs['separable'][1:]
    times = {name: [] for name in runs}
    for _ in range(repeat + 1):  # the first is not counted
        for name, run in runs.items():
            times[name].append(seconds(*run))
    pixels = batch * size * size
    return (
        {name: 1e3 * min(found[1:]) for name, found in times.items()},
        pixels * 9 * narrow * out,
        pixels * products,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cpu', choices=('numpy', 'onednn'), default='numpy')
    parser.add_argument('--repeat', type=int, default=5)
    args = parser.parse_args()
    if args.cpu == 'onednn':
        engines.CPU.enable()
    print(f'NumPy {np.__version__}, Chainer {chainer.__version__}, --cpu {args.cpu}')
    print(
        '{:>22} {:>7} {:>7} {:>9} {:>9} {:>9} {:>6} {:>8}'.format(
            'batch x C > C x size',
            'M plain',
            'M sep.',
            'plain ms',
            'sep. ms',
            'chainer',
            'ratio',
            'chainer',
        )
    )
    for layer in LAYERS:
        ms, plain_products, products = measure(layer, args.repeat)
        print(
            f'{layer[0]} x {layer[1]} > {layer[2]} x {layer[3]}'.rjust(22)
            + f' {plain_products / 1e6:7.0f} {products / 1e6:7.0f}'
            + f' {ms["plain"]:9.1f} {ms["separable"]:9.1f} {ms["chainer"]:9.1f}'
            + f' {ms["separable"] / ms["plain"]:6.2f} {ms["chainer"] / ms["plain"]:8.2f}'
        )


if __name__ == '__main__':
    main()
