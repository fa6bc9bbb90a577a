"""A tiny CIFAR-10 and the training script run as people run it."""

import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from chainer_zoo.data import shapes

SCRIPT = pathlib.Path(__file__).parents[2] / 'train_cifar10.py'


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """A folder in the official layout with 100 training and 30 test images."""
    folder = tmp_path_factory.mktemp('tiny') / 'cifar-10-batches-py'
    folder.mkdir()
    data = shapes.read(train=100, test=30)
    parts = np.array_split(np.arange(100), 5)
    batches = {
        f'data_batch_{i + 1}': (data.train_x[part], data.train_y[part])
        for i, part in enumerate(parts)
    }
    batches['test_batch'] = (data.test_x, data.test_y)
    for name, (x, y) in batches.items():
        with open(str(folder / name), 'wb') as f:
            pickle.dump({b'data': x.reshape(len(x), -1), b'labels': y.tolist()}, f, 2)
    with open(str(folder / 'batches.meta'), 'wb') as f:
        pickle.dump({b'label_names': [name.encode() for name in data.label_names]}, f, 2)
    return str(folder)


@pytest.fixture(scope='session')
def command(tiny):
    """Returns the command line of a small run, with more arguments after it."""

    def line(*more):
        return [
            sys.executable,
            str(SCRIPT),
            '--model',
            'resnext',
            '-d',
            '2',
            '-b',
            '20',
            '-trb',
            '2',
            '-teb',
            '2',
            '--data',
            tiny,
        ] + [str(word) for word in more]

    return line


@pytest.fixture(scope='session')
def train(command):
    """Runs it and returns the finished process."""

    def run(*more):
        return subprocess.run(command(*more), capture_output=True, text=True, timeout=600)

    return run
