"""Reading CIFAR-10 from the official files."""

from __future__ import annotations

import collections
import hashlib
import itertools
import os
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO
from typing import NamedTuple

import numpy as np
from chainer.dataset import download as chainer_download

from chainer_zoo.data import archives
from chainer_zoo.data import other_forms
from chainer_zoo.data import safe_pickle
from chainer_zoo.data.dataset import Dataset
from chainer_zoo.data.download import download as download_file
from chainer_zoo.errors import UserError
from chainer_zoo.files import open_regular
from chainer_zoo.files import printable

URL = 'https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz'
MD5 = 'c58f30108f718f92721af3b95e74349a'

_ARCHIVE = 'cifar-10-python.tar.gz'
_FOLDER = 'cifar-10-batches-py'
# What archives are called that are looked for in a folder; one that is given may have any name.
_ARCHIVES = (_ARCHIVE,) + tuple(
    name + ending
    for name in ('cifar-10-python', _FOLDER)
    for ending in ('.tar.gz', '.tgz', '.tar', '.tar.bz2', '.tar.xz', '.zip')
)
_TRAIN = tuple(f'data_batch_{i}' for i in range(1, 6))
_TEST = 'test_batch'
_META = 'batches.meta'
_FILES = _TRAIN + (_TEST, _META)
_PIXELS = 3 * 32 * 32
_PIECE = 1 << 20  # bytes that are moved at a time

# Bytes of one file at most. The whole of CIFAR-10 in one batch has 184 million pixels; a text
# encoding makes up to half as many more bytes of them.
_MAX_FILE = 1 << 28
_MAX_CLASSES = 1000
_MAX_NAME = 100  # characters of the name of a class

_WANTED = f'Give {_ARCHIVE} from {URL}, or the folder {_FOLDER} that it holds'

_MAX_FOLDERS = 1000  # that are searched
_MAX_DEPTH = 3  # of folders below the one that is given
_MAX_LISTED = 10_000  # names in a folder that are looked at


def read(
    path: str | None = None,
    download: bool = True,
    progress: bool = True,
    url: str = URL,
    md5: str = MD5,
) -> Dataset:
    """Read CIFAR-10.

    Args:
        path: The official ``cifar-10-python.tar.gz``; the same files in another archive (tar, plain
            or compressed by gzip, bzip2 or xz, or zip); the folder ``cifar-10-batches-py``; or a
            folder with one of them in it, up to three levels down. None: a copy in Chainer's
            dataset folder (``CHAINER_DATASET_ROOT``, else ``~/.chainer/dataset``), where Chainer's
            own get_cifar10 keeps its archive too.
        download: Whether to download it where ``path`` is None and there is no copy.
        progress: Whether to show a bar while downloading.
        url: Where to download from.
        md5: The MD5 sum of the archive there, in hexadecimal digits.

    Returns:
        Training and test images in file order, batch after batch.

    Raises:
        UserError: If there is no copy and none can be had, or a file is damaged, missing or not
            what it should be. It names the file.
    """
    if path is None:
        path = find_copy()
        if path is None:
            path = _download(url, md5, download, progress)
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(path):
        raise UserError(
            f'{path} does not exist: expected {_ARCHIVE}, the folder {_FOLDER}, or a folder with '
            'one of them in it'
        )
    if os.path.isdir(path):
        path = _search(path)
    if os.path.isdir(path):
        return _read_all(_folder_files(path), path)
    with open_regular(path) as file:
        return _read_all(_archive_files(file, path), path)


def find_copy() -> str | None:
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


def _own_folder() -> str:
    return chainer_download.get_dataset_directory(
        os.path.join('chainer_zoo', 'cifar10'), create_directory=False
    )


def _download(url: str, md5: str, download: bool, progress: bool) -> str:
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
        f'no CIFAR-10: {reason}. Three ways to go on: give --data PATH with the official '
        f'{_ARCHIVE} or the folder {_FOLDER}; or put the archive at {path} (or repair the '
        'connection and start again); or give --dataset shapes to use the built-in drawn images'
    )


