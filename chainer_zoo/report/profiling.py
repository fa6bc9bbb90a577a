"""Where the time of a training step goes."""

import collections
import time

import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.report import table

Row = collections.namedtuple('Row', 'function where calls seconds')
Row.__doc__ = """Calls of one function in a training step, and their seconds (exclusive)."""

Profile = collections.namedtuple('Profile', 'rows forward backward update copies')
Profile.__doc__ = """What :func:`profile` finds, for one step.

``rows`` are :class:`Row`, the longest first; ``forward``, ``backward`` and ``update`` are the
seconds of the parts, what lies between functions included; ``copies`` maps a reason to the number
and bytes of arrays that the CPU engine had to bring into another layout."""


class _Times(chainer.FunctionHook, listeners.Listener):
    """Seconds, calls and place of every function; a function inside another is not counted twice.

    The stages of a sequence count as functions.

    Args:
        on_gpu (bool): whether to wait for the GPU before the clock is read.
    """

    name = 'chainer_zoo profile'

    def __init__(self, on_gpu):
        self._on_gpu = on_gpu
        self._started = []
        self._places = {}
        self.calls = collections.Counter()
        self.seconds = collections.Counter()

    def now(self):
        if self._on_gpu:
            chainer.cuda.Stream.null.synchronize()
        return time.perf_counter()

    def node(self, node, taken):
        self._places[id(node)] = 'oneDNN' if taken else 'Chainer'

    def begin(self):
        self._started.append([self.now(), 0.0])

    def end(self, name, place='oneDNN'):
        start, inside = self._started.pop()
        seconds = self.now() - start
        if self._started:
            self._started[-1][1] += seconds
        self.calls[name, place] += 1
        self.seconds[name, place] += seconds - inside

    def _before(self, node, _):
        self._places.pop(id(node), None)  # of a node that is gone, whose number this one got
        self.begin()

    def _after(self, node, _):
        self.end(
            type(node).__name__, self._places.pop(id(node), 'CuPy' if self._on_gpu else 'Chainer')
        )

    # Gradients are nodes of their own, whose forward is heard of here.
    forward_preprocess = _before
    forward_postprocess = _after


def profile(model, optimizer, x, t, steps=3):
    """Time training steps.

    Args:
        model (chainer.Chain): the model, on the device of ``x``.
        optimizer (chainer.Optimizer): set up for it; it updates the model.
        x (:ref:`ndarray`): float32 images (B, 3, H, W).
        t (:ref:`ndarray`): int32 classes (B,).
        steps (int): how many are averaged, after one that compiles and fills caches.

    Returns:
        Profile: for one step.
    """
    times = _Times(chainer.backend.get_array_module(x) is not np)
    parts = np.zeros(3)
    step(model, optimizer, x, t, times.now)
    memory.copies.clear()
    memory.copied_bytes.clear()
    listeners.listeners.append(times)
    try:
        with times:
            for _ in range(steps):
                parts += step(model, optimizer, x, t, times.now)
    finally:
        listeners.listeners.remove(times)
    rows = [
        Row(name, place, times.calls[name, place] / float(steps), seconds / steps)
        for (name, place), seconds in times.seconds.items()
    ]
    rows.sort(key=lambda row: -row.seconds)
    copies = {
        why: (count / float(steps), memory.copied_bytes[why] / float(steps))
        for why, count in memory.copies.most_common()
    }
    return Profile(rows, *(parts / steps).tolist() + [copies])


def step(model, optimizer, x, t, now):
    start = now()
    y = model(x)
    loss = F.softmax_cross_entropy(y, t)
    forward = now()
    model.cleargrads()
    loss.backward()
    backward = now()
    del y, loss
    optimizer.update()
    return np.diff([start, forward, backward, now()])


def inside(function, steps=3):
    """Find out how much of a step runs inside oneDNN, or in compiled loops around its products.

    Args:
        function (callable): what is timed; it has run before.
        steps (int): how many to time. The one in the middle counts, whatever else delays others.

    Returns:
        tuple: seconds of a step; collections.Counter, seconds there by kind of primitive.
    """
    found = []
    for _ in range(steps):
        with primitive.timed() as kinds:
            start = time.perf_counter()
            function()
            found.append((time.perf_counter() - start, kinds))
    return sorted(found, key=lambda one: one[0])[steps // 2]


def render(found, style, updated_by):
    """Return a :class:`Profile` as a table, with what lies between functions and the update.

    Args:
        found (Profile): the profile.
        style (str): ``text``, ``csv`` or ``markdown``.
        updated_by (str): what computes the update.
    """
    total = found.forward + found.backward + found.update
    header = ['function', 'computed by', 'calls', 'ms', 'share']
    between = found.forward + found.backward - sum(row.seconds for row in found.rows)
    rows = [(r.function, r.where, f'{round(r.calls, 2):g}', r.seconds) for r in found.rows]
    rows.append(('(between functions)', 'Python', '', between))
    rows.append(('(update)', updated_by, '', found.update))
    return table.render(
        header,
        [[*words, f'{1e3 * seconds:.2f}', f'{seconds / total:.1%}'] for *words, seconds in rows],
        style,
        header[2:],
    )


def totals(found):
    """Return the milliseconds of a :class:`Profile` as text."""
    parts = found.forward, found.backward, found.update
    forward, backward, update = (f'{1e3 * seconds:.1f}' for seconds in parts)
    return (
        f'{1e3 * sum(parts):.1f} ms a step; forward {forward}, backward {backward}, update {update}'
    )


def render_copies(found):
    """Return lines on the arrays that the CPU engine copied into another layout."""
    return (
        '\n'.join(
            f'copied into another layout: {round(count, 2):g} arrays, '
            f'{size / 2.0**20:.1f} MiB ({why})'
            for why, (count, size) in found.copies.items()
        )
        or 'no array was copied'
    )


def render_inside(model, optimizer, x, t, steps, style):
    """Measure what :func:`inside` finds in a training step and in an evaluation; return a table.

    Args:
        model, optimizer, x, t, steps: see :func:`profile`.
        style (str): ``text``, ``csv`` or ``markdown``.
    """

    def train():
        step(model, optimizer, x, t, time.perf_counter)

    def evaluate():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            model(x)

    evaluate()
    (train_whole, train_kinds), (test_whole, test_kinds) = (
        inside(function, steps) for function in (train, evaluate)
    )
    parts = [(kind, train_kinds[kind], test_kinds[kind]) for kind in {**train_kinds, **test_kinds}]
    parts.sort(key=lambda part: -part[1] - part[2])
    train_sum, test_sum = sum(train_kinds.values()), sum(test_kinds.values())
    parts.append(('(together)', train_sum, test_sum))
    parts.append(('(Python, NumPy, Chainer)', train_whole - train_sum, test_whole - test_sum))
    rows = [
        [
            kind,
            f'{1e3 * train:.2f}',
            f'{train / train_whole:.1%}',
            f'{1e3 * test:.2f}',
            f'{test / test_whole:.1%}',
        ]
        for kind, train, test in parts
    ]
    header = ['inside oneDNN and loops', 'training ms', 'share', 'evaluation ms', 'share']
    return table.render(header, rows, style, header[1:])
