"""The original's ``log.json``: a list of records, each with an ``_id``.

Losses are summed over the images and accuracies are counts, so a reader divides by
``train_parameter`` and ``test_parameter``, the numbers of images. ``test_accuracy_3_5`` counts the
images of class 3 that were taken for class 5.
"""

import itertools
import json
import math
import numbers
import pathlib
import re

import numpy as np

from chainer_zoo import catalog
from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole

#: Our names of the models, by the module of the original's class in the record 'model'.
_MODULES = {
    entry.original_module: entry.name
    for entry in map(catalog.entry, catalog.names())
    if entry.original_module
}


class Log:
    """A log as the original's trainer writes it, record for record.

    Args:
        categories (iterable of int): labels of the classes.
        train_y, test_y (numpy.ndarray): labels of all training and test images.
        model_repr (str): what the original's ``str(model)`` stands for.

    Attributes:
        records: list of dicts, what the file holds.

    Source: nutszebra_cifar10.py and nutszebra_log2.py of nutszebra/trainer, as of May 2017.
    """

    def __init__(self, categories, train_y, test_y, model_repr):
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

    def add_epoch(self, train_loss_sum, test_loss_sum, confusion):
        """Append the records of one epoch.

        Args:
            train_loss_sum (float): sum over the epoch's images of what the original sums, the
                loss divided by ``train_batch_divide``.
            test_loss_sum (float): sum over the test images of the loss.
            confusion (numpy.ndarray): counts (n_class, n_class), row the true class, column the
                predicted one.
        """
        n_class = len(self._first('categories')['are'])
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

    def save(self, path):
        """Write the log to ``path``, whole or not at all, in the original's format."""
        with write_whole(path) as file:
            file.write(json.dumps(self.records).encode('ascii'))

    @classmethod
    def load(cls, path):
        """Read a log of the original or of this project.

        Raises:
            UserError: it cannot be read or is no such log.
        """
        path = pathlib.Path(path)
        if path.is_dir():
            raise UserError(f'{path} is a folder; a log.json of the original is expected')
        try:
            records = json.loads(path.read_bytes().decode('utf-8'))
        except OSError as error:
            raise UserError(f'cannot read {path}: {error.strerror}') from error
        except (ValueError, RecursionError) as error:
            raise UserError(f'{path} is not a log.json, or cut short: {error}') from error
        if not isinstance(records, list) or not all(
            isinstance(record, dict) and isinstance(record.get('_id'), str) for record in records
        ):
            raise UserError(
                f"{path} is not a log.json of the original: that is a list of records with an '_id'"
            )
        log = cls.__new__(cls)
        log.records = records
        try:
            log.history()
        except UserError as error:
            raise UserError(f'{path}: {error}') from error
        return log

    def must_count(self, n_class, n_train, n_test):
        """Refuse to go on with a log of other data: its sums and counts would be divided wrongly.

        Args:
            n_class, n_train, n_test (int): classes, training and test images of the run.

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
                    f'the log to go on with (-l) is of {theirs:,} {what}, this run has {ours:,}: give '
                    'the same data, or leave out -l'
                )

    def history(self):
        """Return what the log says of each epoch.

        Returns:
            History: one value an epoch.

        Raises:
            UserError: records are missing or have no sensible value.
        """
        categories = self._first('categories').get('are')
        if not isinstance(categories, list) or not categories:
            raise UserError("the record 'categories' must have a list 'are' of labels")
        n_class = len(categories)
        n_train = self._count('train_parameter')
        n_test = self._count('test_parameter')
        per_class = [
            self._number(self._first(f'test_parameter_{i}'), 'parameter') for i in range(n_class)
        ]
        train = self._all('train_loss', 'loss')
        test = self._all('test_loss', 'loss')
        right = self._all('test_accuracy', 'accuracy')
        counts = {
            (i, j): self._all(
                f'test_accuracy_{i}' if i == j else f'test_accuracy_{i}_{j}', 'accuracy'
            )
            for i, j in itertools.product(range(n_class), repeat=2)
        }
        epochs = len(test)
        if not all(len(values) == epochs for values in [train, right] + list(counts.values())):
            raise UserError(
                f'the epochs are incomplete: {len(train)} train_loss, {epochs} test_loss, {len(right)} '
                'test_accuracy'
            )
        confusion = np.empty((epochs, n_class, n_class), np.int64)
        for (i, j), values in counts.items():
            confusion[:, i, j] = values
        return History(
            categories,
            n_train,
            n_test,
            train_loss=np.array(train) / n_train,
            test_loss=np.array(test) / n_test,
            accuracy=np.array(right) / n_test,
            per_class=confusion.diagonal(axis1=1, axis2=2) / np.maximum(per_class, 1),
            confusion=confusion,
            model=str(self._first('model').get('model')),
        )

    def _first(self, name):
        for record in self.records:
            if record['_id'] == name:
                return record
        raise UserError(f"there is no record '{name}', so this is no log of an image classifier")

    def _all(self, name, field):
        return [self._number(record, field) for record in self.records if record['_id'] == name]

    def _count(self, name):
        value = self._number(self._first(name), 'parameter')
        if value < 1:
            raise UserError(f"the record '{name}' must count at least one image, not {value}")
        return value

    @staticmethod
    def _number(record, field):
        value = record.get(field)
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers.Real)
            or (not math.isfinite(value) and field != 'loss')
        ):
            raise UserError(
                "a record '{}' has {} {!r}, a number is expected".format(
                    record['_id'], field, value
                )
            )
        return value


class History:
    """What a log says, one value an epoch; E epochs, K classes.

    Attributes:
        categories: list of the K labels.
        n_train, n_test: numbers of images.
        train_loss: (E,) the logged sum over the number of training images. As the original logs
            it, that is the mean loss divided by ``train_batch_divide``, and a little less, because
            an epoch has only whole batches.
        test_loss: (E,) mean softmax cross entropy (nats).
        accuracy: (E,) share of the test images that are classified right, 0 to 1.
        per_class: (E, K) the same for each class.
        confusion: (E, K, K) counts, row the true class, column the predicted one.
        model: what the log calls the model, as ``<resnext.ResNext object at 0x7f...>``.
    """

    def __init__(
        self,
        categories,
        n_train,
        n_test,
        train_loss,
        test_loss,
        accuracy,
        per_class,
        confusion,
        model,
    ):
        self.categories = categories
        self.n_train = n_train
        self.n_test = n_test
        self.train_loss = train_loss
        self.test_loss = test_loss
        self.accuracy = accuracy
        self.per_class = per_class
        self.confusion = confusion
        self.model = model

    @property
    def model_name(self):
        """Our name of the original's model, or None if the log is of another one."""
        match = re.match(r'<(\w+)\.\w+ object', self.model)
        return _MODULES.get(match.group(1)) if match else None
