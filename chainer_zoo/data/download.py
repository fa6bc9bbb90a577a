"""Downloading one file whose content is known."""

import hashlib
import os
import sys
import urllib.error
import urllib.request

import filelock
import tqdm

from chainer_zoo.errors import UserError

_BLOCK = 1 << 16


def md5_of(path):
    """Return the MD5 sum of a file as 32 hexadecimal digits."""
    digest = hashlib.md5()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def download(url, path, md5, tries=3, timeout=30, progress=True):
    """Download a file, whole or not at all.

    What has come so far is kept beside ``path``, with ``.part`` added, and the next try goes on
    behind it where the server can do that (HTTP Range), even in another run. Only a file with the
    right sum gets its name. A second process that wants the same file waits.

    Args:
        url (str): Where from.
        path (str): Where to. Its folder is made.
        md5 (str): The sum that the file must have.
        tries (int): How often to try.
        timeout (float): Seconds after which a silent server is given up.
        progress (bool): Whether to show a bar (one line where the output is no terminal).

    Raises:
        UserError: If no try succeeds.
    """
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        with filelock.FileLock(path + '.lock'):
            if not os.path.exists(path):
                _download(url, path, md5, tries, timeout, progress)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error}')


def _download(url, path, md5, tries, timeout, progress):
    part = path + '.part'
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


def _fetch(url, part, timeout, progress):
    """Append to ``part`` what it lacks of the file."""
    have = os.path.getsize(part) if os.path.exists(part) else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies behind what is here: it is whole, or its sum is wrong
            return
        raise _FetchError(f'the server answers {error.code} {error.reason}')
    except (OSError, ValueError) as error:
        raise _FetchError(str(getattr(error, 'reason', error)))
    with response:
        resumed = response.status == 206 and response.headers.get('Content-Range', '').startswith(
            f'bytes {have}-'
        )
        if not resumed:
            have = 0
        length = response.headers.get('Content-Length')
        total = have + int(length) if length is not None else None
        with open(part, 'ab' if resumed else 'wb') as file, _bar(url, have, total, progress) as bar:
            while True:
                try:
                    block = response.read(_BLOCK)
                except Exception as error:  # http.client has exceptions of its own besides OSError
                    raise _FetchError(f'the connection broke: {error}')
                if not block:
                    break
                file.write(block)
                have += len(block)
                bar.update(len(block))
    if total is not None and have < total:
        raise _FetchError(f'the connection broke after {have} of {total} bytes')


def _bar(url, have, total, progress):
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
