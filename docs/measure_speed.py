#!/usr/bin/env python
"""Measure how long training takes: ``OMP_NUM_THREADS=1 python docs/measure_speed.py``.

For each model it prints and writes the processor time that an image takes in training on one core,
with the CPU engine: forward, loss, backward and update. Processor time does not count what other
programs take, so a machine that is in use will do. ``docs/speed.csv`` is what the pages of the
models show.
"""

import argparse
import csv
import os
import pathlib
import platform
import sys
import time

import chainer_zoo  # before anything imports Chainer

# isort: split
import chainer.functions as F
import numpy as np

from chainer_zoo import catalog
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.training.optimizer import make_optimizer

OUT = pathlib.Path(__file__).with_name('speed.csv')
IMAGES = {32: 16, 128: 8, 224: 4, 299: 4}  # in a micro-batch, by size


def processor():
    """Return the processor's name, as far as the system tells."""
    try:
        for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _loss(model, x, t):
    return model.loss(x, t) if hasattr(model, 'loss') else F.softmax_cross_entropy(model(x), t)


def measure(name, steps):
    """Return the images in a micro-batch, and the processor seconds that an image takes."""
    entry = catalog.entry(name)
    options = entry.complete({})
    size = SIZE_CLASSES[entry.image_class(options)].crop
    batch = IMAGES[size]
    model = entry.build(**options)
    optimizer = make_optimizer(entry.recipe, model)
    rng = np.random.RandomState(0)
    x = rng.standard_normal((batch, 3, size, size)).astype(np.float32)
    t = rng.randint(0, 10, batch).astype(np.int32)
    times = []
    for _ in range(1 + steps):  # the first one prepares what later ones find
        start = time.process_time()
        model.cleargrads()
        _loss(model, x, t).backward()
        optimizer.update()
        times.append(time.process_time() - start)
    return batch, min(times[1:]) / batch


def main():
    """Measure the models that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', metavar='NAME', nargs='*', default=catalog.names())
    parser.add_argument('--steps', type=int, default=2, help='the fastest of so many counts')
    parser.add_argument('--out', type=pathlib.Path, default=OUT)
    args = parser.parse_args()
    if os.environ.get('OMP_NUM_THREADS') != '1':
        sys.exit('set OMP_NUM_THREADS=1: threads that wait for each other count as work')
    chainer_zoo.engines.CPU.enable()
    with args.out.open('w', newline='') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(['model', 'images', 'seconds_an_image', 'processor'])
        for name in args.models:
            batch, seconds = measure(name, args.steps)
            print(f'{name:20}{1000 * seconds:10.1f} ms an image, {batch} at a time', flush=True)
            table.writerow([name, batch, f'{seconds:.4g}', processor()])
            file.flush()


if __name__ == '__main__':
    main()
