"""Time the preparation of pictures, a batch at a time and one by one.

    python benchmarks/pictures.py [--batch N] [--repeat N] [--clock wall|cpu] [-g GPU]

For each size class and both uses, pictures per second: ``loops`` is this project's way on a CPU,
compiled by Numba; ``products`` its way without Numba, and on a GPU; ``one by one`` does the same
work with Pillow, picture after picture, in the original's steps (but not what the original does
beside them: it keeps a record of each step and seeds its generator from the operating system before
each choice). They take turns of at least a tenth of a second, and the median of N turns counts;
``ratio`` is of the first way and the last. On a machine that is busy with other things,
``--clock cpu`` counts processor time; then threads gain nothing. With ``-g`` the batch is prepared
on that GPU.
"""
import argparse
import os
import statistics
import sys
import time

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

import chainer_zoo  # NOQA: before Chainer
from chainer_zoo import devices
from chainer_zoo import jit
from chainer_zoo.data import pictures
from chainer_zoo.data import shapes
from chainer_zoo.training import arguments

TURN = 0.1  # seconds
FILTERS = {'nearest': 0, 'bilinear': 2, 'bicubic': 3}  # Pillow's numbers


def one_by_one(x, choices, crop):
    """Return float32 pictures (B, 3, S, S), each prepared for itself."""
    prepared = []
    for picture, size, interpolation, top, left, flip in zip(x, *choices):
        picture = picture.transpose(1, 2, 0).astype(np.float32)
        low, high = picture.min(), picture.max()
        picture = (picture - low) * (255.0 / max(1, high - low))
        picture = (picture.clip(0, 255) + 0.5).astype(np.uint8)
        picture = Image.fromarray(picture).resize((size, size), FILTERS[interpolation])
        picture = np.array(picture)[top:top + crop, left:left + crop]
        picture = (picture - np.mean(picture)) / np.sqrt(np.var(picture) + 10)
        if flip:
            picture = picture[:, ::-1]
        prepared.append(picture.transpose(2, 0, 1))
    return np.array(prepared, dtype=np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=arguments.whole(1), default=64,
                        help='pictures (default: 64)')
    parser.add_argument('--repeat', type=arguments.whole(1), default=5, help='turns (default: 5)')
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    parser.add_argument('-g', '--gpu', type=int, default=-1, help='GPU (default: -1, the CPU)')
    args = parser.parse_args()
    clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    device = devices.find(args.gpu)
    x = shapes.read(args.batch, 1).train_x
    sent = device.send(x)

    def seconds(function):
        """Return how long a picture takes, batch after batch."""
        start = clock()
        batches = 0
        while clock() - start < TURN:
            function()
            batches += 1
            if args.gpu >= 0:
                device.device.synchronize()
        return (clock() - start) / (batches * args.batch)

    names = ['loops'] * (args.gpu < 0 and jit.why_not() is None) + ['products', 'one by one']
    print('{:<14}'.format('') + ''.join(['{:>12}'.format(name) for name in names]) +
          '   ratio  pictures a second, {} in a batch'.format(args.batch))
    for name, sizes in pictures.SIZE_CLASSES.items():
        prepared = pictures.Pictures(name)
        drawn = prepared.draw(args.batch, np.random.RandomState(0))
        whole = prepared.whole(args.batch)
        for use, choices, crop in ('train', drawn, sizes.crop), ('test', whole, sizes.test):
            out = device.xp.empty((args.batch, 3, crop, crop), dtype=np.float32)
            ways = {
                'loops': lambda: prepared.prepare(sent, choices, crop),
                'products': lambda: pictures.prepare_by_products(device.xp, sent, choices, out),
                'one by one': lambda: one_by_one(x, choices, crop),
            }
            for way in names:  # compiles, and fills caches
                ways[way]()
            turns = [[seconds(ways[way]) for way in names] for _ in range(args.repeat)]
            medians = [statistics.median(turn) for turn in zip(*turns)]
            print('{:<14}'.format(name + ' ' + use) +
                  ''.join(['{:>12.0f}'.format(1 / median) for median in medians]) +
                  '{:>8.1f}'.format(medians[-1] / medians[0]), flush=True)


if __name__ == '__main__':
    main()
