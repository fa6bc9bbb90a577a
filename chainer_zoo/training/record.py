"""The record of a run: what it was asked to do, and with what it was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import chainer
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import records
from chainer_zoo.data import Dataset
from chainer_zoo.errors import UserError
from chainer_zoo.training.settings import LARGEST_BATCH
from chainer_zoo.training.settings import LARGEST_DECAY
from chainer_zoo.training.settings import LARGEST_LR
from chainer_zoo.training.settings import LARGEST_SEED
from chainer_zoo.training.settings import LAST_EPOCH
from chainer_zoo.training.settings import MOST
from chainer_zoo.training.settings import Settings
from chainer_zoo.version import __version__

#: What must be the same for a run to go on as it began.
_IDENTITY = {
    'model': records.text(100),
    'options': records.dict_of(records.scalar(100), 100),
    'batch': records.whole(1, LARGEST_BATCH),
    'train_batch_divide': records.whole(1, LARGEST_BATCH),
    'lr': records.number(0, LARGEST_LR),
    'start_epoch': records.whole(1, LAST_EPOCH),
    'seed': records.whole(0, LARGEST_SEED),
    'dtype': records.text(100),
}
#: Likewise, but older versions did not record it: they had no choice.
_NEWER_IDENTITY = {
    'weight_decay': records.number(0, LARGEST_DECAY),
    'init': records.text(100),
    'image_pipeline': records.text(100),
    'figure': records.optional(records.text(100)),
}
_IMAGES = records.fields({'training': records.whole(1, MOST), 'test': records.whole(1, MOST)})
_RECORD = records.fields(
    {**_IDENTITY, 'data': records.text(10_000)},
    {
        **_NEWER_IDENTITY,
        'data_digest': records.text(100),
        'images': _IMAGES,
        'engine': records.text(100),
        'whole_schedule': records.scalar(100),
    },
)


def make(settings: Settings, options: dict[str, Any], data: Dataset, engine: str) -> dict[str, Any]:
    """Return the record of a run, for ``arguments.json`` and snapshots.

    Args:
        asked: what it was asked to do.
        options: all options of the model.
        data: its images.
        engine: what computes.

    Returns:
        JSON values by name.
    """
    return {
        'model': settings.model,
        'options': options,
        'data': data.source,
        'data_digest': data.digest,
        'images': {'training': len(data.train_x), 'test': len(data.test_x)},
        'batch': settings.batch,
        'train_batch_divide': settings.train_batch_divide,
        'test_batch_divide': settings.test_batch_divide,
        'lr': settings.lr,
        'weight_decay': settings.weight_decay,
        'init': settings.init,
        'image_pipeline': settings.images,
        'figure': settings.figure,
        'epoch': settings.epoch,
        'start_epoch': settings.start_epoch,
        'seed': settings.seed,
        'dtype': settings.dtype,
        'iterations': settings.iterations,
        'whole_schedule': settings.whole_schedule,
        'load_model': settings.load_model,
        'gpu': settings.gpu,
        'engine': engine,
        'versions': versions(),
        'commit': commit(),
        'machine': f'{platform.platform()}, {os.cpu_count()} CPUs',
    }


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    found = {
        'chainer_zoo': __version__,
        'python': sys.version.split()[0],
        'chainer': chainer.__version__,
        'numpy': np.__version__,
    }
    if chainer.backends.cuda.available:
        import cupy

        found['cupy'] = cupy.__version__
    return found


def commit() -> str | None:
    """Return the commit of a source checkout, or None outside one."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not os.path.isdir(os.path.join(folder, '.git')):
        return None
    try:
        return subprocess.run(
            ['git', '-C', folder, 'rev-parse', 'HEAD'], check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or a repository that it does not trust: not worth a failed run


def require_match(found: Any, this: dict[str, Any], path: str) -> list[str]:
    """Refuse to resume a run under other arguments, or with other images.

    Which images those are is a matter of their content: they may have been moved or repacked.

    Args:
        found: the record in the snapshot, any JSON value.
        this: the record of this run.
        path: the snapshot, for messages.

    Returns:
        What people should know although the run goes on: a line each.

    Raises:
        UserError: names what differs, or what is wrong with the record.
    """
    try:
        saved = _RECORD(found, 'the record')
        # options that its version did not know have their defaults
        entry = catalog.entry(saved['model'])
        saved['options'] = entry.complete(saved['options'])
    except UserError as e:
        raise UserError(
            f'the snapshot {path} is damaged, or of another version of this program: {e}'
        ) from e
    usual = {
        'weight_decay': entry.recipe.weight_decay,
        'init': 'per_channel',
        'image_pipeline': 'original',
    }
    for key, value in usual.items():
        if saved[key] is None:
            saved[key] = value
    for key in (*_IDENTITY, *_NEWER_IDENTITY):
        if saved[key] != this[key]:
            raise UserError(
                f'the snapshot was made with {key} {records.shown(saved[key])}, this run has '
                f'{records.shown(this[key])}: resume with the same arguments'
            )
    if bool(saved['whole_schedule']) != this['whole_schedule']:  # None in older versions
        raise UserError(
            'the snapshot was made {} --whole_schedule: resume with the same arguments'.format(
                'without' if this['whole_schedule'] else 'with'
            )
        )
    notes = _compare_images(saved, this, path)
    if saved['engine'] != this['engine']:
        notes.append(
            f'computed by {saved["engine"]} so far and by {this["engine"]} from here on: the last '
            'digits may differ'
        )
    return notes


def _compare_images(saved: dict[str, Any], this: dict[str, Any], path: str) -> list[str]:
    """Refuse other images; return what to say where that cannot be known."""
    if saved['data_digest'] is None:  # a version without it identified images by their path
        if saved['data'] != this['data']:
            raise UserError(
                f'the snapshot {path} does not say which images it was trained on, only that they '
                f'came from {saved["data"]}: give them from there'
            )
        return [
            'the snapshot does not say which images it was trained on: taking those of '
            f'{this["data"]}, where they came from'
        ]
    if saved['data_digest'] == this['data_digest']:
        return []
    if saved['images'] != this['images']:
        raise UserError(
            f'the snapshot was made with {_numbers(saved["images"])}, this run has '
            f'{_numbers(this["images"])}: resume with the same images'
        )
    raise UserError(
        f'the images of {this["data"]} are not those that the snapshot was made with (from '
        f'{saved["data"]}), although there are as many: resume with the same images'
    )


def _numbers(images: dict[str, int] | None) -> str:
    """Return how many images there are, in words."""
    if images is None:
        return 'other images'
    return f'{images["training"]} training and {images["test"]} test images'
