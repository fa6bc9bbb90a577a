"""Reading CIFAR-10 from the official files."""

import hashlib
import os
import tarfile
import zlib

import numpy as np
from chainer.dataset import download as chainer_download

from chainer_zoo.data import safe_pickle
from chainer_zoo.data.dataset import Dataset
from chainer_zoo.data.download import download as download_file
from chainer_zoo.errors import UserError

URL = 'https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz'
MD5 = 'c58f30108f718f92721af3b95e74349a'

_ARCHIVE = 'cifar-10-python.tar.gz'
_FOLDER = 'cifar-10-batches-py'
_TRAIN = tuple(f'data_batch_{i}' for i in range(1, 6))
_TEST = 'test_batch'
_META = 'batches.meta'
_FILES = _TRAIN + (_TEST, _META)
_PIXELS = 3 * 32 * 32
_PIECE = 1 << 20  # bytes that are moved at a time


def read(path=None, download=True, progress=True, url=URL, md5=MD5):
    """Read CIFAR-10.

    Args:
        path (str): The official ``cifar-10-python.tar.gz``, the extracted ``cifar-10-batches-py``,
            or a folder with one of them in it. None: a copy in Chainer's dataset folder
            (``CHAINER_DATASET_ROOT``, else ``~/.chainer/dataset``), where Chainer's own get_cifar10
            keeps its archive too.
        download (bool): Whether to download it where ``path`` is None and there is no copy.
        progress (bool): Whether to show a bar while downloading.
        url (str): Where to download from.
        md5 (str): The sum of the archive there.

    Returns:
        Dataset: Training and test images in file order, batch after batch.

    Raises:
        UserError: If there is no copy and none can be had, or a file is damaged, missing or not
            what it should be. It names the file.
    """
    if path is None:
        path = find_copy()
        if path is None:
            path = _download(url, md5, download, progress)
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        for inside in (_FOLDER, _ARCHIVE):
            if os.path.exists(os.path.join(path, inside)):
                path = os.path.join(path, inside)
                break
    if os.path.isdir(path):
        return _read_all(_folder_files(path), path)
    if os.path.isfile(path):
        return _read_all(_archive_files(path), path)
    raise UserError(
        f'{path} does not exist: expected {_ARCHIVE}, the folder {_FOLDER}, or a folder with one of them '
        'in it'
    )


def find_copy():
    """Return the path of a copy in Chainer's dataset folder, or None where there is none."""
    # as chainer.dataset.cached_download names what it keeps
    cached = hashlib.md5(URL.encode('utf-8')).hexdigest()
    root = chainer_download.get_dataset_root()
    for path in (
        os.path.join(_own_folder(), _FOLDER),
        os.path.join(_own_folder(), _ARCHIVE),
        os.path.join(root, _FOLDER),
        os.path.join(root, _ARCHIVE),
        os.path.join(root, '_dl_cache', cached),
    ):
        if os.path.exists(path):
            return path
    return None


def _own_folder():
    return chainer_download.get_dataset_directory(
        os.path.join('chainer_zoo', 'cifar10'), create_directory=False
    )


def _download(url, md5, download, progress):
    """Download the archive into Chainer's dataset folder and return its path."""
    path = os.path.join(_own_folder(), _ARCHIVE)
    reason = 'downloading is switched off'
    if download:
        try:
            download_file(url, path, md5, progress=progress)
            return path
        except UserError as error:
            reason = str(error)
    raise UserError(
        f'no CIFAR-10: {reason}. Three ways to go on: give --data PATH with the official {_ARCHIVE} or the folder '
        f'{_FOLDER}; or put the archive at {path} (or mend the connection and start again); or give '
        '--dataset shapes to use the built-in drawn images'
    )


def _folder_files(folder):
    """Yield name, path for people and open file of each file in the order it is read in."""
    for name in _FILES:
        path = os.path.join(folder, name)
        try:
            file = open(path, 'rb')
        except FileNotFoundError:
            raise UserError(
                '{} is missing: {} must hold {}'.format(path, folder, ', '.join(_FILES))
            )
        except OSError as error:
            raise UserError(f'{path} cannot be read: {error.strerror}')
        with file:
            yield name, path, file


