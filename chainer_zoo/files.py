"""Files: writing that happens whole or not at all, reading of regular files only, showing names."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
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

_KEPT_OF_NAME = 200  # bytes; systems allow 255, and a temporary file's name is longer by 23


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


def one_line(text: str, at_most: int = 2000) -> str:
    """Return a message that may hold anything as one line: printable, its middle left out if long.

    Args:
        text: the message.
        at_most: characters to show.
    """
    text = printable(text)
    if len(text) <= at_most:
        return text
    half = at_most // 2
    return f'{text[:half]} ... {text[-half:]}'


@contextlib.contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file under another name in its folder, and give it its name once it is whole.

    Whoever reads ``path`` sees the old file or the new one, also when the process is killed or the
    machine stops in the middle: the data is on the disk before the name is.

    Args:
        path: the file to write; its folder exists.

    Yields:
        A binary file object.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    path = os.fspath(path)
    folder, name = os.path.split(os.path.abspath(path))
    temporary = None
    try:
        handle, temporary = _new_part(folder, name)
        with os.fdopen(handle, 'wb') as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
        _sync_folder(folder)
    except OSError as e:
        _remove(temporary)
        raise UserError(f'cannot write {path}: {e.strerror or e}; nothing was changed there') from e
    except BaseException:
        _remove(temporary)
        raise


def _new_part(folder: str, name: str) -> tuple[int, str]:
    """Make an empty temporary file for ``name``, with any new file's permissions."""
    # not by tempfile: its files are their owner's alone, and the mask that others should be made
    # with can only be asked for by changing it, which other threads would notice
    start = os.fsencode(name)[:_KEPT_OF_NAME].decode('utf-8', 'ignore')
    path = os.path.join(folder, f'.{start}.{secrets.token_hex(8)}.part')
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, 'O_BINARY', 0)
    return os.open(path, flags, 0o666), path


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file, if it is there.

    Raises:
        UserError: it may not be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise UserError(f'cannot remove {os.fspath(path)}: {e.strerror or e}') from e


def remove_parts(folder: str | os.PathLike[str]) -> None:
    """Remove what killed writers left behind in ``folder``: temporary files that got no name."""
    for name in os.listdir(folder):
        if name.startswith('.') and name.endswith('.part'):
            _remove(os.path.join(folder, name))


def _remove(path: str | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those that it lies in, all or none.

    Raises:
        UserError: it cannot be made, or something else is there.
    """
    path = os.path.abspath(path)
    missing = []
    folder = path
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    made = []
    try:
        for folder in reversed(missing):
            os.mkdir(folder)
            made.append(folder)
    except BaseException as e:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if isinstance(e, OSError):
            raise UserError(
                f'cannot write into {path}: the folder cannot be made ({e.strerror or e})'
            ) from e
        raise


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check that a folder can be written to, or that it can be made, without making it.

    Raises:
        UserError: it cannot.
    """
    path = os.path.abspath(path)
    folder = path
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise UserError(f'cannot write into {path}: {folder} is no folder')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f'cannot write into {path}: you may not write into {folder}')


def _sync_folder(folder: str) -> None:
    """Have the new name itself on the disk, where the system lets folders be synced."""
    if os.name != 'posix':
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
