"""``compare --original``: how this project's numbers are held against the original code's.

Everything is computed when asked; nothing but what the original computed is stored.
"""

import json
import pathlib
import sys

import chainer
import chainer.functions as F
import numpy as np
import tqdm

from chainer_zoo import catalog
from chainer_zoo.data import cifar10
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.functions.noise import no_noise
from chainer_zoo.report import golden
from chainer_zoo.training.optimizer import make_optimizer

#: The golden files, and where learning curves may stand beside a source checkout.
_ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = golden.FOLDER
CURVES = _ROOT.parent / 'shared' / 'original' / 'curve.json'

#: Largest relative deviations of losses: of each of the first 10, and of the mean of the last 20.
FIRST, LAST = 0.03, 0.05

_IMAGES = 64  # an update


def add_golden(page, folder, device, engine, only=None):
    """Compute the golden checks, and add their table to a page.

    Args:
        page (chainer_zoo.report.page.Page): the page.
        folder (str or pathlib.Path): the golden files: NAME.json, NAME.npz.
        device (chainer.backend.Device): where to compute.
        engine (str): what computes there, for the page.
        only (collection of str): names of models; all if None.

    Raises:
        UserError: there are no golden files in the folder.
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
    cases.sort(key=lambda case: (order.index(case.name), case.case))
    rows = []
    for case in _progress(cases, 'golden checks'):
        model = case.build()
        model.to_device(device)
        found = golden.check(case, model)
        rows.append(
            [case.case]
            + [
                '{:.1e}{}'.format(found[what], '' if found[what] <= limit else ' (!)')
                if what in found
                else '-'
                for what, limit in golden.TOLERANCES.items()
            ]
        )
    page.heading("Golden checks: deviation from the original's numbers")
    page.paragraph(
        'The original code on Chainer 1.24 and this project, from the same weights and images, '
        f'noise off, computed now ({engine}). Logits: largest deviation over the largest logit. Gradients, '
        'running statistics (BN) and parameters after three updates: largest relative deviation of '
        'an L2 norm. Losses: before each of three updates, relative. (!) marks more than the '
        'tolerance. At their golden rates some networks amplify float32 rounding so far that the '
        'original misses itself when only the number of threads changes, and the training logits of '
        'preresnet in its float32 are off by 4e-03 from those in its float64; the tests decide those '
        'in float64 (tests/models/test_float64.py).'
    )
    page.table(
        ['model'] + [what.replace('_', ' ') for what in golden.TOLERANCES],
        rows + [['tolerance'] + [f'{limit:.0e}' for limit in golden.TOLERANCES.values()]],
        [what.replace('_', ' ') for what in golden.TOLERANCES],
    )


def add_curves(page, path, data_path, device, only=None):
    """Compute the learning curves, and add their table and plot to a page.

    Args:
        page (chainer_zoo.report.page.Page): the page. It says why there are no curves where they
            or their images are not given.
        path (str or pathlib.Path): the original's curves; those beside the project if None.
        data_path (str): the CIFAR-10 that the original learned from, or None.
        device (chainer.backend.Device): where to compute.
        only (collection of str): names of models; all if None.

    Raises:
        UserError: the curves or their images cannot be read.
    """
    if path is None and not CURVES.exists():
        page.paragraph(f'Learning curves: not computed, because there is no {CURVES} (--curves).')
        return
    if data_path is None:
        page.paragraph(
            'Learning curves: not computed, because --data does not say where the '
            'images are that the original learned from.'
        )
        return
    from chainer_zoo.report import plots  # matplotlib takes a second to import

    curves = read_curves(CURVES if path is None else path)
    data = cifar10.read(data_path)
    pairs, rows = {}, []
    for name, curve in curves.items():
        if only is not None and name not in only:
            continue
        ours = learn(name, curve, data.train_x, data.train_y, device)
        first, last = deviations(ours, curve['losses'])
        pairs[name] = ours, curve['losses']
        rows.append(
            [
                name,
                ', '.join('{}={}'.format(*item) for item in curve['args'].items()),
                len(ours),
                f'{first:.2%}',
                f'{last:.2%}',
                'yes' if first <= FIRST and last <= LAST else 'no',
            ]
        )
    if not pairs:
        return
    page.heading("Learning curves beside the original's")
    page.paragraph(
        'Small networks on real images from the same weights, noise off, one rate throughout. '
        f'Held: each of the first 10 losses within {FIRST:.0%}, the mean of the last 20 within '
        f'{LAST:.0%}.'
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


def read_curves(path):
    """Return the original's curves by model: dicts with ``args``, ``rate`` and ``losses``.

    Raises:
        UserError: the file cannot be read or holds something else.
    """
    try:
        curves = json.loads(pathlib.Path(path).read_text())
        for name, curve in curves.items():
            catalog.entry(name).complete(curve['args'])
            np.asarray(curve['losses'], dtype=float) * curve['rate']
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path} holds no learning curves: {error}') from error
    return curves


def learn(name, curve, x, y, device=None):
    """Return the losses of the updates that a curve of the original was made of.

    Args:
        name (str): the model.
        curve (dict): its ``args`` (options), ``rate`` and the original's ``losses``.
        x (numpy.ndarray): uint8 images (N, 3, 32, 32); update k takes 64 k to 64 k + 63.
        y (numpy.ndarray): their labels.
        device (chainer.backend.Device): where to compute; the CPU if None.

    Returns:
        list of float: as many losses as the original has.
    """
    entry = catalog.entry(name)
    model = entry.build(**curve['args'])
    golden.fill_model(model, seed=3, avg_mean=0, avg_var=1)
    if device is not None:
        model.to_device(device)
    optimizer = make_optimizer(entry.recipe, model)
    optimizer.lr = curve['rate']
    images = ImagePipeline(entry.image_class(entry.complete(curve['args'])))
    found = []
    with chainer.using_config('train', True), no_noise():
        for k in _progress(range(len(curve['losses'])), name):
            part = slice(_IMAGES * k, _IMAGES * (k + 1))
            model.cleargrads()
            loss = F.softmax_cross_entropy(
                model(images.test(model.xp.asarray(x[part]))),
                model.xp.asarray(y[part], dtype=np.int32),
            )
            found.append(float(loss.array))
            loss.backward()
            optimizer.update()
    return found


def deviations(ours, theirs):
    """Return the largest relative deviation of the first 10 losses, and of the mean of the last 20."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return (
        float(np.abs(ours[:10] / theirs[:10] - 1).max()),
        float(abs(ours[-20:].mean() / theirs[-20:].mean() - 1)),
    )


def _progress(items, text):
    return tqdm.tqdm(items, desc=text, file=sys.stderr, leave=False, disable=None)
