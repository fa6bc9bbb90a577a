"""Time the preparation of images, a batch at a time and one by one.

    python benchmarks/images.py [--batch N] [--repeat N] [--clock wall|cpu] [-g GPU]

For each size class and both uses, images per second: ``loops`` is this project's way on a CPU,
compiled by Numba; ``products`` its way without Numba, and on a GPU; ``one by one`` does the same
work with Pillow, image after image, in the original's steps (but not what the original does
beside them: it keeps a record of each step). They take turns of at least a tenth of a second, and
the median of N turns counts; ``ratio`` is of the first way and the last. On a machine that is busy
with other things, ``--clock cpu`` counts processor time; then threads gain nothing. With ``-g`` the
batch is prepared on that GPU.
"""

import argparse
import functools
import os
import statistics
import sys
import time

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

import chainer_zoo  # noqa: F401  # before Chainer

# isort: split
from chainer_zoo import jit
from chainer_zoo.commands import flags
from chainer_zoo.data import images
from chainer_zoo.data import shapes
from chainer_zoo.engines import devices

TURN = 0.1  # seconds
FILTERS = {'nearest': 0, 'bilinear': 2, 'bicubic': 3}  # Pillow's numbers


def one_by_one(x, choices, crop):
    """Return float32 images (B, 3, S, S), each prepared for itself."""
    prepared = []
    for image, size, interpolation, top, left, flip in zip(x, *choices):
        image = image.transpose(1, 2, 0).astype(np.float32)
        low, high = image.min(), image.max()
        image = (image - low) * (255.0 / max(1, high - low))
        image = (image.clip(0, 255) + 0.5).astype(np.uint8)
        image = Image.fromarray(image).resize((size, size), FILTERS[interpolation])
        image = np.array(image)[top : top + crop, left : left + crop]
        image = (image - np.mean(image)) / np.sqrt(np.var(image) + 10)
        if flip:
            image = image[:, ::-1]
        prepared.append(image.transpose(2, 0, 1))
    return np.array(prepared, dtype=np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=flags.whole(1), default=64, help='images (default: 64)')
    parser.add_argument('--repeat', type=flags.whole(1), default=5, help='turns (default: 5)')
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    parser.add_argument('-g', '--gpu', type=int, default=-1, help='GPU (default: -1, the CPU)')
    args = parser.parse_args()
    clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    device = devices.find(args.gpu)
    x = shapes.read(args.batch, 1).train_x
    sent = device.send(x)

    def seconds(function):
        """Return how long an image takes, batch after batch."""
        start = clock()
        batches = 0
        while clock() - start < TURN:
            function()
            batches += 1
            if args.gpu >= 0:
                device.device.synchronize()
        return (clock() - start) / (batches * args.batch)

    names = ['products', 'one by one']
    if args.gpu < 0 and jit.why_not() is None:
        names.insert(0, 'loops')
    print(
        ' ' * 14
        + ''.join([f'{name:>12}' for name in names])
        + f'   ratio  images a second, {args.batch} in a batch'
    )
    for name, sizes in images.SIZE_CLASSES.items():
        prepared = images.ImagePipeline(name)
        drawn = prepared.draw(args.batch, np.random.RandomState(0))
        whole = prepared.whole(args.batch)
        for use, choices, crop in ('train', drawn, sizes.crop), ('test', whole, sizes.test):
            out = device.xp.empty((args.batch, 3, crop, crop), dtype=np.float32)
            ways = {
                'loops': functools.partial(prepared.prepare, sent, choices, crop),
                'products': functools.partial(
                    images.prepare_by_products, device.xp, sent, choices, out
                ),
                'one by one': functools.partial(one_by_one, x, choices, crop),
            }
            for way in names:  # compiles, and fills caches
                ways[way]()
            turns = [[seconds(ways[way]) for way in names] for _ in range(args.repeat)]
            medians = [statistics.median(turn) for turn in zip(*turns)]
            print(
                f'{name + " " + use:<14}'
                + ''.join([f'{1 / median:>12.0f}' for median in medians])
                + f'{medians[-1] / medians[0]:>8.1f}',
                flush=True,
            )


if __name__ == '__main__':
    main()
