#!/usr/bin/env python
"""Draw the layers of the package: ``python docs/draw_layers.py`` (Python 3.11 and up).

It writes ``docs/_static/layers.svg`` from the import contract in ``pyproject.toml``. What a layer
is for is the first sentence of its docstring.
"""

import argparse
import ast
import html
import pathlib
import re
import textwrap

import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / '_static' / 'layers.svg'

WIDTH, NAME, ARROW = 760, 150, 44  # of the drawing, of a name, of the arrow beside the layers
LINE, PADDING, GAP = 18, 9, 6
CHARACTERS = 76  # of a line of text

STYLE = """\
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1b1b1b; }
.name { font: 600 13px ui-monospace, Menlo, Consolas, monospace; }
.layer { fill: #0072b2; fill-opacity: .10; stroke: #0072b2; stroke-opacity: .6; }
.arrow { stroke: #d55e00; stroke-width: 2.5; fill: none; }
.tip { fill: #d55e00; }
.note { fill: #a04600; }"""


def layers():
    """Return the layers from the top down: for each, its modules with what they are for."""
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    (contract,) = (
        contract
        for contract in tomllib.loads(text)['tool']['importlinter']['contracts']
        if contract.get('containers') == ['chainer_zoo']
    )
    return [
        [(name, purpose(name)) for name in re.split(r'\s*[|:]\s*', layer)]
        for layer in contract['layers']
    ]


def purpose(name):
    """Return the first sentence of a module's docstring, without markup."""
    path = ROOT / 'chainer_zoo' / name
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    sentence = re.split(r'\n\n|(?<=\.)\s', text, maxsplit=1)[0]
    return re.sub(r'``|:\w+:|`', '', ' '.join(sentence.split()))


def draw(found):
    """Return the SVG of layers as :func:`layers` returns them."""
    parts, y = [], 8
    for layer in found:
        lines = [(name, textwrap.wrap(text, CHARACTERS) or ['']) for name, text in layer]
        height = LINE * sum(len(texts) for _, texts in lines) + 2 * PADDING
        parts.append(
            f'<rect class="layer" x="8" y="{y}" width="{WIDTH - ARROW - 16}" height="{height}" '
            'rx="5"/>'
        )
        baseline = y + PADDING + 13
        for name, texts in lines:
            parts.append(f'<text class="name" x="20" y="{baseline}">{html.escape(name)}</text>')
            for text in texts:
                parts.append(f'<text x="{NAME}" y="{baseline}">{html.escape(text)}</text>')
                baseline += LINE
        y += height + GAP
    x = WIDTH - ARROW / 2 - 4
    parts += [
        f'<path class="arrow" d="M{x},12 V{y - 26}"/>',
        f'<path class="tip" d="M{x - 6},{y - 28} h12 l-6,14 z"/>',
        f'<text class="note" transform="translate({x + 20},{y / 2}) rotate(-90)" '
        'text-anchor="middle">imports go down only</text>',
    ]
    return '\n'.join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
            f'height="{y}" role="img">',
            '<title>The layers of chainer_zoo, from the commands down to the ground floor</title>',
            f'<style>{STYLE}</style>',
            f'<rect width="{WIDTH}" height="{y}" fill="white"/>',
            *parts,
            '</svg>\n',
        ]
    )


def main():
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', nargs='?', type=pathlib.Path, default=OUT)
    out = parser.parse_args().out
    out.write_text(draw(layers()), encoding='utf-8')
    print(f'written: {out}')


if __name__ == '__main__':
    main()
