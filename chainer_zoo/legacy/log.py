"""The original's ``log.json``: a list of records, each with an ``_id``.

Losses are summed over the images and accuracies are counts, so a reader divides by
``train_parameter`` and ``test_parameter``, the numbers of images. ``test_accuracy_3_5`` counts the
images of class 3 that were taken for class 5.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainer_zoo import catalog
from chainer_zoo import records
from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole

# Our names of the models, by the module of the original's class in the record 'model'.
_NAMES = {
    entry.original_module: entry.name
    for entry in map(catalog.entry, catalog.names())
    if entry.original_module
}

MAX_CLASSES = 1000  # there is a count for each pair of them and epoch
_MAX_IMAGES = 10**9
_MAX_LOSS = 1e50  # of all images; a larger one is no float32 any more

_LABELS = records.list_of(records.scalar(200), MAX_CLASSES)
_COUNT = records.whole(0, _MAX_IMAGES)
_NUMBER_OF_IMAGES = records.whole(1, _MAX_IMAGES)
_LOSS = records.number(-_MAX_LOSS, _MAX_LOSS, finite=False)  # NaN where a run has diverged
_MODEL = records.text(10_000)


class Log:
    """A log as the original's trainer writes it, record for record.

    Args:
        categories: labels of the classes.
        train_y: labels of all training images.
        test_y: labels of all test images.
        model_repr: what the original's ``str(model)`` stands for.

    Attributes:
        records: what the file holds, a list of dicts.

    Source: nutszebra_cifar10.py and nutszebra_log2.py of nutszebra/trainer, as of May 2017.
    """

    records: list[dict[str, Any]]

    def __init__(
        self,
        categories: Iterable[int],
        train_y: np.ndarray,
        test_y: np.ndarray,
        model_repr: str,
    ) -> None:
        categories = [int(category) for category in categories]
        test_y = np.asarray(test_y)
        self.records = [
            {'are': categories, '_id': 'categories'},
            {'parameter': len(train_y), '_id': 'train_parameter'},
            {'parameter': len(test_y), '_id': 'test_parameter'},
        ]
        self.records += [
            {'parameter': float((test_y == i).sum()), '_id': f'test_parameter_{i}'}
            for i in range(len(categories))
        ]
        self.records.append({'model': model_repr, '_id': 'model'})

    def add_epoch(self, train_loss_sum: float, test_loss_sum: float, confusion: np.ndarray) -> None:
        """Append the records of one epoch.

        Args:
            train_loss_sum: sum over the epoch's images of what the original sums, the loss divided
                by the number of micro-batches (``train_batch_divide``).
            test_loss_sum: sum over the test images of the loss.
            confusion: counts (n_class, n_class), row the true class, column the predicted one.

        Raises:
            ValueError: the counts are of another number of classes.
        """
        n_class = len(next(r for r in self.records if r['_id'] == 'categories')['are'])
        if np.shape(confusion) != (n_class, n_class):
            raise ValueError(f'confusion must be ({n_class}, {n_class}), not {np.shape(confusion)}')
        add = self.records.append
        add({'loss': float(train_loss_sum), '_id': 'train_loss'})
        add({'loss': float(test_loss_sum), '_id': 'test_loss'})
        for i in range(n_class):
            add({'accuracy': int(confusion[i][i]), '_id': f'test_accuracy_{i}'})
        add({'accuracy': int(np.trace(confusion)), '_id': 'test_accuracy'})
        for i, j in itertools.permutations(range(n_class), 2):
            add({'accuracy': int(confusion[i][j]), '_id': f'test_accuracy_{i}_{j}'})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the log to ``path``, whole or not at all, in the original's format."""
        with write_whole(path) as file:
            # as the original: the loss of a run that has diverged is a bare NaN, which is no JSON
            file.write(json.dumps(self.records).encode('ascii'))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Log:
        """Read a log of the original or of this project.

        Raises:
            UserError: it cannot be read or is no such log.
        """
        log = cls.__new__(cls)
        log.records = records.read(path)
        try:
            log.history()
        except UserError as error:
            raise UserError(f'{path}: {error}') from error
        return log

    def must_count(self, n_class: int, n_train: int, n_test: int) -> None:
        """Refuse to go on with a log of other data: its sums and counts would be divided wrongly.

        Args:
            n_class: classes of the run.
            n_train: its training images.
            n_test: its test images.

        Raises:
            UserError: the log counts others.
        """
        history = self.history()
        for what, theirs, ours in (
            ('classes', len(history.categories), n_class),
            ('training images', history.n_train, n_train),
            ('test images', history.n_test, n_test),
        ):
            if theirs != ours:
                raise UserError(
                    f'the log to go on with (-l) is of {theirs:,} {what}, this run has {ours:,}: '
                    'give the same data, or leave out -l'
                )

    def history(self) -> History:
        """Return what the log says of each epoch.

        Raises:
            UserError: records are missing or have no sensible value.
        """
        found = _by_id(self.records)
        categories = _first(found, 'categories', 'are', _LABELS)
        if not categories:
            raise UserError("the record 'categories' names no classes")
        n_train = _first(found, 'train_parameter', 'parameter', _NUMBER_OF_IMAGES)
        n_test = _first(found, 'test_parameter', 'parameter', _NUMBER_OF_IMAGES)
        for i in range(len(categories)):
            _first(found, f'test_parameter_{i}', 'parameter', _COUNT)
        train = _all(found, 'train_loss', 'loss', _LOSS)
        test = _all(found, 'test_loss', 'loss', _LOSS)
        right = _all(found, 'test_accuracy', 'accuracy', records.whole(0, n_test))
        if not len(train) == len(test) == len(right):
            raise UserError(
                f'the epochs are incomplete: {len(train)} train_loss, {len(test)} test_loss, '
                f'{len(right)} test_accuracy'
            )
        return History(
            categories=categories,
            n_train=n_train,
            n_test=n_test,
            train_loss=np.array(train) / n_train,
            test_loss=np.array(test) / n_test,
            accuracy=np.array(right) / n_test,
            confusion=_confusion(found, len(categories), len(test)),
            model=_first(found, 'model', 'model', _MODEL),
        )


