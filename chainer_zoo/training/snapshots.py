"""Snapshots: all that a run needs to go on, bit for bit.

A snapshot is an npz file without pickles. Each array in it carries a CRC-32 (zip's own), so damage
is recognised when it is read; it is written whole (:mod:`chainer_zoo.files`). When it is read,
nothing is believed: each array must have the shape and the dtype that the run has for it.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import re
import zipfile
from typing import Any

import chainer
import numpy as np
from chainer import serializers
from chainer import training

from chainer_zoo import files
from chainer_zoo import npz
from chainer_zoo.errors import UserError

_NAME = re.compile(r'snapshot_(\d+)\.npz$')
#: Under this key a snapshot holds the record of its run, as JSON.
RECORD = 'chainer_zoo_record'
_LARGEST_RECORD = 2**20  # bytes
_DTYPES = {str: 'U', int: 'iu', float: 'fiu'}  # kinds of NumPy's dtypes, by what is read as them
_OPTIMIZER = 'updater/optimizer:main'  # where Chainer's updater puts it


def path_of(out: str, iteration: int) -> str:
    """Return the path of the snapshot after ``iteration`` updates in the run's folder ``out``."""
    return os.path.join(out, f'snapshot_{iteration:08d}.npz')


def all_in(out: str) -> list[str]:
    """Return the paths of a run's snapshots, newest first."""
    if not os.path.isdir(out):
        return []
    return [
        os.path.join(out, name)
        for name in sorted(os.listdir(out), reverse=True)
        if _NAME.match(name)
    ]


def save(path: str, trainer: training.Trainer, record: dict[str, Any]) -> None:
    """Write a snapshot.

    Args:
        path: the file.
        trainer: with everything that has a state registered in it.
        record: what identifies the run, see :mod:`chainer_zoo.training.record`.

    Raises:
        UserError: the file cannot be written.
    """
    serializer = serializers.DictionarySerializer()
    serializer.save(trainer)
    arrays = {key: np.asarray(value) for key, value in sorted(serializer.target.items())}
    pickled = sorted(key for key, array in arrays.items() if array.dtype.hasobject)
    if pickled:
        raise TypeError(f'a snapshot holds arrays only, not the objects at {", ".join(pickled)}')
    arrays[RECORD] = np.asarray(json.dumps(record))
    with files.write_whole(path) as f:
        np.savez(f, **arrays)  # type: ignore[arg-type]  # a key could be a keyword of its own


def keep_newest(out: str, keep: int) -> None:
    """Remove all but the ``keep`` newest snapshots of a run."""
    for path in all_in(out)[keep:]:
        files.remove(path)


