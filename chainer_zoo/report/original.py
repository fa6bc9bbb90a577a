"""``compare --original``: how this project's numbers compare with the original code's.

Everything is computed when asked; nothing but what the original computed is stored.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
import tqdm

from chainer_zoo import catalog
from chainer_zoo import records
from chainer_zoo.data import cifar10
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.functions.noise import no_noise
from chainer_zoo.report import golden
from chainer_zoo.report import plots
from chainer_zoo.report.page import Page
from chainer_zoo.training.optimizer import make_optimizer

GOLDEN = golden.FOLDER

#: Largest relative deviations of losses: of each of the first 10, and of the mean of the last 20.
FIRST, LAST = 0.03, 0.05

_BATCH = 64  # images of one update
_MAX_UPDATES = 100_000

_CURVES = records.dict_of(
    records.fields(
        {
            'args': records.dict_of(records.scalar(100), 100),
            'rate': records.number(0, 1e6),
            'losses': records.list_of(records.number(0, 1e50), _MAX_UPDATES),
        }
    ),
    100,
)


def add_golden(
    page: Page,
    folder: str | os.PathLike[str],
    device: chainer.backend.Device,
    engine: str,
    only: Collection[str] | None = None,
) -> None:
    """Compute the golden checks, and add their table to a page.

    Args:
        page: the page.
        folder: the golden files: NAME.json, NAME.npz.
        device: where to compute.
        engine: what computes there, for the page.
        only: names of models; all if None.

    Raises:
        UserError: there are no golden files in the folder, or other files.
    """
    cases = [golden.Golden(path) for path in sorted(pathlib.Path(folder).glob('*.json'))]
    if not cases:
        raise UserError(
            f'there are no golden files (*.json) in {folder}: give their folder with --golden'
        )
    cases = [
        case for case in cases if case.logits is not None and (only is None or case.name in only)
    ]
    order = catalog.names()
    cases.sort(key=lambda case: (order.index(case.entry.name), case.case))
    rows = []
    for case in _progress(cases, 'golden checks'):
        model = case.build()
        model.to_device(device)
        found = golden.check(case, model)
        rows.append(
            [case.case]
            + [_deviation(found.get(what), limit) for what, limit in golden.TOLERANCES.items()]
        )
    page.heading("Golden checks: deviation from the original's numbers")
    page.paragraph(
        'The original code on Chainer 1.24 and this project, from the same weights and images, '
        f'noise off, computed now ({engine}). Logits: largest deviation over the largest logit. '
        'Gradients, running statistics (BN) and parameters after three updates: largest relative '
        'deviation of an L2 norm. Losses: before each of three updates, relative. (!) marks more '
        'than the tolerance. At their golden learning rates some networks amplify rounding in '
        'float32 until results diverge: even the original gives other numbers when only the '
        'number of threads changes, and its training logits of preresnet are 4e-03 away from '
        'those in float64. The tests decide those in float64 (tests/models/test_float64.py).'
    )
    header = [what.replace('_', ' ') for what in golden.TOLERANCES]
    limits = ['tolerance'] + [f'{limit:.0e}' for limit in golden.TOLERANCES.values()]
    page.table(['model'] + header, rows + [limits], header)


def _deviation(found: float | None, limit: float) -> str:
    return '-' if found is None else f'{found:.1e}{"" if found <= limit else " (!)"}'


def add_curves(
    page: Page,
    path: str | os.PathLike[str] | None,
    data_path: str | None,
    device: chainer.backend.Device,
    only: Collection[str] | None = None,
) -> None:
    """Compute the learning curves, and add their table and plot to a page.

    Args:
        page: the page. It says why there are no curves where they or their images are not given.
        path: the original's curves, or None.
        data_path: the CIFAR-10 that the original learned from, or None.
        device: where to compute.
        only: names of models; all if None.

    Raises:
        UserError: the curves or their images cannot be read.
    """
    if path is None or data_path is None:
        page.paragraph(
            "Learning curves: not computed. They need the original's losses (--curves) and the "
            'images that it learned from (--data).'
        )
        return
    curves = {
        name: curve for name, curve in read_curves(path).items() if only is None or name in only
    }
    if not curves:
        return
    data = cifar10.read(data_path)
    needed = _BATCH * max(len(curve['losses']) for curve in curves.values())
    if len(data.train_x) < needed:
        raise UserError(
            f'{data.source} has {len(data.train_x):,} training images: the curves need {needed:,}'
        )
    pairs, rows = {}, []
    for name, curve in curves.items():
        ours, theirs = learn(name, curve, data.train_x, data.train_y, device), curve['losses']
        first, last = deviations(ours, theirs)
        pairs[name] = ours, theirs
        options = ', '.join(f'{option}={value}' for option, value in curve['args'].items())
        held = 'yes' if first <= FIRST and last <= LAST else 'no'
        rows.append([name, options, len(ours), f'{first:.2%}', f'{last:.2%}', held])
    page.heading("Learning curves beside the original's")
    page.paragraph(
        'Small networks on real images from the same weights, noise off, one learning rate '
        f'throughout. Held: each of the first 10 losses within {FIRST:.0%}, the mean of the last '
        f'20 within {LAST:.0%}.'
    )
    page.table(
        ['model', 'options', 'updates', 'first 10, largest', 'mean of the last 20', 'held'],
        rows,
        ('updates', 'first 10, largest', 'mean of the last 20'),
    )
    page.figure(
        'learning-curves',
        plots.losses(pairs),
        'Loss of each update: the original on Chainer 1.24, and ours.',
    )


def read_curves(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the original's curves by model: dicts with ``args``, ``rate`` and ``losses``.

    Raises:
        UserError: the file cannot be read or holds something else.
    """
    content = records.read(path)
    try:
        curves = _CURVES(content, 'its content')
        for name, curve in curves.items():
            catalog.entry(name).complete(curve['args'])
            if not curve['losses']:
                raise UserError(f'{name} has no losses')
    except UserError as error:
        raise UserError(f'{path} holds no learning curves: {error}') from error
    return curves