def _by_id(found: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a log by their ``_id``, in order."""
    if not isinstance(found, list):
        raise UserError('it is not a log of the original: that is a list of records')
    by_id: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        if not isinstance(record, dict) or not isinstance(record.get('_id'), str):
            raise UserError("it is not a log of the original: that has records with an '_id'")
        by_id.setdefault(record['_id'], []).append(record)
    return by_id


def _first(
    by_id: dict[str, list[dict[str, Any]]], name: str, field: str, schema: records.Schema
) -> Any:
    """Return a field of the first record of that name."""
    if name not in by_id:
        raise UserError(f"there is no record '{name}', so this is no log of an image classifier")
    return schema(by_id[name][0].get(field), f"'{field}' of the record '{name}'")


def _all(
    by_id: dict[str, list[dict[str, Any]]], name: str, field: str, schema: records.Schema
) -> list[Any]:
    """Return a field of all records of that name: one for each epoch."""
    return [
        schema(record.get(field), f"'{field}' of a record '{name}'")
        for record in by_id.get(name, ())
    ]


def _confusion(by_id: dict[str, list[dict[str, Any]]], n_class: int, epochs: int) -> np.ndarray:
    """Return the counts (epochs, n_class, n_class), int64."""
    # before memory is taken for them
    if sum(map(len, by_id.values())) < epochs * n_class**2:
        raise UserError(f'the epochs are incomplete: {n_class} classes need more records')
    confusion = np.empty((epochs, n_class, n_class), np.int64)
    if not epochs:
        return confusion
    for i, j in itertools.product(range(n_class), repeat=2):
        name = f'test_accuracy_{i}' if i == j else f'test_accuracy_{i}_{j}'
        counts = _all(by_id, name, 'accuracy', _COUNT)
        if len(counts) != epochs:
            raise UserError(
                f'the epochs are incomplete: {epochs} test_loss and {len(counts)} {name}'
            )
        confusion[:, i, j] = counts
    return confusion


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """What a log says, one value an epoch; E epochs, K classes.

    Attributes:
        categories: the K labels.
        n_train: number of training images.
        n_test: number of test images.
        train_loss: (E,) the logged sum over the number of training images. As the original logs
            it, that is the mean loss divided by ``train_batch_divide``, and a little less, because
            an epoch has only whole batches.
        test_loss: (E,) mean softmax cross entropy (nats).
        accuracy: (E,) share of the test images that are classified right, 0 to 1.
        confusion: (E, K, K) counts, row the true class, column the predicted one.
        model: what the log calls the model, as ``<resnext.ResNext object at 0x7f...>``.
    """

    categories: list[Any]
    n_train: int
    n_test: int
    train_loss: np.ndarray
    test_loss: np.ndarray
    accuracy: np.ndarray
    confusion: np.ndarray
    model: str

    @property
    def model_name(self) -> str | None:
        """Our name of the original's model, or None if the log is of another one."""
        match = re.match(r'<(\w+)\.\w+ object', self.model)
        return _NAMES.get(match.group(1)) if match else None