def _search(folder: str) -> str:
    """Return the folder with the batches, or the archive, that is nearest below ``folder``.

    Returns:
        A path; ``folder`` itself if nothing was found and nothing else is recognized there.

    Raises:
        UserError: What is there is recognized as something else.
    """
    waiting = collections.deque([(folder, 0)])
    names: set[str] = set()
    for _ in range(_MAX_FOLDERS):
        if not waiting:
            break
        here, depth = waiting.popleft()
        for place in (here, os.path.join(here, _FOLDER)):
            if any(os.path.exists(os.path.join(place, name)) for name in _FILES):
                return place
        for name in _ARCHIVES:
            if os.path.isfile(os.path.join(here, name)):
                return os.path.join(here, name)
        files, folders = _listed(here)
        names.update(files)
        if depth < _MAX_DEPTH:
            waiting.extend((path, depth + 1) for path in folders)
    what = other_forms.of_names(names)
    if what is not None:
        raise UserError(f'{folder} cannot be read: {printable(what)}. {_WANTED}')
    return folder


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of files in a folder and the paths of folders in it, as far as allowed."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, _MAX_LISTED):
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    files.append(entry.name)
    except OSError:  # it may not be listed, which does not keep the others from being searched
        pass
    return files, sorted(folders)


class _File(NamedTuple):
    """One file of the data set, open.

    Attributes:
        name: One of ``_FILES``.
        path: What to call it in an error.
        size: How many bytes it has.
        file: Where they are read.
    """

    name: str
    path: str
    size: int
    file: Any


def _folder_files(folder: str) -> Iterator[_File]:
    """Yield the files of a folder in the order they are read in."""
    for name in _FILES:
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            raise UserError(f'{path} is missing: {folder} must hold {", ".join(_FILES)}')
        with open_regular(path) as file:
            yield _File(name, path, os.fstat(file.fileno()).st_size, file)


def _archive_files(file: BinaryIO, path: str) -> Iterator[_File]:
    """Yield the files of an archive in its own order. Nothing is unpacked to the disk."""
    if not archives.is_archive(file):
        start = file.read(512)
        what = other_forms.of_file(start, os.fstat(file.fileno()).st_size)
        raise UserError(f'{path} is no archive{"" if what is None else ": " + what}. {_WANTED}')
    missing = set(_FILES)
    others: set[str] = set()
    for member in archives.members(file, path):
        name = member.name.replace('\\', '/').rsplit('/', 1)[-1]
        if name in missing:
            missing.remove(name)
            yield _File(name, f'{name} in {path}', member.size, member.file)
        elif len(others) < _MAX_LISTED:
            others.add(name)
    if missing == set(_FILES):
        what = other_forms.of_names(others) or 'it holds none of the files of CIFAR-10'
        raise UserError(f'{path} cannot be read: {printable(what)}. {_WANTED}')
    if missing:
        raise UserError(
            f'{path} lacks {", ".join(sorted(missing))}: it is not the official {_ARCHIVE}, or '
            'not whole'
        )


