"""What a data set is here, and two ways to take a part of it."""

import collections

import numpy as np

from chainer_zoo.errors import UserError

Dataset = collections.namedtuple('Dataset', 'train_x train_y test_x test_y label_names source')
Dataset.__doc__ = """Images and labels to train and to test with.

``train_x`` uint8 (N, 3, H, W), 0..255, red, green, blue; ``train_y`` int32 (N,), an index into
``label_names`` (tuple of str); ``test_x`` and ``test_y`` likewise; ``source`` (str) says in words
for people where it comes from."""


def limit(dataset, train=None, test=None):
    """Return only the first images, in file order.

    Args:
        dataset (Dataset): All images.
        train (int): How many to train with at most. None keeps all.
        test (int): How many to test with at most. None keeps all.

    Returns:
        Dataset: Views of the given arrays, not copies.

    Raises:
        UserError: If a limit is below 1.
    """
    for name, n in (('training', train), ('test', test)):
        if n is not None and n < 1:
            raise UserError(f'cannot limit the {name} images to {n}: at least 1 is needed')
    return dataset._replace(
        train_x=dataset.train_x[:train],
        train_y=dataset.train_y[:train],
        test_x=dataset.test_x[:test],
        test_y=dataset.test_y[:test],
    )


def by_class(x, y):
    """Return images and labels class by class, in file order within a class.

    The original's trainer does so from February 2018 on (data_init of nutszebra_cifar10.py); the
    one that made the article's figures keeps the order of the files, and so does this project.
    The order changes no result: training draws from all images alike, and in test mode
    each image is judged by itself. Only a run with the original's later trainer, whose
    images are counted in this order, needs it.

    Args:
        x (numpy.ndarray): (N, ...).
        y (numpy.ndarray): int (N,).

    Returns:
        tuple: Copies of ``x`` and ``y`` in the new order.
    """
    order = np.argsort(y, kind='stable')
    return x[order], y[order]
