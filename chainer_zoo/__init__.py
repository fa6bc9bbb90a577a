"""The image-recognition models of 2016, as Chainer Chains that compute what the original did."""

from chainer_zoo import starting  # the imports below take seconds, in which Ctrl-C may come

# isort: split
from chainer_zoo import compat  # before anything imports Chainer

# isort: split
from chainer_zoo import engines
from chainer_zoo.catalog import build
from chainer_zoo.catalog import entry
from chainer_zoo.catalog import names
from chainer_zoo.functions.noise import no_noise
from chainer_zoo.training.run import train
from chainer_zoo.version import __version__

__all__ = [
    '__version__',
    'build',
    'compat',
    'engines',
    'entry',
    'names',
    'no_noise',
    'starting',
    'train',
]
