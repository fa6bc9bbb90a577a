"""Snapshots: all that a run needs to go on, bit for bit.

A snapshot is an npz file without pickles. Each array in it carries a CRC-32 (zip's own), so damage
is recognised when it is read; it is written whole (:mod:`chainer_zoo.files`).
"""

import json
import os
import re
import zipfile
import zlib

import numpy as np
from chainer import serializers

from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole

_NAME = re.compile(r'snapshot_(\d+)\.npz$')
#: Under this key a snapshot holds the record of its run, as JSON.
RECORD = 'chainer_zoo_record'


def path_of(out, iteration):
    """Return the path of the snapshot after ``iteration`` updates in the run's folder ``out``."""
    return os.path.join(out, f'snapshot_{iteration:08d}.npz')


def all_in(out):
    """Return the paths of a run's snapshots, newest first."""
    if not os.path.isdir(out):
        return []
    return [
        os.path.join(out, name)
        for name in sorted(os.listdir(out), reverse=True)
        if _NAME.match(name)
    ]


def save(path, trainer, record):
    """Write a snapshot.

    Args:
        path (str): the file.
        trainer (chainer.training.Trainer): with everything that has a state registered in it.
        record (dict): what identifies the run; see :func:`load`.

    Raises:
        UserError: the file cannot be written.
    """
    serializer = serializers.DictionarySerializer()
    serializer.save(trainer)
    arrays = {key: np.asarray(value) for key, value in sorted(serializer.target.items())}
    pickled = sorted(key for key, array in arrays.items() if array.dtype.hasobject)
    if pickled:
        raise TypeError('a snapshot holds arrays only, not the objects at ' + ', '.join(pickled))
    arrays[RECORD] = np.asarray(json.dumps(record))
    with write_whole(path) as f:
        np.savez(f, **arrays)


def read(path):
    """Return the arrays of a snapshot, each checked against its checksum.

    Raises:
        UserError: the file cannot be read, is damaged or is no snapshot.
    """
    try:
        with np.load(path, allow_pickle=False) as npz:
            arrays = {key: npz[key] for key in npz.files}
    except FileNotFoundError as e:
        raise UserError(f'there is no snapshot {path}') from e
    except OSError as e:
        raise UserError(f'cannot read the snapshot {path}: {e.strerror or e}') from e
    except (
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        NotImplementedError,
    ) as e:
        raise UserError(
            f'the snapshot {path} is damaged ({str(e).splitlines()[0] if str(e) else type(e).__name__}){_before(path)}'
        ) from e
    if RECORD not in arrays:
        raise UserError(
            f'{path} is no snapshot of this program; --resume takes snapshots, -m takes models'
        )
    return arrays


def _before(path):
    """Name the snapshot before the damaged one, if there is one."""
    older = [
        other
        for other in all_in(os.path.dirname(path) or '.')
        if os.path.basename(other) < os.path.basename(path)
    ]
    return '; the one before it is {0}: go on with --resume {0}'.format(older[0]) if older else ''


def record_of(arrays):
    """Return the record that :func:`save` was given."""
    return json.loads(str(arrays[RECORD]))


def load(arrays, trainer):
    """Give ``trainer`` the state of a snapshot.

    Args:
        arrays (dict): what :func:`read` returned.
        trainer (chainer.training.Trainer): set up as the one that was saved.

    Raises:
        UserError: an array is missing or has another shape.
    """
    try:
        serializers.NpzDeserializer(arrays).load(trainer)
    except (KeyError, ValueError, TypeError) as e:
        raise UserError(f'the snapshot does not fit this run: {e}') from e


def keep_newest(out, keep):
    """Remove all but the ``keep`` newest snapshots of a run."""
    for path in all_in(out)[keep:]:
        os.unlink(path)
