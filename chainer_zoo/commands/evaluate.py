"""``python -m chainer_zoo evaluate``: what a saved model reaches on the test images."""

import numpy as np

from chainer_zoo.commands import flags
from chainer_zoo.commands import saved_model
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sources import read
from chainer_zoo.errors import UserError
from chainer_zoo.training.evaluation import evaluate


def add_arguments(parser):
    """Add the command's flags to its parser."""
    saved_model.add_arguments(parser)
    flags.add_data(parser, train=False)
    parser.add_argument(
        '--per_class',
        metavar='N',
        type=flags.whole(1),
        default=None,
        help='only the first N test images of each class, class after class',
    )
    parser.add_argument(
        '-b',
        '--batch',
        type=flags.whole(1),
        default=None,
        help="images a batch; the recipe's if not given",
    )
    parser.add_argument(
        '-teb',
        '--test_batch_divide',
        type=flags.whole(1),
        default=None,
        help='test on batch / TEB images at a time, which bounds the memory; the '
        "recipe's if neither is given",
    )


def run(args):
    """Test a saved model and print the result; return the exit status."""
    data = read(args.dataset, args.data, test=args.limit_test)
    entry, options, model = saved_model.load(args, len(data.label_names))
    x, y = data.test_x, data.test_y
    if args.per_class is not None:
        chosen = first_of_each_class(y, args.per_class, len(data.label_names))
        x, y = x[chosen], y[chosen]
    batch = args.batch or entry.recipe.batch
    divide = args.test_batch_divide or (1 if args.batch else entry.recipe.micro_batches)
    result = evaluate(
        model,
        x,
        y,
        ImagePipeline(entry.image_class(options)),
        max(1, batch // divide),
        options['n_class'],
    )
    names = list(data.label_names)
    names += [f'class {i}' for i in range(len(names), options['n_class'])]
    print(report(result, names))
    return 0


def first_of_each_class(y, n, n_class):
    """Return the indices of the first ``n`` of each class among the labels ``y``, class by class.

    Raises:
        UserError: a class has fewer.
    """
    chosen = [np.flatnonzero(y == label)[:n] for label in range(n_class)]
    for label, indices in enumerate(chosen):
        if len(indices) < n:
            raise UserError(f'--per_class {n}: class {label} has only {len(indices)} test images')
    return np.concatenate(chosen)


def report(result, names):
    """Return an :class:`~chainer_zoo.training.evaluation.Evaluation` as text.

    Args:
        result (Evaluation): what was reached.
        names (list of str): the classes.
    """
    right = result.confusion.diagonal()
    width = max(map(len, names))
    lines = [
        f'test loss {result.loss:.5f}, test accuracy {result.accuracy:.2%} ({right.sum()} of {result.n} images)',
        '',
    ]
    for name, accuracy, n, all_of_it in zip(
        names, result.per_class, right, result.confusion.sum(axis=1)
    ):
        lines.append(
            '{:<{}}  {:>7}  ({} of {})'.format(
                name, width, f'{accuracy:.2%}' if all_of_it else '-', n, all_of_it
            )
        )
    column = max([5] + [len(str(n)) for n in result.confusion.ravel()])
    lines += [
        '',
        'how many of each class (rows) were taken for which (columns):',
        ' ' * width + ''.join('  {:>{}}'.format(name[:column], column) for name in names),
    ]
    for name, row in zip(names, result.confusion):
        lines.append(
            '{:<{}}'.format(name, width) + ''.join('  {:>{}}'.format(n, column) for n in row)
        )
    return '\n'.join(lines)
