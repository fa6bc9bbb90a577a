"""Work of NumPy and of compiled loops, shared out among threads of this process.

Both let go of Python's lock while they compute, so they run at the same time. Each gets one large
part: threads that take turns with small ones wait for the lock longer than they compute.
"""

import concurrent.futures
import functools
import os
import threading

_here = threading.local()  # .is_worker: whether this thread is one of ours


def limit():
    """Return how many threads may compute: OMP_NUM_THREADS, else the processors we may use."""
    chosen = os.environ.get('OMP_NUM_THREADS', '')
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cut(length, n):
    """Return slices of about the same length that make up ``length``: ``n``, or one for each."""
    n = max(1, min(n, length))
    bounds = [i * length // n for i in range(n + 1)]
    return list(map(slice, bounds, bounds[1:]))


def each(parts, work):
    """Call ``work(part)`` for each of ``parts``, at the same time.

    Inside such work, where it would wait for threads that wait for it, one after the other.

    Args:
        parts (sequence): what to work on; the first one in this thread.
        work (callable): takes a part. What it returns is not kept.

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


def _mark():
    _here.is_worker = True


@functools.cache
def _executor():
    return concurrent.futures.ThreadPoolExecutor(limit(), 'chainer_zoo', initializer=_mark)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_executor.cache_clear)  # a child has none of the threads
