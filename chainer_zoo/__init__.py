"""The image-recognition models of 2016, as Chainer Chains that compute what the original did."""
from chainer_zoo import compat  # NOQA: before anything imports Chainer

from chainer_zoo.catalog import build  # NOQA
from chainer_zoo.catalog import entry  # NOQA
from chainer_zoo.catalog import names  # NOQA
from chainer_zoo.cudnn import seam as _cudnn
from chainer_zoo.functions.noise import no_noise  # NOQA

_cudnn.install_if_needed()  # looks for the library only when a GPU computes

__version__ = '0.1.0'
