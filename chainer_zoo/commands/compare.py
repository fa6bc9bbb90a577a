"""``compare``: runs beside the article's and the papers' figures."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from chainer_zoo import catalog
from chainer_zoo.commands import flags
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.files import open_regular
from chainer_zoo.files import printable
from chainer_zoo.report import comparison
from chainer_zoo.report import original
from chainer_zoo.report import runs as run_files
from chainer_zoo.report.page import Page


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags to its parser."""
    parser.add_argument(
        'runs',
        metavar='RUN',
        nargs='*',
        type=flags.path,
        help='a folder of train_cifar10.py, or a log.json of the original; such a log does not '
        'say options and micro-batches: write them after it, as log.json:C=2,d=4,divide=1',
    )
    parser.add_argument(
        '--out',
        metavar='FOLDER',
        type=flags.path,
        default='compare',
        help='where compare.md, compare.html and the plots go',
    )
    group = parser.add_argument_group('held against the original code')
    group.add_argument(
        '--original',
        action='store_true',
        help='compute golden checks and learning curves; takes a while',
    )
    group.add_argument(
        '--golden',
        metavar='FOLDER',
        type=flags.path,
        default=str(original.GOLDEN),
        help='what the original computes: NAME.json, NAME.npz, rates.csv',
    )
    group.add_argument('--only', metavar='NAME', nargs='+', default=None, help='only these models')
    group.add_argument(
        '--curves',
        metavar='FILE',
        type=flags.path,
        default=None,
        help="the original's learning curves, as JSON",
    )
    group.add_argument(
        '--data',
        metavar='PATH',
        type=flags.path,
        default=None,
        help='cifar-10-python.tar.gz or cifar-10-batches-py, for the curves: the '
        'very images that the original learned from',
    )
    flags.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print the tables, write the pages; return the exit status."""
    if not args.runs and not args.original:
        raise UserError('give folders of runs or log.json files, or --original')
    _check(args)
    page = Page('chainer_zoo beside the original and the papers')
    found = run_files.read_all(args.runs)
    if found:
        comparison.add_runs(page, found, comparison.costs(found))
    if args.original:
        device = devices.find(args.gpu)
        engine = devices.choose_engine(args.cpu, args.gpu)
        original.add_golden(page, args.golden, device, engine, args.only)
        original.add_curves(page, args.curves, args.data, device, args.only)
    print(page.text())
    written = (printable(path) for path in page.save(args.out, 'compare'))
    print(f'\nwritten: {" and ".join(written)}')
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what would fail after minutes of computing."""
    for name in args.only or ():
        catalog.entry(name)
    if args.curves is not None:
        open_regular(args.curves).close()
    if os.path.lexists(args.out) and not os.path.isdir(args.out):
        raise UserError(f'cannot make the folder {args.out}: another file is there')
