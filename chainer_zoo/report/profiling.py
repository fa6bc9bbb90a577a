"""Where the time of a training step goes."""

import collections
import time

import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive

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
