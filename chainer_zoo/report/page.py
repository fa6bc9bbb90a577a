"""A report of headings, paragraphs, tables and figures, as text, Markdown and one HTML file."""

import base64
import collections
import html
import os
import textwrap

from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole
from chainer_zoo.report import table

_Heading = collections.namedtuple('_Heading', 'text')
_Paragraph = collections.namedtuple('_Paragraph', 'text')
_Table = collections.namedtuple('_Table', 'header rows numbers')
_Figure = collections.namedtuple('_Figure', 'name png caption')

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

    Args:
        title (str): its title.
    """

    def __init__(self, title):
        self.title = title
        self._blocks = []

    def heading(self, text):
        """Begin a section."""
        self._blocks.append(_Heading(text))

    def paragraph(self, text):
        """Add a paragraph, one line of text."""
        self._blocks.append(_Paragraph(text))

    def table(self, header, rows, numbers=()):
        """Add a table; see :func:`chainer_zoo.report.table.render`."""
        self._blocks.append(
            _Table(header, [[str(value) for value in row] for row in rows], numbers)
        )

    def figure(self, name, png, caption):
        """Add a figure: the name of its file without ``.png``, the file's bytes, what it shows."""
        self._blocks.append(_Figure(name, png, caption))

    def text(self):
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

    def markdown(self):
        """Return the page as Markdown; figures are files beside it."""
        lines = ['# ' + self.title, '']
        for block in self._blocks:
            if isinstance(block, _Heading):
                lines += ['## ' + block.text, '']
            elif isinstance(block, _Paragraph):
                lines += [block.text, '']
            elif isinstance(block, _Table):
                lines += [table.render(block.header, block.rows, 'markdown', block.numbers), '']
            else:
                lines += [f'![{block.caption}]({block.name}.png)', '']
        return '\n'.join(lines)

    def html(self):
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
                parts.append(
                    '<figure><img src="data:image/png;base64,{}" alt="{}">'
                    '<figcaption>{}</figcaption></figure>'.format(
                        base64.b64encode(block.png).decode('ascii'), caption, caption
                    )
                )
        return '\n'.join(parts + ['</body>', '</html>', ''])

    def save(self, folder, name):
        """Write Markdown with its figures, and HTML; return the paths of the two.

        Args:
            folder (str): where to; made if it is not there.
            name (str): of the files, without extension.

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


def _html_table(block):
    right = [name in block.numbers for name in block.header]

    def line(tag, values):
        return '<tr>{}</tr>'.format(
            ''.join(
                '<{0}{1}>{2}</{0}>'.format(
                    tag, ' class="number"' if number else '', html.escape(value)
                )
                for value, number in zip(values, right)
            )
        )

    return '\n'.join(
        ['<div class="wide"><table>', '<thead>', line('th', block.header), '</thead>', '<tbody>']
        + [line('td', row) for row in block.rows]
        + ['</tbody>', '</table></div>']
    )
