"""The probabilities that a model gives to classes."""

from __future__ import annotations

import chainer
import chainer.functions as F
import numpy as np
from chainer.backends import cuda

from chainer_zoo.data.images import ImagePipeline


def predict(
    model: chainer.Chain, x: np.ndarray, images: ImagePipeline, gives_probabilities: bool = False
) -> np.ndarray:
    """Return the probability of each class for some images.

    Args:
        model: gives logits (B, n_class); on any device.
        x: uint8 images (B, 3, N, N), 0 to 255, channels red, green, blue.
        images: prepares them with ``test``.
        gives_probabilities: whether the model gives probabilities itself; see
            :meth:`chainer_zoo.catalog.Entry.gives_probabilities`.

    Returns:
        float32 (B, n_class); each row sums to 1.
    """
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        y = model(images.test(model.xp.asarray(x)))  # (B, n_class)
        if not gives_probabilities:
            y = F.softmax(y)
    return cuda.to_cpu(y.array)
