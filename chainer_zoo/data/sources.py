"""The data set that a command line names."""

from __future__ import annotations

from chainer_zoo.data import cifar10
from chainer_zoo.data import shapes
from chainer_zoo.data.dataset import Dataset
from chainer_zoo.data.dataset import limit
from chainer_zoo.files import printable


def read(
    name: str, path: str | None = None, train: int | None = None, test: int | None = None
) -> Dataset:
    """Return a data set, and say on standard output which one it is.

    Args:
        name: ``cifar10``, ``shapes`` or ``auto``: shapes where no copy of cifar10 is found.
        path: Where cifar10 is; see :func:`chainer_zoo.data.cifar10.read`.
        train: Only the first so many training images, in file order; None takes all.
        test: The same for test images.

    Returns:
        The images; ``source`` says where they come from.

    Raises:
        UserError: It cannot be read.
    """
    if name == 'shapes':
        data = shapes.read()
    elif name == 'auto' and path is None and cifar10.find_copy() is None:
        print('no copy of CIFAR-10 is here: taking the built-in drawn images, shapes')
        data = shapes.read()
    else:
        data = cifar10.read(path, download=name != 'auto')
    data = limit(data, train, test)
    print(
        f'data: {printable(data.source)} ({len(data.train_x)} training and {len(data.test_x)} '
        'test images)'
    )
    return data
