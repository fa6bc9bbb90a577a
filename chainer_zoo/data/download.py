"""Downloading one file whose content is known."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import urllib.error
import urllib.request

import filelock
import tqdm

from chainer_zoo.errors import UserError

#: Bytes of a file at most; no more is kept of what a server sends.
MAX_BYTES = 1 << 30

_BLOCK = 1 << 16


def md5_of(path: str) -> str:
    """Return the MD5 sum of a file as 32 hexadecimal digits."""
    digest = hashlib.md5()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def download(
    url: str, path: str, md5: str, tries: int = 3, timeout: float = 30, progress: bool = True
) -> None:
    """Download a file, whole or not at all.

    What has come so far is kept beside ``path``, with ``.part`` added, and the next try goes on
    from there if the server can do that (HTTP Range), even in another run. Only a file with the
    right sum gets its name. A second process that wants the same file waits.

    Args:
        url: Where from.
        path: Where to. Its folder is made.
        md5: The MD5 sum that the file must have, in hexadecimal digits.
        tries: How often to try.
        timeout: Seconds after which a silent server is given up.
        progress: Whether to show a bar (one line where the output is no terminal).

    Raises:
        UserError: If no try succeeds, or nothing can be written there.
    """
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        with filelock.FileLock(path + '.lock'):
            if not os.path.exists(path):
                _download(url, path, md5, tries, timeout, progress)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error}') from error


def _download(url: str, path: str, md5: str, tries: int, timeout: float, progress: bool) -> None:
    part = path + '.part'
    reason = ''
    for _ in range(tries):
        try:
            _fetch(url, part, timeout, progress)
        except _FetchError as error:
            reason = str(error)
            continue
        found = md5_of(part)
        if found == md5:
            os.replace(part, path)
            return
        os.remove(part)  # so that the next try starts afresh
        reason = f'its md5 is {found} and should be {md5}'
    raise UserError(f'cannot download {url} ({tries} tries): {reason}')


class _FetchError(Exception):
    """The server or the way to it failed; another try may do better."""

    def __init__(self, reason: object) -> None:
        super().__init__(' '.join(str(reason).split())[:200])


def _fetch(url: str, part: str, timeout: float, progress: bool) -> None:
    """Append to ``part`` what it lacks of the file."""
    have = os.path.getsize(part) if os.path.exists(part) else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is no more than what is here: it is whole, or its sum wrong
            return
        raise _FetchError(f'the server answers {error.code} {error.reason}') from error
    except Exception as error:  # http.client has exceptions of its own besides OSError
        raise _FetchError(getattr(error, 'reason', error)) from error
    with response:
        resumed = response.status == 206 and response.headers.get('Content-Range', '').startswith(
            f'bytes {have}-'
        )
        if not resumed:
            have = 0
        length = response.headers.get('Content-Length', '')
        total = have + int(length) if length.isdecimal() and len(length) < 20 else None
        with open(part, 'ab' if resumed else 'wb') as file, _bar(url, have, total, progress) as bar:
            while True:
                try:
                    block = response.read(_BLOCK)
                except Exception as error:
                    raise _FetchError(f'the connection broke: {error}') from error
                if not block:
                    break
                have += len(block)
                if have > MAX_BYTES:
                    break
                file.write(block)
                bar.update(len(block))
    if have > MAX_BYTES:
        with contextlib.suppress(OSError):
            os.remove(part)
        raise UserError(f'cannot download {url}: it has more than {MAX_BYTES:,} bytes')
    if total is not None and have < total:
        raise _FetchError(f'the connection broke after {have} of {total} bytes')


def _bar(url: str, have: int, total: int | None, progress: bool) -> tqdm.tqdm:
    name = url.rsplit('/', 1)[-1]
    terminal = sys.stderr.isatty()
    if progress and not terminal:
        print(f'Downloading {url} ({(total or 0) / 1e6:.1f} MB)', file=sys.stderr)
    return tqdm.tqdm(
        desc=name,
        initial=have,
        total=total,
        unit='B',
        unit_scale=True,
        disable=not (progress and terminal),
    )
