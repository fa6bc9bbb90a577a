"""A graph of function calls as an SVG: time runs downwards, branches lie side by side."""

from __future__ import annotations

import dataclasses
import html

WIDTH = 158  # of a box
LINE = 22  # height of one function in a box
GAP = 26  # between boxes that follow each other
LANE = 14  # width of an edge that passes boxes
MARGIN = 12


@dataclasses.dataclass(eq=False)
class _Box:
    """Functions that follow each other without a branch, or a point that an edge passes."""

    nodes: list
    before: list = dataclasses.field(default_factory=list)
    after: list = dataclasses.field(default_factory=list)
    row: int = 0
    x: float = 0.0

    @property
    def width(self):
        return WIDTH if self.nodes else LANE

    @property
    def height(self):
        return LINE * len(self.nodes)


def draw(nodes, title: str) -> str:
    """Return the SVG of a graph.

    Args:
        nodes: what :func:`block_graph.trace` gives.
        title: what a screen reader says.
    """
    rows = _rows(_boxes(nodes))
    _place(rows)
    tops = []
    y = MARGIN
    for row in rows:
        tops.append(y)
        y += max(box.height for box in row) + GAP
    left = min(box.x - box.width / 2 for row in rows for box in row)
    right = max(box.x + box.width / 2 for row in rows for box in row)
    width, height = right - left + 2 * MARGIN, y - GAP + MARGIN
    parts = []
    for row in rows:
        for box in row:
            if box.nodes:
                for after in box.after:
                    parts.append(_edge(box, after, tops, MARGIN - left))
    for row, top in zip(rows, tops):
        for box in row:
            if box.nodes:
                parts.append(_stack(box, box.x - WIDTH / 2 + MARGIN - left, top))
    return (
        f'<svg class="block" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'style="min-width: min({width:.0f}px, 36rem)" '
        f'xmlns="http://www.w3.org/2000/svg" role="img">\n'
        f'<title>{html.escape(title)}</title>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>\n'
        + '\n'.join(parts)
        + '\n</svg>'
    )


def _boxes(nodes):
    """Return the boxes: a function stands in the box of the only one before it, if it can."""
    after = {id(node): [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            after[id(source)].append(node)
    box_of, boxes = {}, []
    for node in nodes:
        source = node.inputs[0] if len(node.inputs) == 1 else None
        joins = (
            source is not None
            and len(after[id(source)]) == 1
            and 'end' not in (source.kind, node.kind)
        )
        if joins:
            box = box_of[id(source)]
            box.nodes.append(node)
        else:
            box = _Box([node])
            boxes.append(box)
            for other in node.inputs:
                box.before.append(box_of[id(other)])
                box_of[id(other)].after.append(box)
        box_of[id(node)] = box
    return boxes


def _rows(boxes):
    """Return the boxes by row, with a point in each row that an edge passes."""
    for box in boxes:
        box.row = max((other.row + 1 for other in box.before), default=0)
    rows = [[] for _ in range(max(box.row for box in boxes) + 1)]
    for box in boxes:
        rows[box.row].append(box)
    for box in boxes:
        for i, after in enumerate(box.after):
            source = box
            for row in range(box.row + 1, after.row):
                point = _Box([], [source], [], row)
                rows[row].append(point)
                if source is box:
                    box.after[i] = point
                else:
                    source.after.append(point)
                source = point
            if source is not box:
                source.after.append(after)
                after.before[after.before.index(box)] = source
    return rows


def _place(rows):
    """Choose where in their rows boxes and points stand: few crossings, short edges."""
    for row in rows:
        _spread(row)
    for turn in range(24):
        for row in rows[1:] if turn % 2 == 0 else rows[-2::-1]:
            for box in row:
                others = box.before if turn % 2 == 0 else box.after
                if others:
                    box.x = sum(other.x for other in others) / len(others)
            row.sort(key=lambda box: box.x)
            _spread(row)
    for _ in range(40):  # the order stands: draw together what is connected
        for row in rows:
            for box in row:
                others = box.before + box.after
                box.x += 0.5 * (sum(other.x for other in others) / len(others) - box.x)
            _spread(row)


def _spread(row):
    """Move boxes of a row apart until none overlap, around where they want to be."""
    wanted = [box.x for box in row]
    groups = []  # of boxes that touch: [boxes, offset of each, where the first one stands]
    for box, x in zip(row, wanted):
        group = [[box], [0.0], x]
        while groups and _end(groups[-1]) + _apart(groups[-1][0][-1], group[0][0]) > group[2]:
            group = _joined(groups.pop(), group, dict(zip(map(id, row), wanted)))
        groups.append(group)
    for boxes, offsets, start in groups:
        for box, offset in zip(boxes, offsets):
            box.x = start + offset


def _end(group):
    return group[2] + group[1][-1]


def _apart(left, right):
    return (left.width + right.width) / 2 + 14


def _joined(left, right, wanted):
    boxes = left[0] + right[0]
    shift = left[1][-1] + _apart(left[0][-1], right[0][0])
    offsets = left[1] + [shift + offset for offset in right[1]]
    start = sum(wanted[id(box)] - offset for box, offset in zip(boxes, offsets)) / len(boxes)
    return [boxes, offsets, start]


def _edge(box, after, tops, shift):
    """Return the path of an edge from a box, through its points, to the next box."""
    x, y = box.x + shift, tops[box.row] + box.height
    path = [f'M{x:.1f},{y:.1f}']
    while True:
        top = tops[after.row] - (0 if not after.nodes else 1)
        to = after.x + shift
        # what ends above the others in its row goes straight down first
        start = tops[after.row] - GAP
        if start > y:
            path.append(f'L{x:.1f},{start:.1f}')
            y = start
        middle = (y + top) / 2
        path.append(f'C{x:.1f},{middle:.1f} {to:.1f},{middle:.1f} {to:.1f},{top:.1f}')
        if after.nodes:
            return '<path class="edge" marker-end="url(#tip)" d="{}"/>'.format(' '.join(path))
        x, y = to, top
        after = after.after[0]


def _stack(box, x, y):
    parts = []
    for i, node in enumerate(box.nodes):
        top = y + i * LINE
        parts.append(
            f'<rect class="{node.kind}" x="{x:.1f}" y="{top:.1f}" width="{WIDTH}" height="{LINE}"/>'
            f'<text x="{x + WIDTH / 2:.1f}" y="{top + 15:.1f}">{html.escape(node.label)}</text>'
        )
    return '\n'.join(parts)
