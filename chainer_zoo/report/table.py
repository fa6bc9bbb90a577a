"""Tables as text, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence


def render(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    style: str,
    numbers: Collection[str] = (),
) -> str:
    """Return a table.

    Args:
        header: the columns' names.
        rows: their values; str() of each is shown. It has no line breaks.
        style: ``text``, ``csv`` or ``markdown``. In the last, values may be Markdown; see
            :func:`escape_markdown` for those that shall not.
        numbers: columns that are set to the right, in text and Markdown.

    Returns:
        Lines without a last line feed.
    """
    lines = [list(header)] + [[str(value) for value in row] for row in rows]
    if style == 'csv':
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(lines)
        return text.getvalue().rstrip('\n')
    if style == 'markdown':
        rule = ['---:' if name in numbers else '---' for name in header]
        return '\n'.join(f'| {" | ".join(line)} |' for line in [lines[0], rule] + lines[1:])
    widths = [max(map(_width, column)) for column in zip(*lines)]
    return '\n'.join(
        '  '.join(
            _padded(value, width, name in numbers)
            for value, width, name in zip(line, widths, header)
        ).rstrip()
        for line in lines
    )


def escape_markdown(text: str) -> str:
    """Return text in which no character has a meaning in Markdown.

    An underscore inside a word has none, so names such as ``vgg_a`` stay as they are.
    """
    return re.sub(r'([\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_]))', r'\\\1', text)


def _padded(value: str, width: int, to_the_right: bool) -> str:
    spaces = ' ' * (width - _width(value))
    return spaces + value if to_the_right else value + spaces


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1
        for c in text
    )
