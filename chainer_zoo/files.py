"""Files: writing that happens whole or not at all, reading of regular files only, showing names."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import unicodedata
from typing import BinaryIO

from chainer_zoo.errors import UserError

#: What a path may lead to that is not a regular file, by the type bits of its mode.
_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a pipe',
    stat.S_IFSOCK: 'a socket',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading, and nothing else.

    Opening a pipe or a device can wait for ever, and reading one need not end. Links are followed.

    Args:
        path: the file to read.

    Returns:
        A binary file object that can seek.

    Raises:
        UserError: there is no such file, it is not a regular file, or it may not be read.
    """
    path = os.fspath(path)
    try:
        _require_regular(path, os.stat(path))
        # the path may lead elsewhere by now: opening must not wait, and what was opened counts
        flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_NOCTTY', 0)
        handle = os.open(path, flags | getattr(os, 'O_BINARY', 0))
        try:
            _require_regular(path, os.fstat(handle))
            return os.fdopen(handle, 'rb')
        except BaseException:
            os.close(handle)
            raise
    except OSError as e:
        raise UserError(f'cannot read {path}: {e.strerror or e}') from e
    except UserError:
        raise
    except ValueError as e:  # a null character, or one that file names cannot spell
        raise UserError(f'cannot read {path}: no file can have this name') from e


def _require_regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), 'something else')
        raise UserError(f'cannot read {path}: it is {kind}, not a regular file')


def printable(text: str | os.PathLike[str]) -> str:
    r"""Return ``text`` on one line, with escapes for what a terminal must not be sent.

    A file's name may hold any character: a line break, an escape sequence, or a surrogate that
    stands for a byte which is no valid UTF-8. These come back as ``\n``, ``\x1b``, ``\udce9``.
    """
    return ''.join(
        c
        if c.isprintable() or unicodedata.category(c) == 'Zs'  # spaces of other scripts
        else c.encode('unicode_escape').decode('ascii')
        for c in os.fspath(text)
    )


@contextlib.contextmanager
def write_whole(path):
    """Write a file under another name in its folder, and give it its name once it is whole.

    Whoever reads ``path`` sees the old file or the new one, also when the process is killed or the
    machine stops in the middle: the data is on the disk before the name is.

    Args:
        path (str or os.PathLike): the file to write; its folder exists.

    Yields:
        A binary file object.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    path = os.fspath(path)
    folder, name = os.path.split(os.path.abspath(path))
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix='.' + name + '.', suffix='.part', dir=folder)
        with os.fdopen(handle, 'wb') as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
        _sync_folder(folder)
    except OSError as e:
        _remove(temporary)
        raise UserError(f'cannot write {path}: {e.strerror or e}; nothing was changed there') from e
    except BaseException:
        _remove(temporary)
        raise


def remove_parts(folder):
    """Remove what killed writers left behind in ``folder``: temporary files that got no name."""
    for name in os.listdir(folder):
        if name.startswith('.') and name.endswith('.part'):
            _remove(os.path.join(folder, name))


def _remove(path):
    if path is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder):
    """Have the new name itself on the disk, where the system lets folders be synced."""
    if os.name != 'posix':
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
