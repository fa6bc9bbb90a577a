"""The data set that a command line names."""

from chainer_zoo.data import cifar10
from chainer_zoo.data import shapes
from chainer_zoo.data.dataset import limit


def read(name, path=None, train=None, test=None):
    """Return a data set, and say on standard output which one it is.

    Args:
        name (str): ``cifar10``, ``shapes`` or ``auto``: shapes where no copy of cifar10 is found.
        path (str): where cifar10 is; see :func:`chainer_zoo.data.cifar10.read`.
        train, test (int): only the first so many images, in file order; None takes all.

    Returns:
        chainer_zoo.data.Dataset: its ``source`` names it.

    Raises:
        UserError: it cannot be read.
    """
    if name == 'shapes':
        data = shapes.read()
    elif name == 'auto' and path is None and cifar10.find_copy() is None:
        print('no copy of CIFAR-10 is here: taking the built-in drawn set, shapes')
        data = shapes.read()
    else:
        data = cifar10.read(path, download=name != 'auto')
    data = limit(data, train, test)
    print(f'data: {data.source} ({len(data.train_x)} training and {len(data.test_x)} test images)')
    return data
