"""``train``, which is also ``train_cifar10.py``: train a model of the article."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence

from chainer_zoo import catalog
from chainer_zoo import terminal
from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import Result
from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.report import provenance
from chainer_zoo.training import run as training
from chainer_zoo.training.settings import Settings


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags; their defaults are the recipe of the model that ``argv`` names."""
    entry = flags.add_model(parser, argv, default='resnext')
    result = _result(entry, argv)
    if result is not None:
        whose = f'those that {result.figure}% was measured with'
    else:
        whose = "the original code's" if entry.original else "the paper's recipe"
    parser.description = f'Train {entry.name}: {entry.paper} ({entry.year}). Defaults are {whose}.'
    flags.add_training(parser, entry, result)


def _result(entry: Entry, argv: Sequence[str]) -> Result | None:
    """Return the result that ``--as-article`` names among the words, on which defaults depend."""
    finder = flags.Parser(add_help=False)
    finder.add_argument('--as-article', '--figure', dest='figure', nargs='?', const='')
    figure = finder.parse_known_args(argv)[0].figure
    return None if figure is None else entry.result(figure or None)


def run(args: argparse.Namespace) -> int:
    """Train, and return the exit status: that of a signal where one stopped the run."""
    settings = settings_of(args)
    for line in told(settings):
        print(line)
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


def told(settings: Settings) -> list[str]:
    """Return what people should know of a run before it starts, line by line."""
    found = []
    if settings.result is not None:
        entry, result = settings.entry, settings.result
        found.append(f'as {provenance.headline(entry, result)}')
        found += [f'  {fact}' for fact in provenance.facts(entry, result)]
        found += [f'  {result.note}'] if result.note else []
        usual = Settings(settings.model, figure=settings.figure)
        other = [
            f'{name}={_short(value)} instead of {_short(then[name])}'
            for value_of in (_recipe_of, _options_of)
            for then in [value_of(usual)]
            for name, value in value_of(settings).items()
            if value != then[name]
        ]
        if other:
            found.append(f'  but for {", ".join(other)}')
    size = settings.batch // settings.train_batch_divide
    count = -(-settings.batch // size)
    if settings.batch % settings.train_batch_divide:
        last = settings.batch - (count - 1) * size
        found.append(
            f'-trb {settings.train_batch_divide} does not divide a batch of {settings.batch}: as '
            f'the original, {count} micro-batches, the last of {last} images and the others of '
            f'{size}, each loss divided by {settings.train_batch_divide}'
        )
    return found


def _short(value: object) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _recipe_of(settings: Settings) -> dict[str, object]:
    """Return what a published result is measured with, by field, beside the options."""
    fields = 'batch', 'epoch', 'lr', 'weight_decay', 'train_batch_divide', 'init', 'images'
    return {field: getattr(settings, field) for field in fields}


def _options_of(settings: Settings) -> dict[str, object]:
    return settings.entry.complete(settings.options)


def settings_of(args: argparse.Namespace) -> Settings:
    """Return what a parsed command line asks for.

    Raises:
        UserError: values that make no sense, or do not go together.
    """
    fields = {field.name for field in dataclasses.fields(Settings)}
    given = {name: value for name, value in vars(args).items() if name in fields}
    if args.figure == '':
        given['figure'] = catalog.entry(args.model).result().figure
    given['resume'] = {None: False, '': True}.get(args.resume, args.resume)
    known = {'n_class', *catalog.entry(args.model).defaults}
    options = {name: value for name, value in vars(args).items() if name in known}
    return Settings(**given, options=options)


def resuming(settings: Settings) -> list[str]:
    """Return the words of a command line that goes on with a run."""
    usual = Settings(settings.model, figure=settings.figure)
    words = ['--model', settings.model]
    if settings.figure is not None:
        words += ['--as-article', settings.figure]
    for name, value in settings.options.items():
        if value == usual.options.get(name, settings.entry.defaults.get(name)):
            continue
        if isinstance(value, bool):
            words.append(f'--{name}' if value else f'--no-{name}')
        else:
            words += [f'--{name}', str(value)]
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        # the snapshot has what came from the given files
        if field.name in ('model', 'options', 'figure', 'load_model', 'load_log', 'resume'):
            continue
        if value is True:
            words.append(f'--{field.name}')
        elif value != getattr(usual, field.name):
            words += [f'--{field.name}', str(value)]
    return [*words, '--resume']


def main(argv: Sequence[str]) -> int:
    """Run ``train_cifar10.py``; return its exit status."""
    return console.run(add_arguments, run, argv, prog='train_cifar10.py')
