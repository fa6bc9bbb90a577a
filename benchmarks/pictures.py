"""Time the preparation of pictures, a batch at a time and one by one.

    python benchmarks/pictures.py [--batch N] [--repeat N] [--clock wall|cpu]
                                  [--cpu auto|onednn|numpy] [-g GPU]

For each size class and both uses, pictures per second: ``batch`` is this project's way, with
matrices over the whole batch; ``one by one`` does the same work with Pillow, picture after
picture, in the original's steps (but not what the original does beside them: it keeps a record of
each step and seeds its generator from the operating system before each choice). They take turns,
and the shortest of N counts. On a machine that is busy with other things, ``--clock cpu`` counts
processor time; then threads gain nothing. With ``-g`` the batch is prepared on that GPU.
"""
import argparse
import os
import sys
import time

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

import chainer_zoo  # NOQA: before Chainer
from chainer_zoo import devices
from chainer_zoo.data import pictures
from chainer_zoo.data import shapes

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
    parser.add_argument('--batch', type=int, default=128, help='pictures (default: 128)')
    parser.add_argument('--repeat', type=int, default=5, help='turns (default: 5)')
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    parser.add_argument('--cpu', choices=('auto', 'onednn', 'numpy'), default='auto',
                        help='what computes without a GPU (default: auto)')
    parser.add_argument('-g', '--gpu', type=int, default=-1, help='GPU (default: -1, the CPU)')
    args = parser.parse_args()
    clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    device = devices.find(args.gpu)
    engine = devices.choose_engine(args.cpu, args.gpu)
    rng = np.random.RandomState(0)
    x = shapes.read(args.batch, 1).train_x
    sent = device.send(x)

    def shortest(*functions):
        """Return the shortest time of each function, in seconds a picture."""
        best = [float('inf')] * len(functions)
        for _ in range(args.repeat + 1):  # the first one fills caches
            for i, function in enumerate(functions):
                start = clock()
                function()
                if args.gpu >= 0:
                    device.device.synchronize()
                best[i] = min(best[i], (clock() - start) / args.batch)
        return best

    print('{:<14} {:>10} {:>12} {:>7}  pictures a second, {} in a batch, {}'.format(
        '', 'batch', 'one by one', 'ratio', args.batch, engine))
    for name, sizes in pictures.SIZE_CLASSES.items():
        prepared = pictures.Pictures(name)
        drawn = prepared.draw(args.batch, np.random.RandomState(0))
        zeros = [0] * args.batch
        whole = [sizes.test] * args.batch, ['bilinear'] * args.batch, zeros, zeros, zeros
        for use, function, choices, crop in (
                ('train', lambda: prepared.train(sent, rng), drawn,
                 sizes.crop),
                ('test', lambda: prepared.test(sent), whole, sizes.test)):
            ours, theirs = shortest(function, lambda: one_by_one(x, choices, crop))
            print('{:<14} {:>10.0f} {:>12.0f} {:>7.1f}'.format(
                name + ' ' + use, 1 / ours, 1 / theirs, theirs / ours), flush=True)


if __name__ == '__main__':
    main()
