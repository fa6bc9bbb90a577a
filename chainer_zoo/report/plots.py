"""Plots of ``compare``, as PNG files in memory.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and dashes say
the same once more.
"""

import io
import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
MARKERS = 'osD^vPX<'  # one more than colours, so that 56 runs differ
_DPI = 110


class Point:
    """A point of :func:`scatter`.

    Args:
        name (str): its label.
        x (float): larger than 0.
        y (float): in percent, or None where there is no figure.
        kind (str): a key of ``KINDS``.
    """

    def __init__(self, name, x, y, kind):
        self.name = name
        self.x = x
        self.y = y
        self.kind = kind


#: Kind of point: marker, colour, size, whether it is filled, and what the legend says.
KINDS = {
    'article': ('o', '#0072B2', 6, True, 'original (article)'),
    'paper': ('s', '#009E73', 6, False, 'paper; the article did not verify it'),
    'none': ('|', '#777777', 9, True, 'no figure for CIFAR-10 (size only)'),
    'ours': ('*', '#D55E00', 13, True, 'run of ours, last epoch'),
    'log': ('X', '#CC79A7', 9, True, "run of the original's code, last epoch"),
}


def curves(runs):
    """Plot loss and accuracy over the epochs of all runs.

    Args:
        runs (list of chainer_zoo.report.runs.Run): the runs.

    Returns:
        bytes: a PNG file.
    """
    figure = _figure((10, 4.6 + 0.22 * -(-len(runs) // 2)))
    loss, accuracy = figure.subplots(1, 2)
    for i, run in enumerate(runs):
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        style = dict(
            color=color, marker=marker, markersize=5, markevery=max(1, len(run.epochs) // 12)
        )
        train = run.label + ': train' + (' / parts' if run.train_loss_divided else '')
        loss.plot(run.epochs, run.train_loss, '--', markerfacecolor='white', label=train, **style)
        loss.plot(run.epochs, run.test_loss, '-', label=run.label + ': test', **style)
        accuracy.plot(run.epochs, run.accuracy, '-', **style)
    loss.set_yscale('log')  # one diverging epoch must not flatten all other curves
    for axes, label in (
        (loss, 'softmax cross entropy (nats, log scale)'),
        (accuracy, 'accuracy on the test images (%)'),
    ):
        axes.set_xlabel('epoch')
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.legend(loc='outside lower center', ncols=2, fontsize=8)
    return _png(figure)


def losses(pairs):
    """Plot the losses of single updates, ours over the original's.

    Args:
        pairs (dict): by model, two sequences of losses: ours and the original's.

    Returns:
        bytes: a PNG file.
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


def scatter(points, label):
    """Plot accuracy against a size, each point with its name.

    Args:
        points (list of Point): what to show; points without y stand at the lower edge.
        label (str): what the horizontal axis is, with its unit.

    Returns:
        bytes: a PNG file.
    """
    return _png(scatter_figure(points, label)[0])


def scatter_figure(points, label):
    """Return the figure of :func:`scatter`, the labels' boxes and the markers' boxes (pixels)."""
    figure = Figure(figsize=(10, 6.8), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.09, 0.91, 0.80))
    axes.set_xscale('log')
    shown = [point.y for point in points if point.y is not None and point.y >= 80]
    low, high = min(shown + [90.0]) - 0.9, max(shown + [97.0]) + 0.4
    axes.set_ylim(low, high)
    sizes = [point.x for point in points]
    axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
    axes.set_xlabel(label)
    axes.set_ylabel('accuracy on CIFAR-10 (%)')
    axes.grid(alpha=0.3)
    floor = low + 0.02 * (high - low)
    names, markers = [], []
    for point in points:
        marker, color, size, filled, _ = KINDS[point.kind]
        name, y = point.name, point.y
        if y is None or y < low:  # at the lower edge
            name += '' if y is None else f' ({y:.1f}% \N{DOWNWARDS ARROW})'
            y = floor
        axes.plot(
            [point.x],
            [y],
            marker,
            color=color,
            markersize=size,
            clip_on=False,
            markerfacecolor=color if filled else 'white',
        )
        x, y = axes.transData.transform((point.x, y))
        half = 0.5 * size * _DPI / 72 + 2
        names.append((name, x, y, color))
        markers.append(Bbox([[x - half, y - half], [x + half, y + half]]))
    boxes = _place_labels(figure, axes, names, markers)
    used = [kind for kind in KINDS if any(point.kind == kind for point in points)]
    figure.legend(
        handles=[
            Line2D(
                [],
                [],
                linestyle='',
                marker=KINDS[kind][0],
                color=KINDS[kind][1],
                markersize=min(KINDS[kind][2], 10),
                label=KINDS[kind][4],
                markerfacecolor=KINDS[kind][1] if KINDS[kind][3] else 'white',
            )
            for kind in used
        ],
        loc='upper center',
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    return figure, boxes, markers


def _place_labels(figure, axes, names, markers):
    """Write each name where it covers neither a marker nor another name; return their boxes.

    The nearest free place around the marker is taken, with a thin line to it if it is not beside.
    The names with the most neighbours choose first.
    """
    renderer = figure.canvas.get_renderer()
    inside = axes.get_window_extent(renderer)
    centers = np.array([(x, y) for _, x, y, _ in names])
    distances = np.hypot(*(centers[:, None] - centers[None]).transpose(2, 0, 1))
    crowd = (distances < 80).sum(axis=1)
    boxes, lines = [], []
    for i in sorted(range(len(names)), key=lambda i: -crowd[i]):
        name, x, y, color = names[i]
        text = axes.annotate(
            name,
            (x, y),
            xycoords='figure pixels',
            fontsize=8,
            ha='center',
            va='center',
            color='#222222',
        )
        extent = text.get_window_extent(renderer)
        width, height = extent.width + 4, extent.height + 2
        gap = markers[i].width / 2
        best = None
        for radius, angle in itertools.product(
            (1, 8, 16, 26, 38, 52, 68, 86, 106, 130), np.arange(24) * np.pi / 12
        ):
            dx, dy = np.cos(angle), np.sin(angle)
            cx = x + dx * (gap + radius + width / 2)
            cy = y + dy * (gap + radius + height / 2)
            box = Bbox.from_bounds(cx - width / 2, cy - height / 2, width, height)
            line = np.linspace((x, y), (cx, cy), 40)
            line = line[np.hypot(*(line - (x, y)).T) > gap]
            cost = radius + 1000 * (
                sum(box.overlaps(other) for other in boxes)
                + sum(box.overlaps(other) for other in markers)
                + sum(_crosses(line, other) for other in boxes)
                + sum(_crosses(line, other) for j, other in enumerate(markers) if j != i)
                + sum(_crosses(other, box) for other in lines)
                + (
                    not (
                        inside.x0 < box.x0
                        and box.x1 < inside.x1
                        and inside.y0 < box.y0
                        and box.y1 < inside.y1
                    )
                )
            )
            if best is None or cost < best[0]:
                best = cost, radius, cx, cy, box, line
        _, radius, cx, cy, box, line = best
        text.set_position((cx, cy))
        if radius > 8:
            axes.annotate(
                '',
                (x, y),
                (cx, cy),
                xycoords='figure pixels',
                textcoords='figure pixels',
                zorder=1,
                arrowprops={
                    'arrowstyle': '-',
                    'color': color,
                    'linewidth': 0.6,
                    'shrinkA': 0,
                    'shrinkB': gap * 72 / _DPI,
                },
            )
            text.set_bbox({'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.5})
            lines.append(line)
        boxes.append(box)
    return boxes


def _crosses(line, box):
    """Whether one of the points (N, 2) of a line lies in a box."""
    return bool(((line > box.p0) & (line < box.p1)).all(axis=1).any())


def _figure(size):
    figure = Figure(figsize=size, dpi=_DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _png(figure):
    file = io.BytesIO()
    figure.savefig(file, format='png')
    return file.getvalue()
