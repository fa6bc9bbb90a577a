"""``train``, which is also ``train_cifar10.py``: train a model of the article."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.training import run as training


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags; their defaults are the recipe of the model that ``argv`` names."""
    entry = flags.add_model(parser, argv, default='resnext')
    parser.description = 'Train {}: {} ({}). Defaults are {}.'.format(
        entry.name,
        entry.paper,
        entry.year,
        "the original code's" if entry.original else "the paper's recipe",
    )
    flags.add_training(parser, entry)
    parser.set_defaults(words=argv)


def run(args: argparse.Namespace) -> int:
    """Train, and return the exit status."""
    return training.run(args, args.words)


def main(argv: Sequence[str]) -> int:
    """Run ``train_cifar10.py``; return its exit status."""
    return console.run(add_arguments, run, argv, prog='train_cifar10.py')
