"""``train_cifar10.py``: train a model of the article."""

from chainer_zoo.commands import flags
from chainer_zoo.commands import guarded
from chainer_zoo.training import run as training

PROG = 'train_cifar10.py'


def main(argv):
    """Run ``train_cifar10.py``; return its exit status."""
    return guarded(lambda: training.run(flags.parse(argv, PROG), argv), PROG)
