"""Switching, threads, forks, memory and errors of the CPU engine."""

import concurrent.futures
import gc
import os
import subprocess
import sys
import threading

import chainer
import chainer.functions as F
import chainer.links as L
import engine_checks as engine
import numpy as np
import pytest

from chainer_zoo import engines
from chainer_zoo.engines.cpu import library
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.errors import UserError
from chainer_zoo.links import BatchNormalization
from chainer_zoo.sequence import bn_relu


class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 16, 3, 1, 1)
            self.bn1 = BatchNormalization(16)
            self.conv2 = L.Convolution2D(16, 24, 3, 2, 1)
            self.fc = L.Linear(24, 10)

    def forward(self, x):
        h = bn_relu(self.conv1(x), self.bn1)
        h = F.max_pooling_2d(F.relu(self.conv2(F.concat((h[:, :8], h[:, 8:])))), 2)
        return self.fc(F.average(h, axis=(2, 3)))


def train(model, steps, batch=8):
    optimizer = chainer.optimizers.MomentumSGD(0.01).setup(model)
    random = np.random.RandomState(0)
    losses = []
    for _ in range(steps):
        x = random.uniform(-1, 1, (batch, 3, 32, 32)).astype(np.float32)
        t = random.randint(0, 10, batch).astype(np.int32)
        model.cleargrads()
        loss = F.softmax_cross_entropy(model(x), t)
        loss.backward()
        optimizer.update()
        losses.append(float(loss.array))
    return losses


def seeded():
    np.random.seed(0)
    return Net()


def test_it_is_off_until_it_is_switched_on():
    code = (
        'from chainer_zoo import engines; assert not engines.CPU.is_enabled(); '
        'engines.CPU.enable(); assert engines.CPU.is_enabled(); engines.CPU.disable(); '
        'assert not engines.CPU.is_enabled()'
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, timeout=120)


def test_using_acts_in_its_thread_alone():
    seen = []
    with engines.CPU.using(True):
        thread = threading.Thread(target=lambda: seen.append(engines.CPU.is_enabled()))
        thread.start()
        thread.join()
        with engines.CPU.using(False):
            seen.append(engines.CPU.is_enabled())
        seen.append(engines.CPU.is_enabled())
    assert seen == [False, False, True]


def test_training_goes_as_without_it():
    losses = []
    for on in (False, True):
        with engines.CPU.using(on):
            losses.append(train(seeded(), 5))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_results_are_channels_last_arrays_of_numpy():
    x = engine.values(0, 2, 3, 6, 6)
    with engines.CPU.using(True):
        y = F.convolution_2d(x, engine.values(1, 4, 3, 3, 3), pad=1)
        for z in (
            y,
            F.relu(y),
            F.max_pooling_2d(y, 2),
            F.average_pooling_2d(y, 2),
            F.concat((y, y)),
            y + y,
        ):
            assert type(z.array) is np.ndarray
            assert memory.is_channels_last(z.array)


def test_a_network_copies_nothing_but_its_images():
    model = seeded()
    with engines.CPU.using(True):
        train(model, 1)
        memory.copies.clear()
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            h = F.relu(model.conv1(engine.values(0, 8, 3, 32, 32)))
            F.max_pooling_2d(F.relu(model.conv2(h)), 2)
    assert sum(memory.copies.values()) == 1, memory.copies


