"""The image-recognition models of 2016, as Chainer Chains that compute what the original did."""
from chainer_zoo import compat  # NOQA: before anything imports Chainer

from chainer_zoo.functions.noise import no_noise  # NOQA
