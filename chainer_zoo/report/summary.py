"""A model's layers, weights, multiply-adds and memory."""

from __future__ import annotations

import math
from typing import Any
from typing import NamedTuple

import chainer
import numpy as np

from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.catalog import Entry
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.report import table
from chainer_zoo.report import tracing


class Layer(NamedTuple):
    """One call of a layer.

    Attributes:
        path: the link's.
        shape: the result's without its first axis; empty for a layer that is never called.
        weights: how many the article counts; 0 at a further call of the same layer.
        parameters: how many there are; likewise.
        multiply_adds: how many there are for one image.
    """

    path: str
    shape: tuple[int, ...]
    weights: int
    parameters: int
    multiply_adds: int


class Summary(NamedTuple):
    """What :func:`summarize` finds.

    Attributes:
        layers: the calls of layers in order.
        weights: the article's count: W of convolutions and linear layers.
        parameters: the full count, with biases, BN's gamma and beta, slopes of PReLU.
        multiply_adds: those of convolutions and linear layers, for one image. Adding a bias, BN,
            ReLU, pooling and additions are not counted.
        activation_bytes: bytes of all results of all functions of one training pass (noise off) for
            one float32 image, without views of others: the most that can be alive before backward
            starts.
        size: the image's side in pixels, that of training.
    """

    layers: list[Layer]
    weights: int
    parameters: int
    multiply_adds: int
    activation_bytes: int
    size: int


def build(entry: Entry, options: dict[str, Any]) -> chainer.Chain:
    """Return a model's structure: its weights are not filled.

    Args:
        entry: the model's row in the catalog.
        options: completed options.
    """
    with initializers.unfilled():
        return entry.build(**options)


def image_size(entry: Entry, options: dict[str, Any]) -> int:
    """Return the side in pixels of the images that the model is trained with."""
    return SIZE_CLASSES[entry.image_class(options)].crop


def _link(path: str) -> str:
    """Return the path of the link that has the parameter at ``path``."""
    return path.rsplit('/', 1)[0].lstrip('/')


def summarize(model: chainer.Chain, size: int) -> Summary:
    """Return the :class:`Summary` of a model.

    Nothing is convolved: see :mod:`chainer_zoo.report.tracing`.

    Args:
        model: the model, on the CPU; weights need not be filled.
        size: side of the images in pixels.
    """
    params = {id(param.array): (path, param) for path, param in model.namedparams()}
    calls = tracing.trace(model, (1, 3, size, size))
    layers = []

    def add(
        path: str, shape: tuple[int, ...], new: list[chainer.Parameter], multiply_adds: int
    ) -> None:
        weights = sum(param.size for param in new if parameters.is_weight(param))
        layers.append(Layer(path, shape, weights, sum(p.size for p in new), multiply_adds))

    waiting = dict(params)
    for call in calls:
        arrays = [id(array) for array in call.arrays if id(array) in params]
        if arrays or call.multiply_adds:
            path = _link(params[arrays[0]][0]) if arrays else f'({call.label})'
            new = [waiting.pop(array)[1] for array in arrays if array in waiting]
            add(path, call.shape[1:], new, call.multiply_adds)
    for path, param in waiting.values():
        add(_link(path), (), [param], 0)
    return Summary(
        layers,
        parameters.count_weights(model),
        sum(param.size for param in model.params()),
        sum(call.multiply_adds for call in calls),
        sum(call.nbytes for call in calls),
        size,
    )


def least_bytes(entry: Entry, options: dict[str, Any], images: int, size: int, train: bool) -> int:
    """Return how many bytes a model takes at least to compute with some images.

    Counted are the results of its convolutions and linear layers: in training all of them, which
    backward needs, at test the largest.

    Args:
        entry: the model's row in the catalog.
        options: completed options.
        images: how many are computed at a time.
        size: side of the images in pixels.
        train: whether it is for a step of training.
    """
    layers = summarize(build(entry, options), size).layers
    results = [4 * math.prod(layer.shape) for layer in layers if layer.multiply_adds]
    return images * (sum(results) if train else max(results))


def render(entry: Entry, options: dict[str, Any], found: Summary, style: str) -> str:
    """Return a summary as a table and, unless it is CSV, its totals.

    Args:
        entry: the model's row in the catalog.
        options: completed options.
        found: what was counted.
        style: ``text``, ``csv`` or ``markdown``.

    Returns:
        Lines without a last line feed.
    """
    exact = style == 'csv'
    header = ['layer', 'output', 'weights', 'parameters', 'multiply-adds']
    rows = [
        [
            layer.path,
            ' x '.join(str(size) for size in layer.shape) or 'not called',
            *[
                str(number) if exact else f'{number:,}'
                for number in (layer.weights, layer.parameters, layer.multiply_adds)
            ],
        ]
        for layer in found.layers
    ]
    text = table.render(header, rows, style, header[2:])
    if exact:
        return text
    item = '- ' if style == 'markdown' else ''
    return '\n'.join([text, ''] + [item + line for line in _totals(entry, options, found)])


def _totals(entry: Entry, options: dict[str, Any], found: Summary) -> list[str]:
    shown = ', '.join(f'{name} {value}' for name, value in sorted(options.items()))
    lines = [
        f'{entry.name} ({entry.year}), {shown}',
        f'Weights of convolution and linear layers, as the article counts: {found.weights:,}',
        f'All parameters: {found.parameters:,}',
        'Multiply-adds of convolution and linear layers for an image of '
        f'{found.size} x {found.size}: {found.multiply_adds:,} ({with_unit(found.multiply_adds)})',
        'Activation memory, the results of all functions for that image: '
        f'{found.activation_bytes / 2.0**20:.1f} MiB',
    ]
    if entry.article_millions is not None:
        lines.insert(
            2, f'The article gives {entry.article_millions:g} million. {entry.note}'.rstrip()
        )
    return lines


def with_unit(number: int) -> str:
    """Return a count in three digits, as ``1.30 G``."""
    for unit, factor in (('G', 10**9), ('M', 10**6), ('k', 10**3)):
        if number >= 0.9995 * factor:
            digits = max(0, 2 - int(np.log10(number / factor * 1.0005)))
            return f'{number / factor:.{digits}f} {unit}'
    return str(number)
