"""``train``, which is also ``train_cifar10.py``: train a model of the article."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence

from chainer_zoo import catalog
from chainer_zoo import terminal
from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.training import run as training
from chainer_zoo.training.settings import Settings


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags; their defaults are the recipe of the model that ``argv`` names."""
    entry = flags.add_model(parser, argv, default='resnext')
    whose = "the original code's" if entry.original else "the paper's recipe"
    parser.description = f'Train {entry.name}: {entry.paper} ({entry.year}). Defaults are {whose}.'
    flags.add_training(parser, entry)


def run(args: argparse.Namespace) -> int:
    """Train, and return the exit status: that of a signal where one stopped the run."""
    settings = settings_of(args)
    outcome = training.run(settings)
    with terminal.lasting():
        if outcome.stopped_by is not None:
            program = f'python {args.prog}' if args.prog.endswith('.py') else args.prog
            print(
                f'stopped after update {outcome.updates}; go on with: '
                f'{program} {shlex.join(resuming(settings))}'
            )
            return 128 + outcome.stopped_by
        if outcome.log:
            loss, accuracy = outcome.plots
            print(
                f'test accuracy {outcome.accuracy:.2%} after epoch {outcome.log[-1]["epoch"]} on '
                f'{outcome.source}; plots: {loss} and {accuracy}'
            )
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """Return what a parsed command line asks for.

    Raises:
        UserError: values that make no sense, or do not go together.
    """
    fields = {field.name for field in dataclasses.fields(Settings)}
    given = {name: value for name, value in vars(args).items() if name in fields}
    given['resume'] = {None: False, '': True}.get(args.resume, args.resume)
    known = {'n_class', *catalog.entry(args.model).defaults}
    options = {name: value for name, value in vars(args).items() if name in known}
    return Settings(**given, options=options)


def resuming(settings: Settings) -> list[str]:
    """Return the words of a command line that goes on with a run."""
    usual = Settings(settings.model)
    words = ['--model', settings.model]
    for name, value in settings.options.items():
        if value == settings.entry.defaults.get(name):
            continue
        if isinstance(value, bool):
            words.append(f'--{name}' if value else f'--no-{name}')
        else:
            words += [f'--{name}', str(value)]
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        # the snapshot has what came from the given files
        if field.name in ('model', 'options', 'load_model', 'load_log', 'resume'):
            continue
        if value is True:
            words.append(f'--{field.name}')
        elif value != getattr(usual, field.name):
            words += [f'--{field.name}', str(value)]
    return [*words, '--resume']


def main(argv: Sequence[str]) -> int:
    """Run ``train_cifar10.py``; return its exit status."""
    return console.run(add_arguments, run, argv, prog='train_cifar10.py')