def _archive_files(path):
    """Yield the same from an archive, in its own order. Nothing is extracted to the disk."""
    missing = set(_FILES)
    try:
        with tarfile.open(path, 'r:gz') as archive:
            for member in archive:
                name = member.name.rsplit('/', 1)[-1]
                if name in missing and member.isfile():
                    missing.remove(name)
                    yield name, f'{name} in {path}', archive.extractfile(member)
            # Behind the last file lies the checksum of the whole.
            while archive.fileobj.read(1 << 16):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f'{path} is damaged or no {_ARCHIVE}: {error}; get it again')
    if missing:
        raise UserError(
            '{} lacks {}: it is not the official {}, or not whole'.format(
                path, ', '.join(sorted(missing)), _ARCHIVE
            )
        )


def _read_all(files, source):
    """Return the Dataset of an iterator of name, path for people and open file."""
    train, test = _Batches(_TRAIN), _Batches((_TEST,))
    for name, path, file in files:
        content = safe_pickle.load_dict(file, path)
        if name == _META:
            label_names = _label_names(content, path)
        else:
            (test if name == _TEST else train).add(name, path, *_batch(content, path))
        del content  # before the next one is read: it is 31 MB
    for batches in train, test:
        batches.check(len(label_names), source)
    return Dataset(*train.arrays(), *test.arrays(), label_names, source)


class _Batches:
    """Images and labels of several batches, with little more memory than they need in the end.

    Args:
        names (tuple of str): The batches, in the order that the images shall have.
    """

    def __init__(self, names):
        self._names = names
        self._x = np.empty((0, _PIXELS), dtype=np.uint8)
        self._y = {}
        self._paths = {}

    def add(self, name, path, x, y):
        """Append a batch, in whatever order they come."""
        start = len(self._x)
        # Moves no memory when it is large; nothing else refers to it.
        self._x.resize((start + len(x), _PIXELS), refcheck=False)
        self._x[start:] = x
        self._y[name] = y
        self._paths[name] = path

    def check(self, n_class, source):
        """Raise UserError where there are no images, or labels without a name."""
        if not len(self._x):
            raise UserError('{} has no images in {}'.format(source, ' and '.join(self._names)))
        for name, y in self._y.items():
            if y.size and not 0 <= y.min() <= y.max() < n_class:
                raise UserError(
                    f'{self._paths[name]} has labels from {y.min()} to {y.max()}: expected 0 to {n_class - 1}'
                )

    def arrays(self):
        """Return uint8 (N, 3, 32, 32) and int32 (N,)."""
        y = np.concatenate([self._y[name] for name in self._names])
        came = list(self._y)
        order = [came.index(name) for name in self._names]
        lengths = [len(self._y[name]) for name in came]
        if len(set(lengths)) == 1:
            blocks = self._x.reshape(len(came), -1)
            for i, j in enumerate(order):
                while j < i:  # where that block was put meanwhile
                    j = order[j]
                # Piece by piece: a copy of a whole block would be the largest memory of all.
                for k in range(0, blocks.shape[1] if i != j else 0, _PIECE):
                    moved = blocks[i, k : k + _PIECE].copy()
                    blocks[i, k : k + _PIECE] = blocks[j, k : k + _PIECE]
                    blocks[j, k : k + _PIECE] = moved
            x = self._x
        else:
            parts = np.split(self._x, np.cumsum(lengths)[:-1])
            x = np.concatenate([parts[i] for i in order])
        return x.reshape(-1, 3, 32, 32), y


def _label_names(content, path):
    names = content.get('label_names')
    if not isinstance(names, list) or not names:
        raise UserError(f'{path} has no list of label_names')
    return tuple(name.decode('latin-1') if isinstance(name, bytes) else str(name) for name in names)


def _batch(content, path):
    """Return images uint8 (N, 3072) and labels int32 (N,) of a batch."""
    for key in ('data', 'labels'):
        if key not in content:
            raise UserError(f'{path} has no {key!r}: it is not a batch of CIFAR-10')
    x = content['data']
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape[1:] != (_PIXELS,):
        raise UserError(f'{path} has images {_kind(x)}: expected uint8 (N, {_PIXELS})')
    try:
        y = np.asarray(content['labels'])
    except ValueError:  # lists of unequal length
        y = np.asarray([])
    if y.shape != (len(x),) or (y.size and y.dtype.kind not in 'iu'):
        raise UserError(f'{path} has labels {_kind(y)}: expected {len(x)} whole numbers')
    return x, y.astype(np.int32)


def _kind(x):
    return f'{x.dtype} {x.shape}' if isinstance(x, np.ndarray) else type(x).__name__