def learn(
    name: str,
    curve: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    device: chainer.backend.Device | None = None,
) -> list[float]:
    """Return the losses of the updates that a curve of the original was made of.

    Args:
        name: the model.
        curve: its ``args`` (options), ``rate`` (learning rate) and the original's ``losses``.
        x: uint8 images (N, 3, 32, 32); update k takes 64 k to 64 k + 63.
        y: their labels.
        device: where to compute; the CPU if None.

    Returns:
        As many losses as the original has.
    """
    entry = catalog.entry(name)
    model = entry.build(**curve['args'])
    golden.fill_model(model, seed=3, avg_mean=0, avg_var=1)
    if device is not None:
        model.to_device(device)
    optimizer: Any = make_optimizer(entry.recipe, model)
    optimizer.lr = curve['rate']
    pipeline = ImagePipeline(entry.image_class(entry.complete(curve['args'])))
    found = []
    with chainer.using_config('train', True), no_noise():
        for k in _progress(range(len(curve['losses'])), name):
            part = slice(_BATCH * k, _BATCH * (k + 1))
            model.cleargrads()
            loss = F.softmax_cross_entropy(
                model(pipeline.test(model.xp.asarray(x[part]))),
                model.xp.asarray(y[part], dtype=np.int32),
            )
            found.append(float(loss.array))
            loss.backward()
            optimizer.update()
    return found


def deviations(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the largest relative deviation of the first 10 losses, and of the last 20's mean."""
    a, b = np.asarray(ours), np.asarray(theirs)
    return (
        float(np.abs(a[:10] / b[:10] - 1).max()),
        float(abs(a[-20:].mean() / b[-20:].mean() - 1)),
    )


def _progress(items: Iterable[Any], text: str) -> Iterable[Any]:
    return tqdm.tqdm(items, desc=text, file=sys.stderr, leave=False, disable=None)