class Snapshot:
    """An open snapshot, of which only the record has been read.

    Args:
        path: the file.

    Attributes:
        path: the file.
        record: what :func:`save` was given; any JSON value if the file is not ours.

    Raises:
        UserError: the file cannot be read, is damaged or is no snapshot.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._read: set[str] = set()
        if not os.path.lexists(path):
            raise UserError(f'there is no snapshot {path}')
        self._file = files.open_regular(path)
        try:
            self._archive = self._opened()
            self._members = self._checked_members()
            self.record = self._record()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def load(self, trainer: training.Trainer) -> None:
        """Give ``trainer`` the state of this snapshot.

        Args:
            trainer: set up as the one that was saved.

        Raises:
            UserError: an array is missing, surplus, damaged or of another shape or dtype.
        """
        optimizer = trainer.updater.get_optimizer('main')
        self._make_states(optimizer)
        try:
            _Reader(self, '').load(trainer)
        except UserError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
            # Chainer reads texts of its own, such as the names of what it has averaged
            raise self._damaged(e) from e
        for path, param in optimizer.target.namedparams():
            rule = param.update_rule
            if rule.t > 0 and rule.state is None:
                raise self._misfit(f'it lacks the state of the optimizer for {path}')
        surplus = sorted(self._members.keys() - self._read)
        if surplus:
            raise self._misfit(f'it has {surplus[0]}, which the run has not')

    def value(self, key: str, like: Any) -> Any:
        """Return the value at a key.

        Args:
            key: its path.
            like: what the run has there. An array is overwritten in place; a number or a text comes
                back as one; None comes back as it is, where the snapshot has nothing.

        Raises:
            UserError: there is no such value, or it is of another kind.
        """
        info = self._members.get(key)
        if info is None:
            if like is None:  # the optimizer has not updated this parameter yet
                return None
            raise self._misfit(f'it lacks {key}')
        self._read.add(key)
        try:
            header = npz.header(self._archive, info)
            if isinstance(like, chainer.get_array_types()):
                if (header.shape, header.dtype) != (like.shape, like.dtype):
                    raise self._misfit(
                        f'{key} is {header.dtype} {header.shape} where {like.dtype} {like.shape} '
                        'belongs'
                    )
                chainer.backend.copyto(like, npz.read_array(self._archive, info))
                return like
            kind = _kind_of(like)
            if header.shape == () and header.dtype.kind in _DTYPES[kind]:
                value = kind(npz.read_array(self._archive, info))
                if kind is float and not math.isfinite(value) or kind is int and value < 0:
                    raise self._misfit(f'{key} is {value}')
                return value
        except UserError:
            raise
        except Exception as e:  # a damaged zip fails in many ways
            raise self._damaged(e) from e
        raise self._misfit(
            f'{key} is {header.dtype} {header.shape} where one {kind.__name__} belongs'
        )

    def _opened(self) -> zipfile.ZipFile:
        start = self._file.read(6)
        if start == b'\x93NUMPY':
            raise UserError(
                f'{self.path} is no snapshot but a single array (npy); a snapshot is an npz file'
            )
        try:
            return zipfile.ZipFile(self._file)
        except Exception as e:  # whatever a damaged directory leads to
            raise self._damaged(e) from e

    def _checked_members(self) -> dict[str, zipfile.ZipInfo]:
        """Return the members by key; their sizes are sensible then, and none is compressed."""
        members = {}
        total = 0
        for info in self._archive.infolist():
            total += info.file_size
            if not info.filename.endswith('.npy') or info.filename[:-4] in members:
                raise self._damaged(ValueError(f'unexpected member {info.filename!r}'))
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise self._damaged(ValueError(f'{info.filename} is compressed'))
            members[info.filename[:-4]] = info
        if total > os.fstat(self._file.fileno()).st_size:
            raise self._damaged(ValueError('its arrays would be larger than the file'))
        if RECORD not in members:
            raise UserError(
                f'{self.path} is no snapshot of this program; --resume takes snapshots, '
                '-m takes models'
            )
        return members

    def _record(self) -> Any:
        info = self._members.pop(RECORD)
        if info.file_size > _LARGEST_RECORD:
            raise self._damaged(ValueError(f'its record has {info.file_size:,} bytes'))
        try:
            return json.loads(str(npz.read_array(self._archive, info)))
        except RecursionError as e:
            raise self._damaged(ValueError('its record is nested too deeply')) from e
        except Exception as e:
            raise self._damaged(e) from e

    def _make_states(self, optimizer: Any) -> None:
        """Give the optimizer the arrays that the snapshot has values for.

        Chainer makes them at the first update, and would take any shape from a file before that.
        """
        # such as momentum; t is the number of the parameter's updates
        updated = {
            key.rpartition('/')[0]
            for key in self._members
            if key.startswith(_OPTIMIZER) and not key.endswith('/t')
        }
        for path, param in optimizer.target.namedparams():
            rule = param.update_rule
            if rule.state is None and _OPTIMIZER + path in updated:
                with chainer.using_device(param.device):
                    rule._state = {}
                    rule.init_state(_updated(rule, param))

    def _misfit(self, why: str) -> UserError:
        return UserError(f'the snapshot {self.path} does not fit this run: {why}')

    def _damaged(self, error: Exception) -> UserError:
        older = [
            other
            for other in all_in(os.path.dirname(self.path) or '.')
            if os.path.basename(other) < os.path.basename(self.path)
        ]
        advice = f'; the one before it is {older[0]}: --resume {older[0]}' if older else ''
        return UserError(f'the snapshot {self.path} is damaged ({npz.in_one_line(error)}){advice}')


class _Reader(chainer.Deserializer):
    """Chainer's way to a snapshot's values.

    Args:
        snapshot: has them.
        path: where this part of them begins.
    """

    def __init__(self, snapshot: Snapshot, path: str) -> None:
        self._snapshot = snapshot
        self._path = path

    def __getitem__(self, key: str) -> _Reader:
        return _Reader(self._snapshot, f'{self._path}{key.strip("/")}/')

    def __call__(self, key: str, value: Any) -> Any:
        return self._snapshot.value(self._path + key.lstrip('/'), value)


def _kind_of(value: Any) -> type:
    """Return what a value of a run is read as, if it is no array."""
    if isinstance(value, str):
        return str
    return int if isinstance(value, numbers.Integral) else float


def _updated(rule: Any, param: Any) -> chainer.Variable:
    """Return what a rule updates: the parameter, or a float32 copy of it."""
    if rule._use_fp32_update and param.dtype == np.float16:
        return chainer.Variable(param.array.astype(np.float32))
    return param
