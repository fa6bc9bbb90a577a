"""The folder of a run: one run at a time, and nothing in it before all checks have passed."""

from __future__ import annotations

import os

import filelock

from chainer_zoo import files
from chainer_zoo.errors import UserError
from chainer_zoo.training import snapshots


class RunFolder:
    """The folder of a run.

    Entering it makes nothing: a run that is refused leaves no trace. If another run has been in the
    folder, its lock is taken at once; else when the folder is made.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        models: the folder of the models in it.

    Raises:
        UserError: it cannot be written to, or another run is in it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.models = os.path.join(path, 'model')
        self._lock = filelock.FileLock(os.path.join(path, '.lock'))
        self._owner = os.path.join(path, '.owner')

    def __enter__(self) -> RunFolder:
        files.require_writable(self.path)
        if os.path.lexists(self._lock.lock_file):
            self._take()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    @property
    def snapshots(self) -> list[str]:
        """The paths of its snapshots, newest first."""
        return snapshots.all_in(self.path)

    def require_new(self) -> None:
        """Refuse a folder that holds a run.

        Raises:
            UserError: it has snapshots.
        """
        if self.snapshots:
            raise UserError(
                f'{self.path} holds a run already: go on with it by --resume, or take another '
                'folder (--out)'
            )

    def make(self) -> None:
        """Make the folder, and clean it of what a killed run left unfinished.

        Raises:
            UserError: it cannot be written to, or another run has come to be in it.
        """
        files.make_folder(self.models)
        if not self._lock.is_locked:
            self._take()
        with files.write_whole(self._owner) as f:
            f.write(f'process {os.getpid()}'.encode())
        for folder in (self.path, self.models):
            files.remove_parts(folder)

    def _take(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as e:
            raise UserError(
                f'{self.path} is in use by {self._owners_name()}: take another folder (--out)'
            ) from e
        except (OSError, NotImplementedError) as e:
            reason = getattr(e, 'strerror', None) or e
            raise UserError(
                f'cannot write into {self.path}: {reason}; take another folder (--out)'
            ) from e

    def _owners_name(self) -> str:
        """Return who holds the folder's lock, as far as is known."""
        try:
            with files.open_regular(self._owner) as f:
                return f.read(100).decode('ascii')
        except (UserError, OSError, UnicodeDecodeError):
            return 'another process'
