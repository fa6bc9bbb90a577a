"""Files appear whole or not at all; only regular files are read; any name can be shown."""

import errno
import os
import shutil
import socket
import subprocess
import sys

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


def test_a_regular_file_is_opened_also_through_a_link(tmp_path):
    (tmp_path / 'model').write_bytes(b'bytes')
    (tmp_path / 'link').symlink_to('model')
    for name in ('model', 'link'):
        with files.open_regular(tmp_path / name) as f:
            assert f.read() == b'bytes'
            assert f.seekable()


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    folder, name = os.path.split(path)
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path is at most 108 bytes
        try:
            server.bind(name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize(
    'make, kind', [(_pipe, 'a pipe'), (_socket, 'a socket'), (os.mkdir, 'a folder')]
)
@pytest.mark.parametrize('linked', [False, True])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, make, kind, linked):
    path = str(tmp_path / 'model')
    make(path)
    if linked:
        os.symlink(path, path + '.link')
        path += '.link'
    with pytest.raises(UserError, match=f'cannot read .*: it is {kind}, not a regular file'):
        files.open_regular(path)


@pytest.mark.parametrize('path', ['/dev/null', '/dev/zero', '/dev/full', '/dev/tty'])
def test_a_device_is_refused(path):
    if not os.path.exists(path):
        pytest.skip('no such device here')
    with pytest.raises(UserError, match='it is a device'):
        files.open_regular(path)


@pytest.mark.parametrize(
    'name, why',
    [
        ('missing', 'No such file'),
        ('', 'No such file|Is a directory|it is a folder'),
        ('a' * 300, 'too long'),
        ('a/' * 5000, 'too long'),
        ('null\0', 'no file can have this name'),
        ('\ud800', 'no file can have this name'),
        ('\udce9', 'No such file'),  # how Python spells a byte that is no UTF-8
    ],
)
def test_a_path_that_cannot_be_opened_is_one_line(tmp_path, name, why):
    with pytest.raises(UserError, match=f'cannot read .*({why})') as error:
        files.open_regular(os.path.join(str(tmp_path), name))
    assert '\n' not in str(error.value)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / 'model').write_bytes(b'')
    monkeypatch.setattr(os, 'open', refuse)  # root may read everything
    with pytest.raises(UserError, match='cannot read .*model: Permission denied'):
        files.open_regular(tmp_path / 'model')


@pytest.mark.parametrize(
    'text, shown',
    [
        ('a b.png', 'a b.png'),
        ('写真\u30001.png', '写真\u30001.png'),
        ('a\nb', 'a\\nb'),
        ('\x1b[31m', '\\x1b[31m'),
        ('caf\udce9', 'caf\\udce9'),
        ('\u202egnp', '\\u202egnp'),  # would be shown from right to left
        ('\u2028\x85\r\t', '\\u2028\\x85\\r\\t'),
    ],
)
def test_a_name_is_shown_on_one_line_without_control_characters(text, shown):
    assert files.printable(text) == shown


@pytest.mark.parametrize('mask', [0o022, 0o077])
def test_permissions_follow_the_mask_that_nobody_touches(tmp_path, mask):
    code = (
        f'import os; os.umask({mask})\n'
        'from chainer_zoo import files\n'
        'def forbidden(*args): raise AssertionError("the mask was changed")\n'
        'os.umask = forbidden\n'
        f'with files.write_whole({str(tmp_path / "whole")!r}): pass'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    assert (tmp_path / 'whole').stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize('name', ['x' * 255, '\u753b' * 85, '\udce9' * 200, '.hidden', 'a b\n'])
def test_any_name_that_a_file_can_have_can_be_written(tmp_path, name):
    path = os.path.join(str(tmp_path), name)
    with files.write_whole(path) as f:
        f.write(b'new')
    assert os.listdir(str(tmp_path)) == [name]


def test_a_folder_that_was_deleted_is_one_line(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    with pytest.raises(UserError, match='No such file or directory; nothing was changed') as error:
        with files.write_whole(folder / 'model') as f:
            f.write(b'half')
            shutil.rmtree(folder)
    assert '\n' not in str(error.value)


def test_removing_a_file_twice_is_as_good_as_once(tmp_path):
    (tmp_path / 'model').write_bytes(b'')
    files.remove(tmp_path / 'model')
    files.remove(tmp_path / 'model')
    assert os.listdir(tmp_path) == []


def test_what_may_not_be_removed_is_one_line(tmp_path):
    (tmp_path / 'folder').mkdir()
    with pytest.raises(UserError, match='cannot remove .*folder'):
        files.remove(tmp_path / 'folder')


def test_folders_are_made_with_those_around_them(tmp_path):
    files.make_folder(tmp_path / 'a' / 'b')
    files.make_folder(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()


@pytest.mark.parametrize(
    'path', ['new/file/run', 'new/' + 'x' * 256, 'a-file', 'a-file/run', 'new/a/b/' + 'x' * 300]
)
def test_folders_are_made_all_or_none(tmp_path, path):
    (tmp_path / 'a-file').write_bytes(b'')
    real = os.mkdir

    def mkdir(name, *args):
        if os.path.basename(name) == 'file':
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(name, *args)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match='cannot be made'):
        patch.setattr(os, 'mkdir', mkdir)
        files.make_folder(tmp_path / path)
    assert os.listdir(tmp_path) == ['a-file']


def test_whether_a_folder_can_be_written_to_is_known_without_making_it(tmp_path, monkeypatch):
    (tmp_path / 'a-file').write_bytes(b'')
    files.require_writable(tmp_path)
    files.require_writable(tmp_path / 'a' / 'b')
    for path in ('a-file', 'a-file/run'):
        with pytest.raises(UserError, match='a-file is no folder'):
            files.require_writable(tmp_path / path)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UserError, match='you may not write into'):
        files.require_writable(tmp_path / 'a')
    assert os.listdir(tmp_path) == ['a-file']


@pytest.mark.parametrize('length', [0, 10, 2000])
def test_a_short_message_is_shown_whole(length):
    assert files.one_line('x' * length) == 'x' * length


@pytest.mark.parametrize(
    'text',
    ['x' * 2001, 'x' * 10**6, '\n' * 1500, 'start' + '\0' * 9999 + 'end'],
    ids=['a little long', 'long', 'line breaks', 'null characters'],
)
def test_the_middle_of_a_long_message_is_left_out(text):
    shown = files.one_line(text)
    assert len(shown) == 2005 and ' ... ' in shown and shown.isprintable()
    assert shown[:5] == files.printable(text)[:5] and shown[-3:] == files.printable(text)[-3:]
