"""The original's training curves, one value an epoch.

The repositories keep no logs, so the curves were read off their plots, ``loss.jpg`` and
``accuracy.jpg``. ``scripts/original_curves.py`` makes the data file.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib

import numpy as np

from chainer_zoo import catalog
from chainer_zoo.catalog.results import Result

FILE = pathlib.Path(__file__).with_suffix('.npz')

#: The file holds whole numbers: so many of them are 1, and this one is a point that was not read.
UNIT, GAP = 10000, -1

#: What is true of every curve.
CAVEAT = (
    "Read off the original's plots, to about a tenth of a pixel. Accuracy and test loss are after "
    'each epoch, on the 10,000 test images. The training loss is the mean over an epoch, with '
    'dropout, drop-path and augmentation on.'
)

#: What is true of the curves of one model.
OF_A_MODEL = {
    'swapout': 'Its test loss takes a softmax of the averaged softmax, so it cannot be below '
    '1.461: compare it with no other model.',
}

#: What is true of the curves of one result, by model and figure.
OF_A_RESULT = {
    (
        'fractalnet',
        '91.3',
    ): 'From epoch 188 on the training loss is five times as large: the run was '
    'resumed with about 5 micro-batches in place of about 25.',
    ('fractalnet', '94.05'): 'The least legible plot: single epochs can be off by more than said.',
    ('prelu_net', '94.98'): 'From epoch 209 on the training loss is half as large: presumably the '
    'run was resumed with 8 micro-batches in place of 4.',
    ('swapout', '95.34'): '254 of 256 epochs are drawn; which two are missing is not known.',
}

#: The micro-batches changed within these runs: from that epoch on there were so many.
CHANGED = {('fractalnet', '91.3'): (188, 5), ('prelu_net', '94.98'): (209, 8)}


@dataclasses.dataclass(frozen=True)
class OriginalCurves:
    """How one published result came about, E epochs.

    Attributes:
        result: the result.
        train_loss: float64 (E,), NaN where it could not be read: the mean softmax cross entropy of
            an epoch's training images, multiplied back by the micro-batches, which the original
            divides by.
        test_loss: float64 (E,), likewise, of the test images.
        accuracy: float64 (E,), likewise: the share of the test images that are classified right.
        uncertainties: arrays (E,) by the names of those three: two standard deviations.
        caveats: sentences that belong beside the curves.
    """

    result: Result
    train_loss: np.ndarray
    test_loss: np.ndarray
    accuracy: np.ndarray
    uncertainties: dict[str, np.ndarray]
    caveats: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a plot calls the run."""
        return f'{self.result.model} {self.result.figure} (original)'


@functools.lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as npz:
        return {key: npz[key] for key in npz.files}


def curves(model: str, figure: str | None = None) -> OriginalCurves:
    """Return the curves of a published result.

    Args:
        model: a model of the catalog.
        figure: the accuracy in percent, as it was printed; the article's result if None.

    Raises:
        UserError: nothing was published of this model, or no such figure.
    """
    entry = catalog.entry(model)
    result = entry.result(figure)
    values, uncertainties = {}, {}
    for name in ('train loss', 'test loss', 'accuracy'):
        read = _arrays()[f'{model}/{result.figure}/{name}']
        pair = np.where(read == GAP, np.nan, read / UNIT)
        field = name.replace(' ', '_')
        values[field], uncertainties[field] = pair
    epochs = max(map(len, values.values()))
    for found in values, uncertainties:
        for field, array in found.items():
            found[field] = np.append(array, np.full(epochs - len(array), np.nan))

    factor = np.full(epochs, float(result.of(entry.recipe).micro_batches))
    key = model, result.figure
    if key in CHANGED:
        epoch, micro_batches = CHANGED[key]
        factor[epoch - 1 :] = micro_batches
    values['train_loss'] *= factor
    uncertainties['train_loss'] *= factor
    caveats = [CAVEAT]
    if factor.max() > 1:
        counts = ' and later '.join(f'{count:.0f}' for count in dict.fromkeys(factor.tolist()))
        caveats.append(
            f'The training loss is multiplied by {counts}, the likely number of micro-batches, '
            'which the original divides by.'
        )
    caveats += [text for text in (OF_A_MODEL.get(model), OF_A_RESULT.get(key)) if text]
    return OriginalCurves(
        result=result, uncertainties=uncertainties, caveats=tuple(caveats), **values
    )
