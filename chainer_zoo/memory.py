"""How much memory this process may still take."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from chainer_zoo import cgroups
from chainer_zoo.errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: By version: a group's limit, what it has, and the part of that which the kernel can drop.
_FILES = {
    1: ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'),
    2: ('memory.max', 'memory.current', 'inactive_file'),
}


def available(root: str | os.PathLike[str] = '/') -> int | None:
    """Return the bytes that this process may still take, or None where the system does not say.

    That is the least of the machine's free memory, what the limits of its groups leave (containers
    have such limits), and what ``ulimit -v`` leaves.

    Args:
        root: where the file system begins.
    """
    return min(_limits(pathlib.Path(root)), default=None)


def _limits(root: pathlib.Path) -> Iterator[int]:
    free = _field(root / 'proc' / 'meminfo', 'MemAvailable:')
    if free is not None:
        yield 1024 * free
    for version, folder in cgroups.folders('memory', root):
        limit, used, droppable = _FILES[version]
        most, now = _number(folder / limit), _number(folder / used)
        if most is not None and now is not None:
            yield max(0, most - now + (_field(folder / 'memory.stat', droppable) or 0))
    if resource is not None:
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        now = _field(root / 'proc' / 'self' / 'status', 'VmSize:')
        if most != resource.RLIM_INFINITY and now is not None:
            yield max(0, most - 1024 * now)


def _number(path: pathlib.Path) -> int | None:
    """Return the number that a file consists of; None for ``max`` or where there is no file."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _field(path: pathlib.Path, name: str) -> int | None:
    """Return the number after a name in a file of lines such as ``MemAvailable: 2048 kB``."""
    try:
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == name:
                return int(words[1])
    except (OSError, ValueError):
        pass
    return None


class Budget:
    """Memory that something may take, counted while it is being built.

    Args:
        what: what takes the memory, for the message.
        limit: bytes; None is no limit.
    """

    def __init__(self, what: str, limit: int | None) -> None:
        self.what = what
        self.limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Count ``size`` bytes.

        Raises:
            UserError: together they are more than the limit.
        """
        self.taken += size
        if self.limit is not None and self.taken > self.limit:
            raise UserError(
                f'{self.what} takes more memory than the {in_words(self.limit)} that are free: '
                'choose a smaller one'
            )


def in_words(size: int) -> str:
    """Return a number of bytes as people read it, such as ``1.5 GB``."""
    return f'{size / 1e9:,.1f} GB' if size >= 1e8 else f'{size / 1e6:.1f} MB'
