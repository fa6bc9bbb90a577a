"""Where the time of a training step goes."""

from __future__ import annotations

import collections
import time
from typing import Any
from typing import Callable
from typing import NamedTuple

import chainer
import chainer.functions as F
import numpy as np
from chainer.backends import cuda

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.report import table


class Row(NamedTuple):
    """Calls of one function in a training step.

    Attributes:
        function: its name.
        where: what computes it.
        calls: how many there are.
        seconds: how long they take, without the functions that they call.
    """

    function: str
    where: str
    calls: float
    seconds: float


class Profile(NamedTuple):
    """What :func:`profile` finds, for one step.

    Attributes:
        rows: the functions, the longest first.
        forward: seconds of the forward pass, with the time between functions.
        backward: likewise.
        update: likewise.
        copies: number and bytes of arrays that the CPU engine copied to another layout, by reason.
    """

    rows: list[Row]
    forward: float
    backward: float
    update: float
    copies: dict[str, tuple[float, float]]


class _Times(chainer.FunctionHook, listeners.Listener):
    """Seconds, calls and place of every function; a function inside another is not counted twice.

    The stages of a sequence count as functions.

    Args:
        on_gpu: whether to wait for the GPU before the clock is read.
    """

    name = 'chainer_zoo profile'

    def __init__(self, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._started: list[list[float]] = []  # start of each open function, seconds in inner ones
        self._places: dict[int, str] = {}
        self.calls: collections.Counter[tuple[str, str]] = collections.Counter()
        self.seconds: dict[tuple[str, str], float] = collections.defaultdict(float)

    def now(self) -> float:
        if self._on_gpu:
            cuda.Stream.null.synchronize()
        return time.perf_counter()

    def node(self, node: Any, taken: bool) -> None:
        self._places[id(node)] = 'oneDNN' if taken else 'Chainer'

    def begin(self) -> None:
        self._started.append([self.now(), 0.0])

    def end(self, name: str, place: str = 'oneDNN') -> None:
        start, inside = self._started.pop()
        seconds = self.now() - start
        if self._started:
            self._started[-1][1] += seconds
        self.calls[name, place] += 1
        self.seconds[name, place] += seconds - inside

    def _before(self, node: Any, _: Any) -> None:
        self._places.pop(id(node), None)  # of a freed node that had the same id
        self.begin()

    def _after(self, node: Any, _: Any) -> None:
        self.end(
            type(node).__name__, self._places.pop(id(node), 'CuPy' if self._on_gpu else 'Chainer')
        )

    # gradients are nodes of their own, so their forward passes are counted too
    forward_preprocess = _before
    forward_postprocess = _after


def profile(
    model: chainer.Chain, optimizer: chainer.Optimizer, x: Any, t: Any, steps: int = 3
) -> Profile:
    """Time training steps.

    Args:
        model: the model, on the device of ``x``.
        optimizer: set up for it; it updates the model.
        x: float32 images (B, 3, H, W).
        t: int32 classes (B,).
        steps: how many are averaged, after one that compiles and fills caches.

    Returns:
        For one step.
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
    forward, backward, update = (parts / steps).tolist()
    return Profile(rows, forward, backward, update, copies)


def step(
    model: chainer.Chain, optimizer: chainer.Optimizer, x: Any, t: Any, now: Callable[[], float]
) -> np.ndarray:
    """Train once; return the seconds (3,) of forward pass, backward pass and update by ``now``."""
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


def inside(function: Callable[[], None], steps: int = 3) -> tuple[float, collections.Counter]:
    """Measure how much of a step runs inside oneDNN, or in compiled loops around its products.

    Args:
        function: what is timed; it has run before.
        steps: how many to time. The median is taken, since other programs may delay some.

    Returns:
        Seconds of a step, and seconds inside by kind of primitive.
    """
    found = []
    for _ in range(steps):
        with primitive.timed() as kinds:
            start = time.perf_counter()
            function()
            found.append((time.perf_counter() - start, kinds))
    return sorted(found, key=lambda one: one[0])[steps // 2]


def render(found: Profile, style: str, updated_by: str) -> str:
    """Return a :class:`Profile` as a table, with the time between functions and the update.

    Args:
        found: the profile.
        style: ``text``, ``csv`` or ``markdown``.
        updated_by: what computes the update.
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


def totals(found: Profile) -> str:
    """Return the milliseconds of a :class:`Profile` as text."""
    parts = found.forward, found.backward, found.update
    forward, backward, update = (f'{1e3 * seconds:.1f}' for seconds in parts)
    return (
        f'{1e3 * sum(parts):.1f} ms a step; forward {forward}, backward {backward}, update {update}'
    )


def render_copies(found: Profile) -> str:
    """Return lines on the arrays that the CPU engine copied into another layout."""
    return (
        '\n'.join(
            f'copied into another layout: {round(count, 2):g} arrays, '
            f'{size / 2.0**20:.1f} MiB ({why})'
            for why, (count, size) in found.copies.items()
        )
        or 'no array was copied'
    )


def render_inside(
    model: chainer.Chain,
    optimizer: chainer.Optimizer,
    x: Any,
    t: Any,
    steps: int,
    style: str,
) -> str:
    """Measure what :func:`inside` finds in a training step and in an evaluation; return a table.

    Args:
        model: see :func:`profile`, also for what follows.
        optimizer: likewise.
        x: likewise.
        t: likewise.
        steps: how many are timed.
        style: ``text``, ``csv`` or ``markdown``.
    """

    def train() -> None:
        step(model, optimizer, x, t, time.perf_counter)

    def evaluate() -> None:
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            model(x)

    evaluate()
    (train_whole, train_kinds), (test_whole, test_kinds) = (
        inside(function, steps) for function in (train, evaluate)
    )
    parts: list[tuple[str, float, float]]
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
