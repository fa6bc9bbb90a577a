"""Reading the files of an archive from an untrusted source, without unpacking it to the disk.

Tar archives, plain or compressed by gzip, bzip2 or xz, and zip archives. Whatever an archive
declares, no more is read, kept or unpacked than the limits below allow.
"""

from __future__ import annotations

import importlib
import re
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO
from typing import Callable
from typing import NamedTuple

from chainer_zoo.errors import UserError
from chainer_zoo.files import printable

#: Bytes of all that an archive unpacks to, files that nobody asked for included.
MAX_TOTAL = 1 << 29

#: Files in an archive.
MAX_MEMBERS = 100_000

_MAX_NAME = 1 << 16  # bytes of the extra headers that tar uses for a long name
_MAX_DIRECTORY = 1 << 22  # bytes of a zip archive's directory: a hundred for each file
_MAX_TAIL = 1 << 17  # bytes that are looked at to find a zip archive's directory
_BLOCK = 512  # bytes: tar headers have this size, and files begin at multiples of it
_PIECE = 1 << 16  # bytes that are skipped at a time

# The first bytes of a compressed file, and the module of Python that reads it.
_COMPRESSIONS = {b'\x1f\x8b': 'gzip', b'BZh': 'bz2', b'\xfd7zXZ\x00': 'lzma'}
_ZIP = (b'PK\x03\x04', b'PK\x05\x06')
_ENCRYPTED = 1  # bit of a zip member's flags


class Member(NamedTuple):
    """A regular file in an archive.

    Attributes:
        name: Its path in the archive, as it stands there.
        size: How many bytes it has.
        file: Where they are read, until the next member is asked for.
    """

    name: str
    size: int
    file: MemberFile


class MemberFile:
    """The bytes of a member, read forward.

    Args:
        file: What to read, with ``read`` and ``readline``.
        size: How many bytes belong to the member.
        path: What to call the archive in an error.
    """

    def __init__(self, file: Any, size: int, path: str) -> None:
        self._file = file
        self._left = size
        self._path = path

    def read(self, n: int) -> bytes:
        """Return the next ``n`` bytes, or all that are left if there are fewer."""
        return self._some(self._file.read, n)

    def readline(self, n: int) -> bytes:
        """Return the next line with its line feed, or its first ``n`` bytes."""
        return self._some(self._file.readline, n)

    def _some(self, read: Callable[[int], bytes], n: int) -> bytes:
        try:
            data = read(min(n, self._left))
        except UserError:
            raise
        except Exception as error:
            raise _damaged(self._path, error) from error
        self._left -= len(data)
        return data


def is_archive(file: BinaryIO) -> bool:
    """Return whether a file is an archive by its first bytes, whatever its name; it is rewound."""
    start = file.read(_BLOCK)
    file.seek(0)
    return start.startswith((*_COMPRESSIONS, *_ZIP)) or _header(start) is not None


def members(file: BinaryIO, path: str) -> Iterator[Member]:
    """Yield the regular files of an archive in its own order.

    When all have been yielded, the archive's checksums have been compared.

    Args:
        file: The archive, at its beginning; it can seek.
        path: What to call it in an error.

    Yields:
        Each file; it need not be read.

    Raises:
        UserError: The archive is damaged, or exceeds a limit.
    """
    start = file.read(_BLOCK)
    file.seek(0)
    try:
        if start.startswith(_ZIP):
            yield from _zip_members(file, path)
        else:
            yield from _tar_members(_Stream(_decompressed(file, start, path), path), path)
    except UserError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> UserError:
    """Return an error of one line for what damaged bytes lead to: BadZipFile, EOFError, ..."""
    reason = printable(str(error)) or type(error).__name__
    return UserError(f'{path} is damaged ({reason}); get it again')


