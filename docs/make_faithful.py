#!/usr/bin/env python
"""Write the generated parts of ``docs/faithful.md``: ``python docs/make_faithful.py``.

They are the published accuracies of the original, from the catalog, the commits that this project
follows, and what differs from the original on purpose, from the comments that say so.
"""

import argparse
import pathlib
import re
import tokenize

import chainer_zoo
from chainer_zoo import catalog
from chainer_zoo.report import figures
from chainer_zoo.report import table

PAGE = pathlib.Path(__file__).with_name('faithful.md')
PACKAGE = pathlib.Path(chainer_zoo.__file__).parent
MARK = 'unlike the original'


def deviations():
    """Yield (file, text) of each comment that marks a deviation, with the lines that go on."""
    for path in sorted(PACKAGE.rglob('*.py')):
        comments = {}
        with tokenize.open(path) as file:
            for token in tokenize.generate_tokens(file.readline):
                if token.type == tokenize.COMMENT:
                    comments[token.start[0]] = token.string.lstrip('# ').rstrip()
        for line, text in comments.items():
            if not text.startswith(MARK):
                continue
            while line + 1 in comments and not comments[line + 1].startswith(MARK):
                line += 1
                text += ' ' + comments[line]
            yield path.relative_to(PACKAGE.parent).as_posix(), text.removeprefix(MARK).lstrip(': ')


def commits():
    """Return the table of the commits that "as the original" refers to."""
    rows = [
        [f'`{name}`', f'`nutszebra/{entry.original}`', f'`{entry.commit}`']
        for name in catalog.names()
        for entry in [catalog.entry(name)]
        if entry.original is not None
    ]
    return table.render(['model', 'repository', 'commit'], rows, 'markdown')


def blocks():
    """Return the generated parts by name."""
    return {
        'figures': figures.render('markdown'),
        'reasons': '\n'.join(f'- {table.escape_markdown(text)}' for text in figures.reasons()),
        'commits': commits(),
        'deviations': '\n'.join(
            f'- `{file}`: {table.escape_markdown(text)}'
            for file, text in dict.fromkeys(deviations())
        ),
    }


def filled(text):
    """Return a page with its generated parts as they are now."""
    for name, block in blocks().items():
        begin, end = f'<!-- {name}:begin -->', f'<!-- {name}:end -->'
        pattern = re.compile(f'({re.escape(begin)}\n).*?({re.escape(end)})', re.S)
        text, count = pattern.subn(
            lambda match, block=block: f'{match[1]}\n{block}\n\n{match[2]}', text
        )
        if count != 1:
            raise ValueError(f'the page has {count} parts called {name}')
    return text


def main():
    """Write the page that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('page', nargs='?', type=pathlib.Path, default=PAGE)
    page = parser.parse_args().page
    page.write_text(filled(page.read_text(encoding='utf-8')), encoding='utf-8')
    print(f'written: {page}')


if __name__ == '__main__':
    main()
