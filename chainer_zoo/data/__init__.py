"""Reading CIFAR-10, drawing the built-in set, drawing batches and preparing images."""

from chainer_zoo.data.dataset import Dataset
from chainer_zoo.data.dataset import limit

__all__ = [
    'Dataset',
    'limit',
]
