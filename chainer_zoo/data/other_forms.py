"""What was given where the Python version of CIFAR-10 belongs, in words for people."""

from __future__ import annotations

from collections.abc import Collection

_IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.gif', '.tif', '.tiff', '.webp')
_ARCHIVES = ('.tar', '.tgz', '.gz', '.bz2', '.xz', '.zip', '.7z', '.rar', '.zst')
_PREDICT = 'the classes of image files are told by: python -m chainer_zoo predict'

# What the first bytes of a file say, most telling first.
_STARTS = {
    b'\x89PNG': f'it is a PNG image; {_PREDICT}',
    b'\xff\xd8\xff': f'it is a JPEG image; {_PREDICT}',
    b'GIF8': f'it is a GIF image; {_PREDICT}',
    b'\x89HDF': 'it is an HDF5 file',
    b'PAR1': 'it is a Parquet file',
    b'MATLAB': 'it is a Matlab file',
    b'\x93NUMPY': 'it is an array of NumPy',
    b'7z\xbc\xaf\x27\x1c': 'it is a 7z archive: unpack it and give the folder',
    b'Rar!': 'it is a RAR archive: unpack it and give the folder',
    b'\x28\xb5\x2f\xfd': 'it is compressed by zstd: unpack it and give the folder',
    b'<': 'it is a web page, perhaps the answer to a failed download: get it again',
    b'\x80': 'it looks like one of the files of the folder cifar-10-batches-py: give the folder',
    b'(dp': 'it looks like one of the files of the folder cifar-10-batches-py: give the folder',
}

# Bytes of one image in the binary versions: labels, then 3072 pixels.
_BINARY = {3073: 'CIFAR-10', 3074: 'CIFAR-100'}


def of_file(start: bytes, size: int) -> str | None:
    """Say what a file is that is no archive.

    Args:
        start: Its first bytes.
        size: How many bytes it has.

    Returns:
        A clause such as ``it is empty``, or None where it is not recognized.
    """
    if not size:
        return 'it is empty'
    for magic, words in _STARTS.items():
        if start.lstrip().startswith(magic) or start.startswith(magic):
            return words
    for length, name in _BINARY.items():
        if size % length == 0:
            return f'it looks like a file of the binary version of {name}'
    return None


def of_names(names: Collection[str]) -> str | None:
    """Say what an archive or a folder is by the names of its files.

    Args:
        names: Names without folders.

    Returns:
        A clause such as ``it is CIFAR-100``, or None where it is not recognized.
    """
    names = {name.lower() for name in names}
    if {'train', 'test', 'meta'} <= names:
        return 'it is CIFAR-100, and only CIFAR-10 is read'
    if 'fine_label_names.txt' in names or {'train.bin', 'test.bin'} <= names:
        return 'it is the binary version of CIFAR-100, and only CIFAR-10 is read'
    if {'train.mat', 'test.mat'} <= names:
        return 'it is the Matlab version of CIFAR-100, and only CIFAR-10 is read'
    if 'test_batch.bin' in names or 'data_batch_1.bin' in names:
        return 'it is the binary version of CIFAR-10, and the Python version is needed'
    if 'test_batch.mat' in names or 'data_batch_1.mat' in names:
        return 'it is the Matlab version of CIFAR-10, and the Python version is needed'
    images = sorted(name for name in names if name.endswith(_IMAGES))
    if images:
        return f'it holds image files such as {images[0]}; {_PREDICT}'
    archives = sorted(name for name in names if name.endswith(_ARCHIVES))
    if archives:
        return f'it holds an archive, {archives[0]}: unpack that first'
    return None
