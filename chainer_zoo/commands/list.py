"""``python -m chainer_zoo list``: one line a model. The README's table is its Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chainer_zoo import catalog
from chainer_zoo.commands import flags
from chainer_zoo.report import figures
from chainer_zoo.report import listing


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the table's style."""
    parser.add_argument(
        '--figures',
        action='store_true',
        help="the original's published accuracies instead, and what each was measured with",
    )
    flags.add_style(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table of all models; return the exit status."""
    if args.figures:
        print(figures.render(args.style))
        return 0
    print(
        listing.render([listing.count(catalog.entry(name)) for name in catalog.names()], args.style)
    )
    return 0