class _Stream:
    """Reads forward only, and no more than ``MAX_TOTAL`` bytes."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self.position = 0

    def read(self, n: int) -> bytes:
        return self._counted(self._file.read(n))

    def readline(self, n: int) -> bytes:
        return self._counted(self._file.readline(n))

    def skip_to(self, position: int) -> None:
        while self.position < position:
            if not self.read(min(position - self.position, _PIECE)):
                raise EOFError('it ends too early')

    def read_rest(self) -> None:
        while self.read(_PIECE):
            pass

    def _counted(self, data: bytes) -> bytes:
        self.position += len(data)
        if self.position > MAX_TOTAL:
            raise _too_large(self._path)
        return data


def _decompressed(file: BinaryIO, start: bytes, path: str) -> BinaryIO:
    """Return a file that reads what ``file`` unpacks to: itself if it is not compressed."""
    for magic, name in _COMPRESSIONS.items():
        if start.startswith(magic):
            try:
                return importlib.import_module(name).open(file)
            except ImportError as error:  # as Python may be built without bz2 and lzma
                raise UserError(
                    f'{path} cannot be read: this Python was built without {name}; unpack the '
                    'archive and give the folder'
                ) from error
    return file


def _header(block: bytes) -> tarfile.TarInfo | None:
    """Return what a block of a tar archive says, if it is a header with the right checksum."""
    try:
        return tarfile.TarInfo.frombuf(block, 'utf-8', 'surrogateescape')
    except tarfile.HeaderError:
        return None


def _tar_members(stream: _Stream, path: str) -> Iterator[Member]:
    """Yield the files of a tar archive.

    tarfile.TarFile would do if it did not read headers of any size that a header declares.
    """
    long_name = None
    for _ in range(MAX_MEMBERS):
        block = stream.read(_BLOCK)
        if not block.strip(b'\0'):  # the end, or zeros that mark it
            stream.read_rest()  # a checksum comes last
            return
        header = _header(block)
        if header is None:
            raise ValueError('not a tar archive, or a wrong header in it')
        if header.size < 0:
            raise ValueError('a size below 0')
        start = stream.position
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            if header.size > _MAX_NAME:
                raise UserError(
                    f'{path} declares a name of {header.size:,} bytes: at most {_MAX_NAME:,} '
                    'are read'
                )
            long_name = _long_name(header.type, stream.read(header.size)) or long_name
        elif header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            file = MemberFile(stream, header.size, path)
            yield Member(long_name or header.name, header.size, file)
            long_name = None
        else:  # folders, links, sparse files and others: nothing that a data set needs
            long_name = None
        stream.skip_to(start + -(-header.size // _BLOCK) * _BLOCK)
    raise _too_many(path)


def _long_name(kind: bytes, data: bytes) -> str | None:
    """Return the name that an extra header gives to the file after it, if it gives one."""
    if kind == tarfile.XHDTYPE:
        found = re.search(rb'(?:^|\n)\d+ path=([^\n]*)\n', data)
        if not found:
            return None
        data = found.group(1)
    return data.rstrip(b'\0').decode('utf-8', 'surrogateescape')


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip archive whose directory has a sensible size.

    Python's zipfile reads a directory of any size at once, and makes several times as much of it.

    Args:
        file: The archive; it can seek.

    Raises:
        ValueError: The directory is too large.
        Exception: Anything else that zipfile raises for a damaged directory.
    """
    limited = _LimitedReads(file)
    archive = zipfile.ZipFile(limited)  # type: ignore[arg-type]
    limited.limit = None  # what is read from now on are files, whose sizes the directory says
    return archive


class _LimitedReads:
    """A file of which a limited number of bytes is read at a time.

    Attributes:
        limit: Bytes, or None for as many as are asked for.
    """

    limit: int | None = _MAX_DIRECTORY

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self.close = file.close

    def read(self, n: int = -1) -> bytes:
        if self.limit is None:
            return self._file.read(n)
        limit = _MAX_TAIL if n < 0 else self.limit
        data = self._file.read(limit + 1 if n < 0 else min(n, limit + 1))
        if len(data) > limit:
            raise ValueError(f'its directory has more than {limit:,} bytes')
        return data


def _zip_members(file: BinaryIO, path: str) -> Iterator[Member]:
    with open_zip(file) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > MAX_MEMBERS:
            raise _too_many(path)
        if sum(info.file_size for info in infos) > MAX_TOTAL:
            raise _too_large(path)
        for info in infos:
            if info.flag_bits & _ENCRYPTED:
                raise UserError(f'{path} is encrypted: unpack it and give the folder')
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(f'{path} is packed unusually: unpack it and give the folder')
            with archive.open(info) as member:
                size = info.file_size
                yield Member(info.filename, size, MemberFile(member, size, path))
                while member.read(_PIECE):  # its checksum is compared at its end
                    pass


def _too_large(path: str) -> UserError:
    return UserError(f'{path} unpacks to more than {MAX_TOTAL:,} bytes')


def _too_many(path: str) -> UserError:
    return UserError(f'{path} holds more than {MAX_MEMBERS:,} files')
