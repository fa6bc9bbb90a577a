"""``predict``: the classes of ordinary image files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.commands import saved_model
from chainer_zoo.data.image_file import read_square
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.files import printable
from chainer_zoo.training.prediction import predict

CIFAR10 = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags, and those of the model that ``argv`` names."""
    parser.set_defaults(entry=flags.add_model(parser, argv, default='resnext', name_first=False))
    flags.add_load_model(parser)
    flags.add_device(parser)
    flags.add_images(parser, 'prepared_as')
    parser.add_argument(
        'images',
        metavar='IMAGE',
        nargs='+',
        help='image files of any size; the largest centred square of each is '
        "resized as the original's test images are",
    )
    parser.add_argument(
        '--names',
        metavar='A,B,...',
        default=None,
        help="names of the classes, with commas; CIFAR-10's if not given",
    )
    parser.add_argument(
        '--top', metavar='N', type=flags.whole(1), default=None, help='only the N likeliest classes'
    )


def run(args: argparse.Namespace) -> int:
    """Print the classes of image files with their probabilities; return the exit status.

    A file that cannot be read is named, and the others are predicted.
    """
    names = list(CIFAR10) if args.names is None else args.names.split(',')
    options, model = saved_model.load(args, len(names))
    if len(names) != options['n_class']:
        raise UserError(
            f'{len(names)} names for {options["n_class"]} classes: give them all with --names'
        )
    images = ImagePipeline(args.entry.image_class(options, args.prepared_as))
    status = 0
    for path in args.images:
        try:
            x = read_square(path)[None]  # (1, 3, N, N)
        except UserError as error:
            console.complain(args.prog, error)
            status = 2
            continue
        p = predict(model, x, images, args.entry.gives_probabilities(options))[0]
        print(printable(path))
        for i in np.argsort(-p, kind='stable')[: args.top]:
            print(f'  {p[i]:6.2%}  {printable(names[i])}')
    return status
