"""Files appear whole or not at all."""

import errno
import os

import pytest

from chainer_zoo import files
from chainer_zoo.errors import UserError


def test_a_file_gets_its_name_only_once_it_is_whole(tmp_path):
    path = tmp_path / 'model'
    path.write_bytes(b'old')
    with files.write_whole(str(path)) as f:
        f.write(b'new')
        f.flush()
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == b'new'
    assert os.listdir(str(tmp_path)) == ['model']


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'model'
    path.write_bytes(b'old')
    with pytest.raises(KeyError):
        with files.write_whole(str(path)) as f:
            f.write(b'half')
            raise KeyError
    assert path.read_bytes() == b'old'
    assert os.listdir(str(tmp_path)) == ['model']


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'model'
    path.write_bytes(b'old')

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(UserError, match='No space left on device') as error:
        with files.write_whole(str(path)) as f:
            f.write(b'new')
    assert '\n' not in str(error.value)
    assert path.read_bytes() == b'old'
    assert os.listdir(str(tmp_path)) == ['model']


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match='cannot write'):
        with files.write_whole(str(tmp_path / 'no' / 'model')):
            pass


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / 'plain').write_bytes(b'')
    with files.write_whole(str(tmp_path / 'whole')):
        pass
    assert (tmp_path / 'whole').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_parts_of_killed_writers_are_removed(tmp_path):
    (tmp_path / '.log.abc.part').write_bytes(b'half')
    (tmp_path / 'log').write_bytes(b'whole')
    files.remove_parts(str(tmp_path))
    assert os.listdir(str(tmp_path)) == ['log']
