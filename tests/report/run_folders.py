"""Folders of runs as training leaves them, without the training."""

import json

import numpy as np

import chainer_zoo
from chainer_zoo.legacy.log import Log


def write(folder, name, accuracies, losses, n_train=50000, n_test=10000, seed=0, **options):
    """Write ``arguments.json``, ``log`` and ``log.json`` of a run with these test results."""
    folder.mkdir(parents=True)
    entry = chainer_zoo.entry(name)
    log = [
        {
            'epoch': epoch,
            'iteration': 390 * epoch,
            'main/loss': loss / 2,
            'validation/main/loss': loss,
            'validation/main/accuracy': accuracy,
            'lr': 0.1,
            'elapsed_time': 90.0 * epoch,
        }
        for epoch, (accuracy, loss) in enumerate(zip(accuracies, losses), 1)
    ]
    (folder / 'log').write_text(json.dumps(log))
    (folder / 'arguments.json').write_text(
        json.dumps(
            {
                'model': name,
                'options': entry.complete(options),
                'data': 'CIFAR-10',
                'batch': 128,
                'seed': seed,
                'engine': 'onednn',
                'machine': 'Linux, 2 CPUs',
                'commit': 'c0ffee' * 7,
                'versions': {'python': '3.11.7', 'chainer': '7.8.1'},
            }
        )
    )
    legacy = Log(range(10), np.zeros(n_train), np.arange(n_test) % 10, '<a.B object>')
    for accuracy, loss in zip(accuracies, losses):
        confusion = np.diag([round(accuracy * n_test / 10)] * 10)
        legacy.add_epoch(loss / 2 * n_train, loss * n_test, confusion)
    legacy.save(folder / 'log.json')
    return folder
