"""``evaluate``: what a saved model reaches on the test images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from chainer_zoo.commands import flags
from chainer_zoo.commands import saved_model
from chainer_zoo.commands.memory_check import check_memory
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sources import read
from chainer_zoo.errors import UserError
from chainer_zoo.report import evaluation
from chainer_zoo.training.evaluation import evaluate


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags, and those of the model that ``argv`` names."""
    parser.set_defaults(entry=flags.add_model(parser, argv, default='resnext'))
    flags.add_load_model(parser)
    flags.add_device(parser)
    flags.add_data(parser, train=False)
    flags.add_images(parser, 'prepared_as')
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
        type=flags.whole(1, flags.LARGEST_BATCH),
        default=None,
        help="batch size; the recipe's if not given",
    )
    parser.add_argument(
        '-teb',
        '--test_batch_divide',
        type=flags.whole(1, flags.LARGEST_BATCH),
        default=None,
        help='test on batch / TEB images at a time, which bounds the memory; the '
        "recipe's if neither is given",
    )


def run(args: argparse.Namespace) -> int:
    """Test a saved model and print the result; return the exit status."""
    saved_model.check(args)
    data = read(args.dataset, args.data, test=args.limit_test)
    options, model = saved_model.load(args, len(data.label_names))
    x, y = data.test_x, data.test_y
    if args.per_class is not None:
        chosen = first_of_each_class(y, args.per_class, len(data.label_names))
        x, y = x[chosen], y[chosen]
    recipe = args.entry.recipe
    batch = args.batch or recipe.batch
    divide = args.test_batch_divide or (1 if args.batch else recipe.micro_batches)
    batch = max(1, min(batch // divide, len(x)))
    images = ImagePipeline(args.entry.image_class(options, args.prepared_as))
    if args.batch or args.test_batch_divide:
        size = images.sizes.test
        check_memory(args.entry, options, batch, size, train=False, gpu=args.gpu)
    result = evaluate(model, x, y, images, batch, options['n_class'])
    names = list(data.label_names)
    names += [f'class {i}' for i in range(len(names), options['n_class'])]
    print(evaluation.render(result, names))
    return 0


def first_of_each_class(y: np.ndarray, n: int, n_class: int) -> np.ndarray:
    """Return the indices of the first ``n`` of each class among the labels ``y``, class by class.

    Raises:
        UserError: a class has fewer.
    """
    chosen = [np.flatnonzero(y == label)[:n] for label in range(n_class)]
    for label, indices in enumerate(chosen):
        if len(indices) < n:
            raise UserError(f'--per_class {n}: class {label} has only {len(indices)} test images')
    return np.concatenate(chosen)
