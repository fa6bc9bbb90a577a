"""The record of a run: its arguments, and with what it was made."""

import os
import platform
import subprocess
import sys

import chainer
import numpy as np

import chainer_zoo
from chainer_zoo.errors import UserError

#: What must be the same for a run to go on as it began.
_IDENTITY = (
    'model',
    'options',
    'data',
    'batch',
    'train_batch_divide',
    'lr',
    'start_epoch',
    'seed',
    'dtype',
)


def make(args, entry, options, source, engine):
    """Return the record of a run, for ``arguments.json`` and snapshots.

    Args:
        args (argparse.Namespace): the arguments.
        entry (chainer_zoo.catalog.Entry): the model.
        options (dict): all options of the model.
        source (str): where the images come from.
        engine (str): what computes.

    Returns:
        dict: everything is a JSON value.
    """
    return {
        'model': entry.name,
        'options': options,
        'data': source,
        'batch': args.batch,
        'train_batch_divide': args.train_batch_divide,
        'test_batch_divide': args.test_batch_divide,
        'lr': args.lr,
        'epoch': args.epoch,
        'start_epoch': args.start_epoch,
        'seed': args.seed,
        'dtype': args.dtype,
        'iterations': args.iterations,
        'load_model': args.load_model,
        'gpu': args.gpu,
        'engine': engine,
        'versions': versions(),
        'commit': commit(),
        'machine': f'{platform.platform()}, {os.cpu_count()} CPUs',
    }


def versions():
    """Return the versions of what computes."""
    found = {
        'chainer_zoo': chainer_zoo.__version__,
        'python': sys.version.split()[0],
        'chainer': chainer.__version__,
        'numpy': np.__version__,
    }
    if chainer.backends.cuda.available:
        import cupy

        found['cupy'] = cupy.__version__
    return found


def commit():
    """Return the commit of a source checkout, or None outside one."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(chainer_zoo.__file__)))
    if not os.path.isdir(os.path.join(folder, '.git')):
        return None
    try:
        return subprocess.run(
            ['git', '-C', folder, 'rev-parse', 'HEAD'], check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or a repository that it does not trust: not worth a failed run


def must_match(snapshot, this):
    """Refuse to resume a run under other arguments.

    Raises:
        UserError: names what differs.
    """
    for key in _IDENTITY:
        if snapshot[key] != this[key]:
            raise UserError(
                f'the snapshot was made with {key} {snapshot[key]!r}, this run has {this[key]!r}: resume with '
                'the same arguments'
            )
