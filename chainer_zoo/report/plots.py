"""Plots of ``compare``, as PNG files in memory.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and dashes
say the same once more.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from chainer_zoo.report import fonts
from chainer_zoo.report.runs import Run

COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
MARKERS = 'osD^vPX<'  # one more than colours, so that 56 runs differ
_DPI = 110
_LINE = 40  # points that stand for the line from a marker to its label


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of :func:`scatter`.

    Attributes:
        name: its label.
        x: larger than 0.
        y: in percent, or None where there is no figure.
        kind: a key of ``KINDS``.
    """

    name: str
    x: float
    y: float | None
    kind: str


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a kind of point looks.

    Attributes:
        marker: matplotlib's name of the marker.
        color: its colour.
        size: its size in points.
        filled: whether it is filled.
        meaning: what the legend says.
    """

    marker: str
    color: str
    size: float
    filled: bool
    meaning: str

    @property
    def style(self) -> dict[str, Any]:
        """Arguments of matplotlib that draw the marker."""
        return {
            'marker': self.marker,
            'color': self.color,
            'markerfacecolor': self.color if self.filled else 'white',
        }


KINDS = {
    'article': Kind('o', '#0072B2', 6, True, 'original (article)'),
    'paper': Kind('s', '#009E73', 6, False, 'paper; the article did not verify it'),
    'none': Kind('|', '#777777', 9, True, 'no figure for CIFAR-10 (size only)'),
    'ours': Kind('*', '#D55E00', 13, True, 'run of ours, last epoch'),
    'log': Kind('X', '#CC79A7', 9, True, "run of the original's code, last epoch"),
}


class _Names:
    """Draws names of runs as they are: as no formula, in a font that has their characters.

    Args:
        names: all of them.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._families, self._missing = fonts.find(names)

    def set(self, text: Text, name: str, addition: str = '') -> None:
        """Let ``text`` show a name, and after it an addition."""
        text.set_parse_math(False)
        text.set_fontfamily(self._families)
        text.set_text(fonts.drawable(name, self._missing) + addition)


def curves(runs: Sequence[Run]) -> bytes:
    """Plot loss and accuracy over the epochs of all runs; return a PNG file."""
    return _png(curves_figure(runs))


