import hashlib
import http.server
import os
import socket
import threading

import batches
import chainer
import numpy as np
import pytest

import chainer_zoo.data.download
from chainer_zoo.data import cifar10
from chainer_zoo.data.download import download
from chainer_zoo.errors import UserError

CONTENT = np.random.RandomState(0).bytes(300000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, and fails as it is told.

    Attributes:
        cuts: After how many bytes each of the next answers breaks off; whole when it is empty.
        ranges: Whether it can begin in the middle.
        status: What it answers instead, where not None.
        raw: The bytes that it answers instead, where not None.
        length: What it says of the length, where not None.
        asked: What each request asked for: the value of its Range header, or None.
    """

    daemon_threads = True

    def __init__(self, content):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content = content
        self.cuts = []
        self.ranges = True
        self.status = None
        self.raw = None
        self.length = None
        self.silent = False
        self.asked = []
        self.url = f'http://127.0.0.1:{self.server_port}/file.tar.gz'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get('Range')
        server.asked.append(wanted)
        if server.silent:
            server.done.wait(20)
            return
        if server.raw is not None:
            self.wfile.write(server.raw)
            return
        if server.status is not None:
            self.send_error(server.status)
            return
        body = server.content
        if wanted and server.ranges:
            start = int(wanted[len('bytes=') : -1])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
            body = body[start:]
        else:
            self.send_response(200)
        if server.length != '':
            self.send_header('Content-Length', server.length or str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server(CONTENT) as running:
        running.done = threading.Event()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.done.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'new' / 'folder' / 'file.tar.gz'


def get(server, path, **options):
    options.setdefault('md5', MD5)
    download(server.url, str(path), progress=False, **options)


def fails(server, path, **options):
    with pytest.raises(UserError) as error:
        get(server, path, **options)
    assert '\n' not in str(error.value) and server.url in str(error.value)
    assert not path.exists()
    return str(error.value)


def test_downloads_a_file_and_leaves_nothing_else(server, path):
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert not (path.parent / 'file.tar.gz.part').exists()


def test_goes_on_where_the_connection_broke(server, path):
    server.cuts = [100000, 70000]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, 'bytes=100000-', 'bytes=170000-']


def test_begins_again_where_the_server_cannot_go_on(server, path):
    server.ranges = False
    server.cuts = [100000]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, 'bytes=100000-']


def test_gives_up_after_three_tries_and_another_run_goes_on(server, path):
    server.cuts = [50000, 50000, 50000]
    assert '3 tries' in fails(server, path)
    assert len(server.asked) == 3
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked[3:] == ['bytes=150000-']


def test_a_wrong_sum_is_tried_again_from_the_start_and_never_used(server, path):
    message = fails(server, path, md5='0' * 32)
    assert MD5 in message and '0' * 32 in message
    assert server.asked == [None] * 3
    assert os.listdir(str(path.parent)) in ([], ['file.tar.gz.lock'])


def test_an_old_part_of_another_file_is_thrown_away(server, path):
    path.parent.mkdir(parents=True)
    (path.parent / 'file.tar.gz.part').write_bytes(b'x' * 1000)
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == ['bytes=1000-', None]


def test_an_old_part_that_is_whole_already_is_used(server, path):
    path.parent.mkdir(parents=True)
    (path.parent / 'file.tar.gz.part').write_bytes(CONTENT)
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_an_old_part_that_is_longer_than_the_file_is_thrown_away(server, path):
    path.parent.mkdir(parents=True)
    (path.parent / 'file.tar.gz.part').write_bytes(CONTENT + b'more')
    get(server, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize('status', [403, 404, 500])
def test_what_the_server_answers_is_told(server, path, status):
    server.status = status
    assert str(status) in fails(server, path)


@pytest.mark.parametrize(
    'raw',
    [
        b'',
        b'no HTTP at all\r\n\r\n',
        b'HTTP/1.1 two hundred\r\n\r\n',
        b'HTTP/1.1 200 ' + b'x' * 100_000,
        b'HTTP/1.1 200 OK\r\n' + b'a: b\r\n' * 1000 + b'\r\n',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
        b'HTTP/1.1 404 a\rb\x1b[2J\r\n\r\n',
    ],
    ids=['nothing', 'text', 'status', 'long line', 'headers', 'chunks', 'escapes'],
)
def test_an_answer_that_is_no_http_is_told_in_one_line(server, path, raw):
    server.raw = raw
    assert len(fails(server, path)) < 500


@pytest.mark.parametrize('length', ['', 'many', '-5', '1' * 5000, '1e3'])
def test_a_length_that_makes_no_sense_is_not_needed(server, path, length):
    server.length = length
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_server_that_never_stops_sending_fills_no_disk(server, path, monkeypatch):
    monkeypatch.setattr(chainer_zoo.data.download, 'MAX_BYTES', 200_000)
    assert 'more than 200,000 bytes' in fails(server, path)
    assert server.asked == [None]
    assert os.listdir(str(path.parent)) in ([], ['file.tar.gz.lock'])


def test_a_silent_server_is_given_up_after_the_time_out(server, path):
    server.silent = True
    fails(server, path, timeout=0.1)
    assert len(server.asked) == 3


def test_no_server_is_an_error(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match='refused'):
        download(f'http://127.0.0.1:{port}/x', str(tmp_path / 'x'), MD5, progress=False)


def test_a_folder_that_cannot_be_written_is_an_error(server, tmp_path):
    (tmp_path / 'file').write_text('not a folder')
    with pytest.raises(UserError, match='cannot write'):
        download(server.url, str(tmp_path / 'file' / 'x'), MD5, progress=False)


def test_a_file_that_is_there_is_not_fetched_again(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    get(server, path)
    assert server.asked == []


def test_several_at_once_fetch_it_once(server, path):
    threads = [threading.Thread(target=get, args=(server, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]


def test_tells_what_it_does_in_one_line_where_there_is_no_terminal(server, path, capsys):
    download(server.url, str(path), MD5)
    assert capsys.readouterr().err == f'Downloading {server.url} (0.3 MB)\n'


def test_cifar10_is_downloaded_into_the_dataset_folder_and_read(server, tmp_path):
    files = batches.contents()
    server.content = batches.write_archive(tmp_path / 'made.tar.gz', files).read_bytes()
    md5 = hashlib.md5(server.content).hexdigest()
    before = chainer.dataset.get_dataset_root()
    chainer.dataset.set_dataset_root(str(tmp_path / 'root'))
    try:
        for _ in range(2):  # the second time there is a copy
            read = cifar10.read(url=server.url, md5=md5, progress=False)
            np.testing.assert_array_equal(read.test_y, files['test_batch']['labels'])
    finally:
        chainer.dataset.set_dataset_root(before)
    assert server.asked == [None]
    assert read.source == str(tmp_path / 'root/chainer_zoo/cifar10/cifar-10-python.tar.gz')
