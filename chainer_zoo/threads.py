"""How many threads compute, and work of NumPy and of compiled loops shared out among them.

Both release Python's lock while they compute, so they run at the same time. Each thread gets one
large part: threads that take turns with small parts wait for the lock longer than they compute.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import pathlib
import re
import threading
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TypeVar

from chainer_zoo import cgroups

_Part = TypeVar('_Part')

_here = threading.local()  # .is_worker: whether this thread is one of ours


def usable_processors(root: str | os.PathLike[str] = '/') -> int:
    """Return how many processors this process may use.

    These are the processors that its affinity allows, and no more than its cgroup's quota of
    processor time is worth, rounded up: a container that may use 1.5 of 64 processors has 2.

    Args:
        root: where the file system begins.
    """
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *_quotas(pathlib.Path(root))]))


def _quotas(root: pathlib.Path) -> Iterator[int]:
    """Yield what each cgroup that this process belongs to allows, in whole processors."""
    for version, folder in cgroups.folders('cpu', root):
        quota = (_quota_of_version_2 if version == 2 else _quota_of_version_1)(folder)
        if quota is not None:
            yield quota


def _quota_of_version_2(folder: pathlib.Path) -> int | None:
    return _processors(_words(folder / 'cpu.max'))  # such as '150000 100000' or 'max 100000'


def _quota_of_version_1(folder: pathlib.Path) -> int | None:
    words = _words(folder / 'cpu.cfs_quota_us') + _words(folder / 'cpu.cfs_period_us')
    return _processors(words)  # such as '150000' and '100000'; '-1' is no limit


def _words(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text().split()
    except (OSError, UnicodeDecodeError):
        return []


def _processors(words: list[str]) -> int | None:
    """Return how many processors a quota and its period are worth, rounded up, or None."""
    if len(words) != 2 or not all(word.isdecimal() and int(word) > 0 for word in words):
        return None
    quota, period = map(int, words)
    return -(-quota // period)


def limit() -> int:
    """Return how many threads may compute.

    That is OMP_NUM_THREADS (of a list such as ``4,2`` the first number), but never more than the
    processors that this process may use. A warning says once where that is less than was asked for.
    """
    usable = _usable_processors()
    asked = re.match(r'\s*\+?0*([1-9][0-9]*)\s*(,|$)', os.environ.get('OMP_NUM_THREADS', ''))
    if not asked:
        return usable
    number = int(asked[1][:9])  # more digits than that are too many in any case
    if number > usable:
        _say_once(number, usable)
    return min(number, usable)


# Read once: `limit` is asked for every batch of images.
_usable_processors = functools.cache(usable_processors)


@functools.cache
def _say_once(asked: int, usable: int) -> None:
    warnings.warn(
        f'OMP_NUM_THREADS asks for {asked} threads, and this process may use {usable} processors: '
        f'computing with {usable} threads',
        stacklevel=3,
    )


def cut(length: int, n: int) -> list[slice]:
    """Return slices of about the same length that make up ``length``: ``n``, or one for each."""
    n = max(1, min(n, length))
    bounds = [i * length // n for i in range(n + 1)]
    return list(map(slice, bounds, bounds[1:]))


def each(parts: Sequence[_Part], work: Callable[[_Part], object]) -> None:
    """Call ``work(part)`` for each of ``parts``, at the same time.

    Inside such work the parts are worked on one after the other: it would wait for threads that
    wait for it.

    Args:
        parts: what to work on; the first one in this thread.
        work: takes a part. What it returns is not kept.

    Raises:
        Exception: what one of them raises, once all are done.
    """
    if getattr(_here, 'is_worker', False):
        for part in parts:
            work(part)
        return
    others = []
    try:
        for part in parts[1:]:
            others.append(_executor().submit(work, part))
        work(parts[0])
    finally:
        concurrent.futures.wait(others)
    for other in others:
        other.result()


def _mark() -> None:
    _here.is_worker = True


@functools.cache
def _executor() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(limit(), 'chainer_zoo', initializer=_mark)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_executor.cache_clear)  # a child has none of the threads
