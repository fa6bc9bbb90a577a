"""Arrays in npz files, read without believing what a file declares."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np

_START = 4096  # bytes looked at for an array's header; NumPy writes 128 for all shapes that occur


class Header:
    """What an array in a file declares.

    Args:
        start: the first bytes of the array's npy file.

    Attributes:
        shape: its shape.
        dtype: its dtype.
        bytes: what it takes in the file, with its header.

    Raises:
        ValueError: it is no array.
    """

    def __init__(self, start: bytes) -> None:
        file = io.BytesIO(start)
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            self.shape, _, self.dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f'unknown npy version {version[0]}.{version[1]}')
        self.bytes = file.tell() + self.dtype.itemsize * math.prod(self.shape)


def header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """Return the header of an array in an npz file.

    Raises:
        ValueError: it is no array. A damaged file raises more: zipfile's errors, zlib's, OSError.
    """
    with archive.open(info) as file:
        return Header(file.read(_START))


def read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return an array of an npz file, checked against its checksum.

    Raises:
        ValueError: it is no array, declares another size than the file has, or holds Python
            objects. A damaged file raises more, as above.
    """
    declared = header(archive, info).bytes
    if declared != info.file_size:  # memory is taken as declared
        raise ValueError(f'{info.filename} declares {declared:,} bytes of {info.file_size:,}')
    with archive.open(info) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # reading to the end also has zipfile compare its checksum
            raise ValueError(f'bytes after the array {info.filename}')
    return array


def in_one_line(error: BaseException) -> str:
    """Return what an error says, without the lines after the first."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
