#!/usr/bin/env python3
"""Make the compact file of the original's training curves that the package reads.

The input is a table of the points that were read off the plots in the original's repositories: CSV,
or CSV compressed by gzip, with the columns model, commit (that added the plot), curve
(``train loss``, ``test loss`` or ``accuracy``), epoch (from 1), value and uncertainty (two standard
deviations). The output holds whole numbers of 1/10000, -1 where a point could not be read: for each
curve an array of values and uncertainties.

usage: scripts/original_curves.py CURVES.csv [MORE.csv.gz ...] [--out FILE.npz]
"""

import argparse
import csv
import gzip
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from chainer_zoo import catalog
from chainer_zoo.catalog import results
from chainer_zoo.report import original_curves

#: Plots of one result that came in two commits.
SAME_RESULT = {'4520ab0': 'aa55db5'}


def points(path):
    """Yield (model, commit, curve, epoch, value, uncertainty) of each point of a table."""
    opened = gzip.open if path.suffix == '.gz' else open
    with opened(path, 'rt', newline='') as file:
        for row in csv.DictReader(file):
            commit = SAME_RESULT.get(row['commit'], row['commit'])
            yield (
                row['model'],
                commit,
                row['curve'],
                int(row['epoch']),
                float(row['value']),
                float(row['uncertainty']),
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('tables', nargs='+', type=pathlib.Path, metavar='CURVES.csv')
    parser.add_argument('--out', type=pathlib.Path, default=original_curves.FILE)
    args = parser.parse_args()

    figures = {
        (name, result.commits['result']): result.figure
        for name in catalog.names()
        for result in results.results_of(name)
    }
    curves = {}
    for path in args.tables:
        for model, commit, curve, *point in points(path):
            key = f'{model}/{figures[model, commit]}/{curve}'
            curves.setdefault(key, []).append(point)
    arrays = {}
    for key, read in sorted(curves.items()):
        epochs = max(epoch for epoch, _, _ in read)
        values = np.full((2, epochs), original_curves.GAP, dtype=np.int32)
        for epoch, *pair in read:
            values[:, epoch - 1] = np.rint(np.array(pair) * original_curves.UNIT)
        arrays[key] = values
    np.savez_compressed(args.out, **arrays)
    print(f'{args.out}: {len(arrays)} curves, {sum(map(len, curves.values()))} points')


if __name__ == '__main__':
    main()
