"""Model files: the npz layout of the original, read strictly.

A ``.model`` file is what Chainer's ``save_npz`` writes: a zip of ``PATH.npy``, one for each parameter
and each running statistic, float32, and the whole number ``N`` of each batch normalization. Files of
the original (Chainer 1.24) and of this project have the same layout.

Chainer's own ``load_npz`` ignores surplus arrays, broadcasts shapes and believes whatever sizes a file
declares; none of this happens here.
"""

import functools
import io
import operator
import pathlib
import zipfile

import chainer
import numpy as np

from chainer_zoo import parameters
from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole

_HEADER = 4096  # bytes looked at for an array's header; NumPy writes 128 for all shapes that occur
_NAMED = 3  # so many arrays are named in a message, the others are counted
_COUNTER = 'N'


def load(path, model):
    """Read a model file of the original or of this project into ``model``.

    Nothing is unpickled, nothing is read that the model does not need, and ``model`` is left as it
    was if anything is wrong. The counter ``N`` of a batch normalization may be absent.

    Args:
        path (str or pathlib.Path): the file.
        model (chainer.Chain): a model of the same options, on any device.

    Raises:
        UserError: there is no such file, it is not a model file or damaged, arrays are missing,
            surplus, of another shape or type, or have values that are not finite.
    """
    arrays = read(path, model)
    chainer.serializers.NpzDeserializer(arrays, strict=False).load(model)


def save(path, model):
    """Write ``model`` as the original's Chainer 1.24 would, whole or not at all.

    Args:
        path (str or pathlib.Path): where to.
        model (chainer.Chain): the model, on any device.
    """
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(model)
    # sorted: Chainer keeps names in sets, so their order changes from process to process
    arrays = dict(sorted(serializer.target.items()))
    with write_whole(path) as file:
        # unlike the original: not compressed; that takes six times as long and saves 8%
        np.savez(file, **arrays)


def read(path, model):
    """Return the arrays of a model file by path; see :func:`load`.

    Args:
        path (str or pathlib.Path): the file.
        model (chainer.Chain): says which arrays are expected.

    Returns:
        dict: arrays by path, float32 or, the counters, a whole number.
    """
    path = pathlib.Path(path)
    with _opened(path) as archive:
        try:
            return _read(path, archive, model)
        except UserError:
            raise
        except Exception as error:
            # A damaged zip fails in many ways: BadZipFile, zlib.error, EOFError, SyntaxError of a
            # header, ... They all mean the same to whoever wants to load it.
            raise _damaged(path, error) from error


def _opened(path):
    """Open a zip file, or say in one line why it cannot be a model."""
    if path.is_dir():
        raise UserError(f'{path} is a folder; a model file (*.model) is expected')
    try:
        with open(str(path), 'rb') as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from error
    if not start:
        raise UserError(f'{path} is empty; a model file (*.model) is expected')
    if start[:2] != b'PK':
        raise UserError(f'{path} is not a model file: those are npz files, as Chainer saves them')
    try:
        return zipfile.ZipFile(str(path))
    except Exception as error:  # as above: whatever a damaged directory leads to
        raise _damaged(path, error) from error


def _damaged(path, error):
    return UserError(
        f'{path} is damaged or cut short ({str(error).splitlines()[0] if str(error) else type(error).__name__}); take another copy of it'
    )


def _members(path, archive):
    """Return the zip's members by the paths of their arrays."""
    members = {}
    for info in archive.infolist():
        name = info.filename
        if not name.endswith('.npy'):
            raise UserError(
                f'{path} is not a model file: it has a member {name!r}, but only arrays (*.npy) '
                'are expected'
            )
        if name[:-4] in members:
            raise UserError(f'{path} is damaged: it has {name!r} twice')
        members[name[:-4]] = info
    return members


def _read(path, archive, model):
    needed = parameters.arrays(model)
    counters = {
        (link + '/' + _COUNTER).lstrip('/')
        for link, child in model.namedlinks()
        if _COUNTER in child._persistent
    }
    members = _members(path, archive)
    if any(key.startswith('updater/') for key in members):
        raise UserError(
            f'{path} is a snapshot of a whole run, which --resume takes; a model (*.model) is '
            'expected here (--load_model, -m)'
        )
    if {'t', 'epoch'} <= set(members):
        raise UserError(
            f'{path} is a file of an optimizer, which --load_optimizer (-o) takes; a model '
            '(*.model) is expected here (--load_model, -m)'
        )
    name = type(model).__name__
    missing = sorted(set(needed) - set(members))
    surplus = sorted(set(members) - set(needed) - counters)
    if missing or surplus:
        raise UserError(
            '{} is not a {} of these options: {}'.format(
                path,
                name,
                '; '.join(
                    f'{word} {_some(keys)}'
                    for word, keys in (('missing', missing), ('surplus', surplus))
                    if keys
                ),
            )
        )

    headers = {key: _header(archive, info) for key, info in members.items()}
    wrong = [
        f'{key} {headers[key].shape} where {needed[key].shape} belongs'
        for key in sorted(needed)
        if headers[key].shape != needed[key].shape
    ]
    wrong += [
        f'{key} {headers[key].shape} where one number belongs'
        for key in sorted(counters & set(members))
        if headers[key].shape != ()
    ]
    if wrong:
        raise UserError(f'{path} is not a {name} of these options: wrong shape of {_some(wrong)}')
    wrong = [
        f'{key} ({headers[key].dtype} where {needed[key].dtype} belongs)'
        for key in sorted(needed)
        if headers[key].dtype != needed[key].dtype
    ]
    wrong += [
        f'{key} ({headers[key].dtype} where a whole number belongs)'
        for key in sorted(counters & set(members))
        if headers[key].dtype.kind not in 'iu'
    ]
    if wrong:
        raise UserError(f'{path}: wrong type of {_some(wrong)}')
    # Shapes are right now, so this compares what is declared against what the model needs, before
    # anything large is decompressed: a small file that declares gigabytes costs nothing.
    wrong = [
        f'{key} ({members[key].file_size:,} bytes)'
        for key in sorted(members)
        if members[key].file_size != headers[key].bytes
    ]
    if wrong:
        raise UserError(
            f'{path} is damaged or forged: more or fewer bytes than its shape needs in '
            f'{_some(wrong)}'
        )

    arrays = {}
    for key, info in members.items():
        with archive.open(info) as file:
            arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # reading to the end is also what makes zipfile compare its checksum
                raise ValueError(f'bytes after the array {key}')
    bad = [
        f'{key} ({int((~np.isfinite(array)).sum())} of {array.size} values)'
        for key, array in sorted(arrays.items())
        if not np.isfinite(array).all()
    ]
    if bad:
        raise UserError(f'{path} has values that are not finite (NaN or infinite): {_some(bad)}')
    return arrays


class _Header:
    """What an array declares: ``shape``, ``dtype`` and the ``bytes`` it takes with its header."""

    def __init__(self, start):
        """Read the header from the array's first bytes."""
        file = io.BytesIO(start)
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError('unknown npy version {}.{}'.format(*version))
        self.bytes = file.tell() + self.dtype.itemsize * functools.reduce(
            operator.mul, self.shape, 1
        )


def _header(archive, info):
    with archive.open(info) as file:
        return _Header(file.read(_HEADER))


def _some(names):
    """Name the first few and count them all."""
    shown = ', '.join(names[:_NAMED])
    more = f' and {len(names) - _NAMED} more ({len(names)} in all)'
    return shown + (more if len(names) > _NAMED else '')
