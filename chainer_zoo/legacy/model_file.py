"""Model files: the npz layout of the original, read strictly.

A ``.model`` file is what Chainer's ``save_npz`` writes: a zip of ``PATH.npy``, one for each
parameter and each running statistic, float32, and the whole number ``N`` of each batch
normalization. Files of the original (Chainer 1.24) and of this project have the same layout.

Chainer's own ``load_npz`` ignores surplus arrays, broadcasts shapes and believes whatever sizes a
file declares; none of this happens here.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence

import chainer
import numpy as np

from chainer_zoo import npz
from chainer_zoo import parameters
from chainer_zoo.data import archives
from chainer_zoo.errors import UserError
from chainer_zoo.files import open_regular
from chainer_zoo.files import printable
from chainer_zoo.files import write_whole
from chainer_zoo.records import shown

_NAMED = 3  # so many arrays are named in a message, the others are counted
_LONGEST = 200  # characters of what is named
_COUNTER = 'N'
_MAX_COUNT = 10**12  # batches that a counter has seen


def load(path: str | os.PathLike[str], model: chainer.Chain) -> None:
    """Read a model file of the original or of this project into ``model``.

    Nothing is unpickled, nothing is read that the model does not need, and ``model`` is left as it
    was if anything is wrong. The counter ``N`` of a batch normalization may be absent.

    Args:
        path: the file.
        model: a model of the same options, on any device.

    Raises:
        UserError: there is no such file, it is not a model file or damaged, arrays are missing,
            surplus, of another shape or type, or have values that are not finite.
    """
    arrays = read(path, model)
    chainer.serializers.NpzDeserializer(arrays, strict=False).load(model)


def save(path: str | os.PathLike[str], model: chainer.Chain) -> None:
    """Write ``model`` as the original's Chainer 1.24 would, whole or not at all.

    Args:
        path: where to.
        model: the model, on any device.
    """
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(model)
    # sorted: Chainer keeps names in sets, so their order changes from process to process
    arrays = dict(sorted(serializer.target.items()))
    with write_whole(path) as file:
        # unlike the original: not compressed; that takes six times as long and saves 8%
        np.savez(file, **arrays)


def read(path: str | os.PathLike[str], model: chainer.Chain) -> dict[str, np.ndarray]:
    """Return the arrays of a model file by path; see :func:`load`.

    Args:
        path: the file.
        model: says which arrays are expected.

    Returns:
        Arrays by path, float32 or, the counters, a whole number.
    """
    with open_regular(path) as file:
        start = file.read(2)
        if not start:
            raise UserError(f'{path} is empty; a model file (*.model) is expected')
        if start != b'PK':
            raise UserError(
                f'{path} is not a model file: those are npz files, as Chainer saves them'
            )
        try:
            with archives.open_zip(file) as archive:
                return _Reader(path, archive, model).read()
        except UserError:
            raise
        except Exception as error:
            # A damaged zip fails in many ways: BadZipFile, zlib.error, EOFError, SyntaxError of a
            # header, ... They all mean the same to whoever wants to load it.
            reason = printable(' '.join(str(error).split())[:_LONGEST]) or type(error).__name__
            raise UserError(
                f'{path} is damaged or cut short ({reason}); take another copy of it'
            ) from error


class _Reader:
    """Checks a model file, the cheapest checks first, and reads it.

    Args:
        path: what to call it in an error.
        archive: the file, open.
        model: says which arrays are expected.
    """

    def __init__(
        self, path: str | os.PathLike[str], archive: zipfile.ZipFile, model: chainer.Chain
    ) -> None:
        self._path = path
        self._archive = archive
        self._model_name = type(model).__name__
        self._needed = parameters.arrays(model)
        counters = {
            f'{link}/{_COUNTER}'.lstrip('/')
            for link, child in model.namedlinks()
            if _COUNTER in child._persistent
        }
        self._members = self._by_path()
        self._check_paths(counters)
        self._counters = counters & set(self._members)

    def read(self) -> dict[str, np.ndarray]:
        """Return the arrays by path."""
        headers = {key: npz.header(self._archive, info) for key, info in self._members.items()}
        self._check_headers(headers)
        # Shapes are right now, so this compares what is declared with what the model needs, before
        # anything large is decompressed: a small file that declares gigabytes costs nothing.
        wrong = [
            f'{key} ({info.file_size:,} bytes)'
            for key, info in sorted(self._members.items())
            if info.file_size != headers[key].bytes
        ]
        if wrong:
            raise UserError(
                f'{self._path} is damaged or forged: more or fewer bytes than its shape needs in '
                f'{_some(wrong)}'
            )
        arrays = {key: npz.read_array(self._archive, info) for key, info in self._members.items()}
        self._check_values(arrays)
        return arrays

    def _by_path(self) -> dict[str, zipfile.ZipInfo]:
        """Return the zip's members by the paths of their arrays."""
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            name = info.filename
            if not name.endswith('.npy'):
                raise UserError(
                    f'{self._path} is not a model file: it has a member {shown(name)}, but only '
                    'arrays (*.npy) are expected'
                )
            if name[:-4] in members:
                raise UserError(f'{self._path} is damaged: it has {shown(name)} twice')
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(
                    f'{self._path} is not a model file: {shown(name)} is compressed as NumPy '
                    'does not do it'
                )
            members[name[:-4]] = info
        return members

    def _check_paths(self, counters: set[str]) -> None:
        """Refuse a file of other arrays than the model has; name what it is if that is known."""
        found = set(self._members)
        if any(key.startswith('updater/') for key in found):
            raise UserError(
                f'{self._path} is a snapshot of a whole run, which --resume takes; a model '
                '(*.model) is expected here (--load_model, -m)'
            )
        if {'t', 'epoch'} <= found:
            raise UserError(
                f'{self._path} is a file of an optimizer, which --load_optimizer (-o) takes; a '
                'model (*.model) is expected here (--load_model, -m)'
            )
        missing = sorted(set(self._needed) - found)
        surplus = sorted(found - set(self._needed) - counters)
        if missing or surplus:
            raise UserError(
                f'{self._path} is not a {self._model_name} of these options: '
                + '; '.join(
                    f'{word} {_some(keys)}'
                    for word, keys in (('missing', missing), ('surplus', surplus))
                    if keys
                )
            )

    def _check_headers(self, headers: dict[str, npz.Header]) -> None:
        """Refuse arrays of other shapes and types than the model has."""
        wrong = [
            f'{key} {headers[key].shape} where {array.shape} belongs'
            for key, array in sorted(self._needed.items())
            if headers[key].shape != array.shape
        ]
        wrong += [
            f'{key} {headers[key].shape} where one number belongs'
            for key in sorted(self._counters)
            if headers[key].shape != ()
        ]
        if wrong:
            raise UserError(
                f'{self._path} is not a {self._model_name} of these options: wrong shape of '
                f'{_some(wrong)}'
            )
        wrong = [
            f'{key} ({headers[key].dtype} where {array.dtype} belongs)'
            for key, array in sorted(self._needed.items())
            if headers[key].dtype != array.dtype
        ]
        wrong += [
            f'{key} ({headers[key].dtype} where a whole number belongs)'
            for key in sorted(self._counters)
            if headers[key].dtype.kind not in 'iu'
        ]
        if wrong:
            raise UserError(f'{self._path}: wrong type of {_some(wrong)}')

    def _check_values(self, arrays: dict[str, np.ndarray]) -> None:
        """Refuse values that are not finite, and counts that cannot be."""
        wrong = [
            f'{key} ({int((~np.isfinite(array)).sum())} of {array.size} values)'
            for key, array in sorted(arrays.items())
            if not np.isfinite(array).all()
        ]
        if wrong:
            raise UserError(
                f'{self._path} has values that are not finite (NaN or infinite): {_some(wrong)}'
            )
        wrong = [
            f'{key} ({arrays[key]})'
            for key in sorted(self._counters)
            if not 0 <= arrays[key] <= _MAX_COUNT
        ]
        if wrong:
            raise UserError(
                f'{self._path} has counts that are not between 0 and {_MAX_COUNT:,}: {_some(wrong)}'
            )


def _some(names: Sequence[str]) -> str:
    """Name the first few and count them all."""
    text = ', '.join(printable(name[:_LONGEST]) for name in names[:_NAMED])
    if len(names) <= _NAMED:
        return text
    return f'{text} and {len(names) - _NAMED} more ({len(names)} in all)'
