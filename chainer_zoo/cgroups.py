"""The groups of processes that Linux puts limits on, containers among them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator


def folders(controller: str, root: pathlib.Path) -> Iterator[tuple[int, pathlib.Path]]:
    """Yield the folders with the limits of this process, from its own group outwards.

    Args:
        controller: what is limited: ``cpu`` or ``memory``.
        root: where the file system begins.

    Yields:
        The version of the groups, 1 or 2, by which the files are named, and a folder. Not each has
        limits, or exists.
    """
    try:
        lines = (root / 'proc' / 'self' / 'cgroup').read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    mounted = root / 'sys' / 'fs' / 'cgroup'
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers == '':
            version, top = 2, mounted
        elif controller in controllers.split(','):
            version, top = 1, mounted / controllers
        else:
            continue
        # Inside a container the path may be the host's; the container's own is then mounted at top.
        folder = pathlib.PurePosixPath(path.lstrip('/'))
        for name in (folder, *folder.parents):
            yield version, top / name
