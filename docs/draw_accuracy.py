#!/usr/bin/env python
"""Draw the README's plot: ``python docs/draw_accuracy.py``.

It writes ``docs/_static/accuracy.png``: accuracy on CIFAR-10 against multiply-adds, all rows of the
article.
"""

import argparse
import pathlib

from chainer_zoo import catalog
from chainer_zoo.report import listing
from chainer_zoo.report import plots

OUT = pathlib.Path(__file__).with_name('_static') / 'accuracy.png'


def points():
    """Return the points to plot: the article's figure, else the paper's, else the size alone."""
    found = []
    for name in catalog.names():
        entry = catalog.entry(name)
        if entry.article_accuracy is not None:
            kind, accuracy = 'article', entry.article_accuracy
        elif entry.paper_accuracy is not None:
            kind, accuracy = 'paper', entry.paper_accuracy
        else:
            kind, accuracy = 'none', None
        found.append(plots.Point(name, listing.count(entry).multiply_adds, accuracy, kind))
    return found


def main():
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', nargs='?', type=pathlib.Path, default=OUT)
    out = parser.parse_args().out
    figure = plots.scatter_figure(points(), 'multiply-adds for one image')[0]
    figure.savefig(out, metadata={'Software': None})  # the same points give the same file
    print(f'written: {out}')


if __name__ == '__main__':
    main()
