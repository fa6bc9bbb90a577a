"""``predict``: the classes of ordinary image files."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence

import chainer
import chainer.functions as F
import numpy as np
from chainer.backends import cuda
from PIL import Image
from PIL import ImageOps

from chainer_zoo.commands import flags
from chainer_zoo.commands import saved_model
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.files import printable

CIFAR10 = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags, and those of the model that ``argv`` names."""
    parser.set_defaults(entry=flags.add_model(parser, argv, default='resnext', name_first=False))
    flags.add_load_model(parser)
    flags.add_device(parser)
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
    """Print the classes of image files with their probabilities; return the exit status."""
    names = list(CIFAR10) if args.names is None else args.names.split(',')
    options, model = saved_model.load(args, len(names))
    if len(names) != options['n_class']:
        raise UserError(
            f'{len(names)} names for {options["n_class"]} classes: give them all with --names'
        )
    prepare = ImagePipeline(args.entry.image_class(options))
    for path in args.images:
        x = model.xp.asarray(read_square(path)[None])  # (1, 3, N, N)
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            y = model(prepare.test(x))  # (1, n_class)
            p = y if getattr(model, 'gives_probabilities', False) else F.softmax(y)
        p = cuda.to_cpu(p.array)[0]
        print(printable(path))
        for i in np.argsort(-p, kind='stable')[: args.top]:
            print(f'  {p[i]:6.2%}  {printable(names[i])}')
    return 0


def read_square(path):
    """Read an image file and cut out its largest centred square.

    CIFAR-10's images are square, and so is what the models take. An image is turned as its EXIF
    orientation says, grey becomes three equal channels, and what is transparent shows white.

    Args:
        path (str): a file that Pillow reads.

    Returns:
        numpy.ndarray: uint8 (3, N, N).

    Raises:
        UserError: there is no such file, or it is no image or damaged.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of images that unpack to hundreds of megabytes
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(path) as file:
                image = _rgb(ImageOps.exif_transpose(file))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f'{path} is too large: {error}') from error
    except Image.UnidentifiedImageError as error:
        raise UserError(f'{path} is no image that Pillow can read (JPEG, PNG, ...)') from error
    except OSError as error:  # no such file, or an image that is cut short
        raise UserError(f'cannot read {path}: {error.strerror or error}') from error
    except (SyntaxError, ValueError) as error:  # Pillow's words for broken PNG and others
        raise UserError(f'{path} is damaged: {error}') from error
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))


def _rgb(image):
    if image.mode.startswith(('I', 'F')):
        # 16-bit grey and the like: Pillow's conversion would cut off at 255
        values = np.asarray(image, dtype=np.float64)
        span = values.max() - values.min()
        image = Image.fromarray(np.uint8(np.round((values - values.min()) * 255 / (span or 1))))
    if 'A' in image.mode or 'transparency' in image.info:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    return image.convert('RGB')
