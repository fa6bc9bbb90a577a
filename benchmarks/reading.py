"""Time reading CIFAR-10, and the memory that it takes, beside plain pickle.

    python benchmarks/reading.py PATH [--repeat N]

PATH is the official archive or the extracted folder. ``ours`` reads it as train_cifar10.py --data
does: nothing but arrays is admitted, every batch is checked, the images lie in one array.
``pickle`` only loads the batches, whatever they may do: give it files that you trust. Each turn is
a process of its own; the table has medians, and the memory above what the imports take.
"""

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

import chainer_zoo  # noqa: F401  # before Chainer

# isort: split
from chainer_zoo.commands import flags
from chainer_zoo.data import cifar10


def _ours(path):
    found = cifar10.read(path)
    return len(found.train_x) + len(found.test_x)


def _pickle(path):
    names = [f'data_batch_{i}' for i in range(1, 6)] + ['test_batch']
    if os.path.isdir(path):
        batches = []
        for name in names:
            with open(os.path.join(path, name), 'rb') as f:
                batches.append(pickle.load(f, encoding='latin1'))
    else:
        with tarfile.open(path) as archive:
            batches = [
                pickle.load(archive.extractfile(member), encoding='latin1')
                for member in archive
                if os.path.basename(member.name) in names
            ]
    return sum(len(batch['data']) for batch in batches)


READERS = {'ours': _ours, 'pickle': _pickle}


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _work(reader, path):
    """Read once; print how many images there are, seconds and MiB."""
    before, start = _peak(), time.perf_counter()
    count = READERS[reader](path)
    print(json.dumps([count, time.perf_counter() - start, _peak() - before]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('path', metavar='PATH', help='cifar-10-python.tar.gz or the folder of it')
    parser.add_argument('--repeat', type=flags.whole(1), default=5, help='turns (default: 5)')
    parser.add_argument('--worker', choices=sorted(READERS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        _work(args.worker, args.path)
        return 0
    if not os.path.isfile(
        os.path.join(args.path, 'test_batch') if os.path.isdir(args.path) else args.path
    ):
        parser.error(f'{args.path}: neither the archive nor the folder with test_batch')
    found = {reader: [] for reader in READERS}
    for _ in range(args.repeat):
        for reader in READERS:
            found[reader].append(
                json.loads(
                    subprocess.check_output(
                        [sys.executable, os.path.abspath(__file__), args.path, '--worker', reader]
                    )
                )
            )
    print(
        '{:8s}{:>10s}{:>9s}{:>8s}   medians of {} turns'.format(
            '', 'images', 'seconds', 'MiB', args.repeat
        )
    )
    medians = {
        reader: [statistics.median(values) for values in zip(*turns)]
        for reader, turns in found.items()
    }
    for reader, values in medians.items():
        images, seconds, memory = values
        print(f'{reader:8s}{images:10.0f}{seconds:9.2f}{memory:8.0f}')
    seconds, memory = (
        mine / plain for mine, plain in zip(medians['ours'][1:], medians['pickle'][1:])
    )
    print(
        f'ours takes {seconds:.2f} times the seconds of plain pickle '
        f'and {memory:.2f} times its memory'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