def curves_figure(runs: Sequence[Run]) -> Figure:
    """Return the figure of :func:`curves`."""
    figure = _figure((10, 4.6 + 0.22 * -(-len(runs) // 2)))
    loss, accuracy = figure.subplots(1, 2)
    lines, labels = [], []
    for i, run in enumerate(runs):
        style = {
            'color': COLORS[i % len(COLORS)],
            'marker': MARKERS[i % len(MARKERS)],
            'markersize': 5,
            'markevery': max(1, len(run.epochs) // 12),
        }
        lines += loss.plot(run.epochs, run.train_loss, '--', markerfacecolor='white', **style)
        labels.append(
            (run.label, ': train' + (' / micro-batches' if run.train_loss_divided else ''))
        )
        lines += loss.plot(run.epochs, run.test_loss, '-', **style)
        labels.append((run.label, ': test'))
        accuracy.plot(run.epochs, run.accuracy, '-', **style)
    values = np.concatenate([losses for run in runs for losses in (run.train_loss, run.test_loss)])
    if (values > 0).any():
        loss.set_yscale('log')  # one diverging epoch must not flatten all other curves
    for axes, label in (
        (loss, f'softmax cross entropy (nats, {loss.get_yscale()} scale)'),
        (accuracy, 'accuracy on the test images (%)'),
    ):
        axes.set_xlabel('epoch')
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    # made with other texts, since a legend leaves out lines whose label begins with _
    legend = figure.legend(
        lines, ['?'] * len(lines), loc='outside lower center', ncols=2, fontsize=8
    )
    names = _Names([run.label for run in runs])
    for text, (name, addition) in zip(legend.get_texts(), labels):
        names.set(text, name, addition)
    return figure


def losses(pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> bytes:
    """Plot the losses of single updates, ours over the original's.

    Args:
        pairs: by model, two sequences of losses: ours and the original's.

    Returns:
        A PNG file.
    """
    columns = min(2, len(pairs))
    figure = _figure((5 * columns, 3.2 * -(-len(pairs) // columns) + 0.4))
    for axes, (name, (ours, theirs)) in zip(
        np.ravel(figure.subplots(-(-len(pairs) // columns), columns, squeeze=False)), pairs.items()
    ):
        axes.plot(
            range(1, len(theirs) + 1),
            theirs,
            '-',
            color=COLORS[0],
            linewidth=3,
            alpha=0.5,
            label='original',
        )
        axes.plot(
            range(1, len(ours) + 1),
            ours,
            '--',
            color=COLORS[1],
            linewidth=1.2,
            marker='o',
            markersize=3,
            markevery=6,
            label='ours',
        )
        axes.set_title(name, fontsize=10)
        axes.set_xlabel('update')
        axes.set_ylabel('loss (nats)')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return _png(figure)


def scatter(points: Sequence[Point], label: str) -> bytes:
    """Plot accuracy against a size, each point with its name.

    Args:
        points: what to show; points without y are drawn at the lower edge.
        label: what the horizontal axis is, with its unit.

    Returns:
        A PNG file.
    """
    return _png(scatter_figure(points, label)[0])


def scatter_figure(points: Sequence[Point], label: str) -> tuple[Figure, list[Bbox], list[Bbox]]:
    """Return the figure of :func:`scatter`, the labels' boxes and the markers' boxes (pixels)."""
    figure = Figure(figsize=(10, 6.8), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.09, 0.91, 0.80))
    axes.set_xscale('log')
    heights = [point.y for point in points if point.y is not None and point.y >= 80]
    low, high = min(heights + [90.0]) - 0.9, max(heights + [97.0]) + 0.4
    axes.set_ylim(low, high)
    sizes = [point.x for point in points]
    axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
    axes.set_xlabel(label)
    axes.set_ylabel('accuracy on CIFAR-10 (%)')
    axes.grid(alpha=0.3)
    floor = low + 0.02 * (high - low)
    names = _Names([point.name for point in points])
    labels, markers = [], []
    for point in points:
        kind = KINDS[point.kind]
        y, addition = point.y, ''
        if y is None or y < low:  # at the lower edge
            addition = '' if y is None else f' ({y:.1f}% \N{DOWNWARDS ARROW})'
            y = floor
        axes.plot([point.x], [y], linestyle='', markersize=kind.size, clip_on=False, **kind.style)
        x, y = axes.transData.transform((point.x, y))
        text = axes.annotate(
            '',
            (x, y),
            xycoords='figure pixels',
            fontsize=8,
            ha='center',
            va='center',
            color='#222222',
        )
        names.set(text, point.name, addition)
        labels.append(_Label(text, x, y, kind.color))
        half = 0.5 * kind.size * _DPI / 72 + 2
        markers.append(Bbox([[x - half, y - half], [x + half, y + half]]))
    boxes = _place_labels(canvas.get_renderer(), axes, labels, markers)
    figure.legend(
        handles=[
            Line2D(
                [],
                [],
                linestyle='',
                markersize=min(kind.size, 10),
                label=kind.meaning,
                **kind.style,
            )
            for name, kind in KINDS.items()
            if any(point.kind == name for point in points)
        ],
        loc='upper center',
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    return figure, boxes, markers


@dataclasses.dataclass
class _Label:
    """The name of a point, in pixels of the figure."""

    text: Text
    x: float
    y: float
    color: str


def _place_labels(
    renderer: RendererAgg, axes: Axes, labels: Sequence[_Label], markers: Sequence[Bbox]
) -> list[Bbox]:
    """Put each label where it covers neither a marker nor another label; return their boxes.

    The nearest free place around the marker is taken, with a thin line to it if it is not beside.
    The labels with the most neighbours choose first.
    """
    inside = axes.get_window_extent(renderer)
    centers = np.array([(label.x, label.y) for label in labels])
    distances = np.hypot(*(centers[:, None] - centers[None]).transpose(2, 0, 1))
    crowd = (distances < 80).sum(axis=1)
    taken = np.array([marker.extents for marker in markers])  # (M, 4)
    boxes: list[Bbox] = []
    lines = np.empty((0, _LINE, 2))
    for i in sorted(range(len(labels)), key=lambda i: -crowd[i]):
        label, gap = labels[i], markers[i].width / 2
        extent = label.text.get_window_extent(renderer)
        places = _Places(label, extent.width + 4, extent.height + 2, gap)
        others = np.delete(taken, i, axis=0)  # the line begins at its own marker
        outside = (places.boxes[:, :2] <= inside.min) | (places.boxes[:, 2:] >= inside.max)
        costs = places.radii + 1000 * (
            _overlap(places.boxes, taken).sum(axis=1)
            + _cross(places.lines, others).sum(axis=1)
            + _cross(lines, places.boxes).sum(axis=0)
            + outside.any(axis=1)
        )
        best = int(np.argmin(costs))
        label.text.set_position(places.centers[best])
        if places.radii[best] > 8:
            axes.annotate(
                '',
                (label.x, label.y),
                places.centers[best],
                xycoords='figure pixels',
                textcoords='figure pixels',
                zorder=1,
                arrowprops={
                    'arrowstyle': '-',
                    'color': label.color,
                    'linewidth': 0.6,
                    'shrinkA': 0,
                    'shrinkB': gap * 72 / _DPI,
                },
            )
            label.text.set_bbox({'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.5})
            lines = np.concatenate([lines, places.lines[[best]]])
        taken = np.concatenate([taken, places.boxes[[best]]])
        boxes.append(Bbox.from_extents(*places.boxes[best]))
    return boxes


class _Places:
    """Where a label may be put around a marker: P places, in pixels of the figure.

    Args:
        label: the label, which has the marker's centre.
        width: its width.
        height: its height.
        gap: the marker's radius.

    Attributes:
        radii: (P,) distances from the marker's edge.
        centers: (P, 2) of the label.
        boxes: (P, 4) of the label: left, bottom, right, top.
        lines: (P, _LINE, 2) points between the marker's centre and the label's; NaN on the marker.
    """

    def __init__(self, label: _Label, width: float, height: float, gap: float) -> None:
        start, half = np.array([label.x, label.y]), np.array([width / 2, height / 2])
        radii = np.array([1, 8, 16, 26, 38, 52, 68, 86, 106, 130])
        angles = np.arange(24) * np.pi / 12
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        centers = start + directions * ((gap + radii)[:, None, None] + half)
        self.radii = np.repeat(radii, len(angles))
        self.centers = centers.reshape(-1, 2)
        self.boxes = np.concatenate([self.centers - half, self.centers + half], axis=1)
        steps = np.linspace(0, 1, _LINE)[:, None]
        self.lines = start + (self.centers - start)[:, None] * steps
        self.lines[np.hypot(*(self.lines - start).transpose(2, 0, 1)) <= gap] = np.nan


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return whether boxes (P, 4) and (Q, 4) overlap: bool (P, Q)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return (low <= high).all(axis=2)


def _cross(lines: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return whether lines (P, _LINE, 2) have a point in boxes (Q, 4): bool (P, Q)."""
    points = lines[:, None]
    inside = (points > boxes[None, :, None, :2]) & (points < boxes[None, :, None, 2:])
    return np.any(np.all(inside, axis=3), axis=2)


def _figure(size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, dpi=_DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format='png')
    return file.getvalue()