def test_two_threads_train_at_once_as_one_after_the_other():
    def work(results, i):
        with engines.CPU.using(True):
            results[i] = train(model[i], 10)

    model = [seeded(), seeded()]
    with engines.CPU.using(True):
        alone = train(seeded(), 10)
    results = [None, None]
    threads = [threading.Thread(target=work, args=(results, i)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for found in results:
        np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_switching_off_asks_for_no_library(monkeypatch):
    def start():
        raise OSError('no such library')

    monkeypatch.setattr(primitive, '_context', None)
    monkeypatch.setattr(primitive, 'start', start)
    engines.CPU.disable()


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
@pytest.mark.parametrize('threads', ['1', '2'])
def test_a_fork_does_not_hang(threads):
    code = (
        'import os; import numpy as np\n'
        'from chainer_zoo import engines; engines.CPU.enable()\n'
        'from test_engine import seeded, train\n'
        'model = seeded(); train(model, 2)\n'
        'pid = os.fork()\n'
        'if pid == 0:\n'
        '    losses = train(model, 3); os._exit(0 if np.isfinite(losses).all() else 1)\n'
        'train(model, 3)\n'
        'assert os.waitpid(pid, 0)[1] == 0\n'
    )
    here = os.path.dirname(__file__)
    root = os.path.join(here, *[os.pardir] * 3)
    environment = dict(
        os.environ, OMP_NUM_THREADS=threads, PYTHONPATH=os.pathsep.join([root, here])
    )
    subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        check=True,
        timeout=120,
        env=environment,
    )


def resident():
    """Return the process's memory in MiB."""
    with open('/proc/self/statm') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2.0**20


@pytest.mark.slow
def test_200_steps_leak_no_memory():
    model = seeded()
    with engines.CPU.using(True):
        train(model, 30)
        gc.collect()
        before, in_use = resident(), memory.pool.in_use
        train(model, 200)
        gc.collect()
        memory.pool.clear()
        assert resident() - before < 3
        assert memory.pool.in_use <= in_use + 2**20


def test_the_cache_of_primitives_is_bounded(monkeypatch):
    monkeypatch.setattr(primitive, 'CACHE_SIZE', 5)
    primitive.context().primitives.clear()
    with engines.CPU.using(True):
        for n in range(20, 40):
            F.relu(np.ones((n, 3), np.float32))
    assert len(primitive.context().primitives) <= 5


def test_a_refusal_names_the_primitive_and_shapes():
    layout = primitive.contiguous((2, 3))
    with pytest.raises(library.OneDNNError, match=r'sum of \(2, 3\) and \(5, 4\).*invalid'):
        primitive.Primitive(
            'sum of (2, 3) and (5, 4)',
            'dnnl_binary_primitive_desc_create',
            (
                primitive.context().engine,
                library.BINARY_ADD,
                layout,
                primitive.contiguous((5, 4)),
                layout,
            ),
            [],
        )


def test_the_reason_is_said_where_the_library_does_not_load(monkeypatch):
    monkeypatch.setattr(type(engines.CPU), 'why_not', lambda self: 'no such file')
    assert not engines.CPU.is_available()
    with pytest.raises(UserError, match='no such file'):
        engines.CPU.enable()


@pytest.mark.parametrize(
    'x',
    [
        np.zeros((3, 4), np.float32),
        np.zeros((3, 4), np.float32)[1:, ::-2],
        np.zeros(0, np.float32),
        memory.empty_channels_last((2, 8, 64, 64)),
        memory.pool.allocate(1 << 16),
    ],
    ids=['whole', 'view', 'empty', 'of the pool', 'lease'],
)
def test_the_library_is_given_the_address_that_numpy_tells(x):
    assert primitive.pointer(x).value == x.__array_interface__['data'][0]


def test_each_thread_times_what_it_runs_itself():
    x = engine.values(0, 2, 3, 6, 6)

    def work():
        with engines.CPU.using(True):
            F.average_pooling_2d(x, 2)

    other = threading.Thread(target=work)
    with primitive.timed() as seconds:
        other.start()
        other.join()
        assert not seconds
        work()
    assert list(seconds) == ['pooling forward'] and seconds['pooling forward'] > 0
    work()
    assert len(seconds) == 1


class TestPool:
    def test_an_array_of_freed_memory_takes_it_again(self):
        pool = memory.Pool(1 << 20)
        address = pool.allocate(1 << 16).__array_interface__['data'][0]
        assert pool.allocate(1 << 15).__array_interface__['data'][0] == address

    def test_freed_neighbours_are_joined(self):
        pool = memory.Pool(1 << 20)
        pieces = [pool.allocate(1 << 16) for _ in range(4)]
        top = pool.top
        del pieces[1:3]
        large = pool.allocate((1 << 17) + 64)
        assert pool.top == top and pieces and large is not None

    @pytest.mark.parametrize(
        'sizes', [range(1, 1 << 17), [20000, 40000, 40100, 90000]], ids=['any sizes', 'few sizes']
    )
    def test_live_arrays_never_share_memory(self, sizes):
        pool = memory.Pool(1 << 22)
        random = np.random.RandomState(0)
        live = {}
        for i in range(2000):
            if live and random.rand() < 0.5:
                value = random.choice(list(live))
                assert (live.pop(value) == value % 251).all()
            else:
                live[i] = pool.allocate(sizes[random.randint(len(sizes))])
                live[i][...] = i % 251
        assert pool.in_use == sum(x.nbytes for x in live.values() if x.base is not None)

    def test_threads_never_share_memory(self):
        pool = memory.Pool(1 << 24)

        def work(me):
            for i in range(500):
                pieces = [pool.allocate(size) for size in (20000, 20000, 40000)]
                for piece in pieces:
                    piece[...] = me
                if i % 50 == 0:
                    pool.clear()
                assert all((piece == me).all() for piece in pieces)

        with concurrent.futures.ThreadPoolExecutor(4) as executor:
            list(executor.map(work, range(4)))
        assert pool.in_use == 0

    def test_a_view_keeps_the_memory(self):
        x = memory.empty((64, 1024))
        view = x[::2, 5:]
        view[...] = 3
        del x
        y = memory.empty((64, 1024))
        y[...] = 4
        assert (view == 3).all()

    def test_what_does_not_fit_comes_from_numpy(self):
        pool = memory.Pool(1 << 16)
        assert pool.allocate(1 << 20).nbytes == 1 << 20
