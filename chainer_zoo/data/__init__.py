"""Reading CIFAR-10, drawing the built-in set, drawing batches and preparing pictures."""
from chainer_zoo.data.dataset import by_class, Dataset, limit  # NOQA
