"""Files that appear whole or not at all."""

import contextlib
import os
import tempfile

from chainer_zoo.errors import UserError


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
