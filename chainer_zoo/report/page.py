"""A report of headings, paragraphs, tables and figures, as text, Markdown and one HTML file."""

from __future__ import annotations

import base64
import html
import os
import textwrap
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Union

from chainer_zoo.errors import UserError
from chainer_zoo.files import printable
from chainer_zoo.files import write_whole
from chainer_zoo.report import table


class _Heading(NamedTuple):
    text: str


class _Paragraph(NamedTuple):
    text: str


class _Table(NamedTuple):
    header: list[str]
    rows: list[list[str]]
    numbers: Collection[str]


class _Figure(NamedTuple):
    name: str
    png: bytes
    caption: str


_Block = Union[_Heading, _Paragraph, _Table, _Figure]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2em auto;
       max-width: 1200px; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .3em .6em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #555; vertical-align: bottom; }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
tr:hover { background: #f4f6f8; }
figure { margin: 1em 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #555; }
"""


class Page:
    """A report under construction: what is added first comes first.

    Text may come from anywhere. In the terminal, in Markdown and in HTML it shows as it is, on one
    line: control characters are written as escapes, and nothing in it is taken for markup.

    Args:
        title: its title.
    """

    def __init__(self, title: str) -> None:
        self.title = printable(title)
        self._blocks: list[_Block] = []

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._blocks.append(_Heading(printable(text)))

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._blocks.append(_Paragraph(printable(text)))

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[object]],
        numbers: Collection[str] = (),
    ) -> None:
        """Add a table; see :func:`chainer_zoo.report.table.render`."""
        lines = [[printable(str(value)) for value in row] for row in rows]
        self._blocks.append(_Table([printable(name) for name in header], lines, numbers))

    def figure(self, name: str, png: bytes, caption: str) -> None:
        """Add a figure.

        Args:
            name: the name of its file, without ``.png``.
            png: the file's bytes.
            caption: what it shows.
        """
        self._blocks.append(_Figure(name, png, printable(caption)))

    def text(self) -> str:
        """Return the page for a terminal; figures are only named."""
        lines = []
        for block in self._blocks:
            if isinstance(block, _Heading):
                lines += [block.text, '-' * len(block.text), '']
            elif isinstance(block, _Paragraph):
                lines += [textwrap.fill(block.text, 100), '']
            elif isinstance(block, _Table):
                lines += [table.render(block.header, block.rows, 'text', block.numbers), '']
            else:
                lines += [textwrap.fill(f'{block.name}.png: {block.caption}', 100), '']
        return '\n'.join(lines).rstrip('\n')

    def markdown(self) -> str:
        """Return the page as Markdown; figures are files beside it."""
        escape = table.escape_markdown
        lines = ['# ' + escape(self.title), '']
        for block in self._blocks:
            if isinstance(block, _Heading):
                lines += ['## ' + escape(block.text), '']
            elif isinstance(block, _Paragraph):
                lines += [escape(block.text), '']
            elif isinstance(block, _Table):
                header = [escape(name) for name in block.header]
                rows = [[escape(value) for value in row] for row in block.rows]
                numbers = {escape(name) for name in block.numbers}
                lines += [table.render(header, rows, 'markdown', numbers), '']
            else:
                lines += [f'![{escape(block.caption)}]({block.name}.png)', '']
        return '\n'.join(lines)

    def html(self) -> str:
        """Return the page as HTML that needs no other file."""
        title = html.escape(self.title)
        parts = [
            '<!DOCTYPE html>',
            '<html lang="en">',
            '<head>',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{title}</title>',
            f'<style>{_STYLE}</style>',
            '</head>',
            '<body>',
            f'<h1>{title}</h1>',
        ]
        for block in self._blocks:
            if isinstance(block, _Heading):
                parts.append(f'<h2>{html.escape(block.text)}</h2>')
            elif isinstance(block, _Paragraph):
                parts.append(f'<p>{html.escape(block.text)}</p>')
            elif isinstance(block, _Table):
                parts.append(_html_table(block))
            else:
                caption = html.escape(block.caption)
                png = base64.b64encode(block.png).decode('ascii')
                parts.append(
                    f'<figure><img src="data:image/png;base64,{png}" alt="{caption}">'
                    f'<figcaption>{caption}</figcaption></figure>'
                )
        return '\n'.join(parts + ['</body>', '</html>', ''])

    def save(self, folder: str, name: str) -> list[str]:
        """Write Markdown with its figures, and HTML; return the paths of the two.

        Args:
            folder: where to; made if it is not there.
            name: of the files, without extension.

        Raises:
            UserError: the folder cannot be written to.
        """
        files = {
            name + '.md': self.markdown().encode('utf-8'),
            name + '.html': self.html().encode('utf-8'),
        }
        files.update(
            {block.name + '.png': block.png for block in self._blocks if isinstance(block, _Figure)}
        )
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise UserError(f'cannot make the folder {folder}: {error.strerror}') from error
        for file, content in files.items():
            with write_whole(os.path.join(folder, file)) as f:
                f.write(content)
        return [os.path.join(folder, name + extension) for extension in ('.md', '.html')]


def _html_table(block: _Table) -> str:
    kinds = [' class="number"' if name in block.numbers else '' for name in block.header]

    def line(tag: str, values: Sequence[str]) -> str:
        cells = (f'<{tag}{kind}>{html.escape(value)}</{tag}>' for value, kind in zip(values, kinds))
        return f'<tr>{"".join(cells)}</tr>'

    return '\n'.join(
        ['<div class="wide"><table>', '<thead>', line('th', block.header), '</thead>', '<tbody>']
        + [line('td', row) for row in block.rows]
        + ['</tbody>', '</table></div>']
    )