def _read_all(files: Iterator[_File], source: str) -> Dataset:
    """Return the data set that is made of these files, in whatever order they come."""
    train, test = _Batches(_TRAIN), _Batches((_TEST,))
    label_names: tuple[str, ...] = ()
    for name, path, size, file in files:
        if size > _MAX_FILE:
            raise UserError(
                f'{path} has {size:,} bytes: a batch of CIFAR-10 has {_MAX_FILE:,} at most'
            )
        content = safe_pickle.load_dict(file, size, path)
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
        names: The batches, in the order that the images shall have.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._x = np.empty((0, _PIXELS), dtype=np.uint8)
        self._y: dict[str, np.ndarray] = {}
        self._paths: dict[str, str] = {}

    def add(self, name: str, path: str, x: np.ndarray, y: np.ndarray) -> None:
        """Append a batch, in whatever order they come."""
        start = len(self._x)
        # moves no memory when it is large; nothing else refers to it
        self._x.resize((start + len(x), _PIXELS), refcheck=False)
        self._x[start:] = x
        self._y[name] = y
        self._paths[name] = path

    def check(self, n_class: int, source: str) -> None:
        """Raise UserError where there are no images, or labels without a name."""
        if not len(self._x):
            raise UserError(f'{source} has no images in {" and ".join(self._names)}')
        for name, y in self._y.items():
            if y.size and not 0 <= y.min() <= y.max() < n_class:
                raise _wrong_labels(self._paths[name], y.min(), y.max(), n_class)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return uint8 (N, 3, 32, 32) and int32 (N,)."""
        y = np.concatenate([self._y[name] for name in self._names])
        came = list(self._y)
        order = [came.index(name) for name in self._names]
        lengths = [len(self._y[name]) for name in came]
        if len(set(lengths)) == 1:
            self._put_in_order(order)
            x = self._x
        else:
            parts = np.split(self._x, np.cumsum(lengths)[:-1])
            x = np.concatenate([parts[i] for i in order])
        return x.reshape(-1, 3, 32, 32), y.astype(np.int32)

    def _put_in_order(self, order: list[int]) -> None:
        """Move batches of equal length, so that batch ``order[i]`` comes to place i.

        They change places a piece at a time: a copy of a batch would need more memory than anything
        before.
        """
        blocks = self._x.reshape(len(order), -1)
        for i, j in enumerate(order):
            while j < i:  # where that block has been put meanwhile
                j = order[j]
            for k in range(0, blocks.shape[1] if i != j else 0, _PIECE):
                moved = blocks[i, k : k + _PIECE].copy()
                blocks[i, k : k + _PIECE] = blocks[j, k : k + _PIECE]
                blocks[j, k : k + _PIECE] = moved


def _label_names(content: dict[str, Any], path: str) -> tuple[str, ...]:
    names = content.get('label_names')
    if not isinstance(names, list) or not names:
        raise UserError(f'{path} has no list of label_names')
    if len(names) > _MAX_CLASSES:
        raise UserError(f'{path} names {len(names):,} classes: at most {_MAX_CLASSES} are read')
    if not all(isinstance(name, (str, bytes)) and len(name) <= _MAX_NAME for name in names):
        raise UserError(
            f'{path} has label_names that are no text of at most {_MAX_NAME} characters'
        )
    return tuple(
        printable(name.decode('latin-1') if isinstance(name, bytes) else name) for name in names
    )


def _batch(content: dict[str, Any], path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, 3072) and labels int64 (N,) of a batch."""
    if 'labels' not in content and 'fine_labels' in content:
        raise UserError(f'{path} is of CIFAR-100, and only CIFAR-10 is read. {_WANTED}')
    for key in ('data', 'labels'):
        if key not in content:
            raise UserError(f'{path} has no {key!r}: it is not a batch of CIFAR-10')
    x = content['data']
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape[1:] != (_PIXELS,):
        raise UserError(f'{path} has images {_kind(x)}: expected uint8 (N, {_PIXELS})')
    y = content['labels']
    if isinstance(y, np.ndarray) and y.ndim == 1:
        y = y.tolist()
    if not isinstance(y, list) or not all(type(label) is int for label in y):
        raise UserError(f'{path} has labels {_kind(y)}: expected {len(x)} whole numbers')
    if len(y) != len(x):
        raise UserError(f'{path} has {len(y)} labels: expected {len(x)}, one for each image')
    # before they become numbers of a fixed size, which would wrap
    if y and not 0 <= min(y) <= max(y) < _MAX_CLASSES:
        raise _wrong_labels(path, min(y), max(y), 10)
    return x, np.array(y, dtype=np.int64)


def _wrong_labels(path: str, low: int, high: int, n_class: int) -> UserError:
    return UserError(f'{path} has labels from {low} to {high}: expected 0 to {n_class - 1}')


def _kind(x: Any) -> str:
    return f'{x.dtype} {x.shape}' if isinstance(x, np.ndarray) else f'({type(x).__name__})'
