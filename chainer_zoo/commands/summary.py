"""``summary NAME``: a model's layers, weights, multiply-adds and memory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chainer_zoo.commands import flags
from chainer_zoo.report import summary


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the table's style, the model and its options."""
    flags.add_style(parser)
    parser.set_defaults(entry=flags.add_model(parser, argv))


def run(args: argparse.Namespace) -> int:
    """Print the summary; return the exit status."""
    options = flags.options_of(args, args.entry)
    found = summary.summarize(
        summary.build(args.entry, options), summary.image_size(args.entry, options)
    )
    print(summary.render(args.entry, options, found, args.style))
    return 0
