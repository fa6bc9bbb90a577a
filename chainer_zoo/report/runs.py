"""Reading finished runs: folders of this project and logs of the original."""

import json
import pathlib

import numpy as np

from chainer_zoo import catalog
from chainer_zoo.errors import UserError
from chainer_zoo.legacy.log import Log


class Run:
    """One training run, ours or the original's.

    Attributes:
        path (pathlib.Path): the folder, or the original's log.json.
        label (str): a short name; :func:`read_all` makes it differ between runs.
        original (bool): whether the original's code ran.
        entry (chainer_zoo.catalog.Entry): the model's, or None where a log does not say.
        options (dict): all options of the model, or None where a log does not say.
        epochs (numpy.ndarray): (E,) numbers of the epochs.
        train_loss, test_loss (numpy.ndarray): (E,) mean softmax cross entropy (nats).
        train_loss_divided (bool): whether ``train_loss`` is as the original logs it, divided by
            the number of parts of a batch, because that number is not known.
        accuracy (numpy.ndarray): (E,) on the test images, in percent.
        n_train, n_test (int): numbers of images.
        seconds (float): from start to the last epoch's end, or None.
        record (dict): what ``arguments.json`` says, empty for the original.
    """

    def __init__(
        self,
        path,
        original,
        entry,
        options,
        epochs,
        train_loss,
        test_loss,
        accuracy,
        history,
        seconds=None,
        record=None,
        train_loss_divided=False,
    ):
        self.path = path
        self.label = path.resolve().parent.name if original else path.resolve().name
        self.original = original
        self.entry = entry
        self.options = options
        self.epochs = epochs
        self.train_loss = train_loss
        self.test_loss = test_loss
        self.accuracy = accuracy
        self.n_train = history.n_train
        self.n_test = history.n_test
        self.seconds = seconds
        self.record = record or {}
        self.train_loss_divided = train_loss_divided

    @property
    def best(self):
        """Index of the epoch with the best accuracy on the test images, the first of equals."""
        return int(np.argmax(np.where(np.isnan(self.accuracy), -1, self.accuracy)))

    @property
    def remarks(self):
        """List of str: why the result is not to be held against the article's."""
        found = []
        if self.entry is None:
            return ['the log is of a model that is not in the catalog']
        if self.options is None:
            found.append('the log does not say the options')
        else:
            other = [
                f'{name}={self.options[name]}'
                for name, value in self.entry.complete({}).items()
                if self.options[name] != value
            ]
            if other:
                found.append('other options than the article: ' + ', '.join(other))
        if self.epochs[-1] < self.entry.recipe.epochs:
            found.append(f'{self.epochs[-1]} of {self.entry.recipe.epochs} epochs')
        if (self.n_train, self.n_test) != (50000, 10000):
            found.append(
                f'{self.n_train:,} of 50,000 training and {self.n_test:,} of 10,000 test images'
            )
        return found


def read_all(texts):
    """Return the :class:`Run` of each command-line argument, with labels that differ."""
    runs = [read(text) for text in texts]
    for run in runs:
        if run.original:
            run.label += ' (original)'
    for label in {run.label for run in runs}:
        same = [run for run in runs if run.label == label]
        if len(same) > 1:
            for number, run in enumerate(same, 1):
                run.label = f'{label} #{number}'
    return runs


def read(text):
    """Read a run.

    Args:
        text (str): a folder of this project, or a log.json of the original. A log does not say the
            options and the parts of a batch; they can be written behind it: ``log.json:C=2,d=4``,
            and ``divide=4`` for the parts.

    Returns:
        Run: what it reached, epoch for epoch.

    Raises:
        UserError: there is no such run, or its files make no sense.
    """
    path, given = _split(text)
    if path.is_dir() and (path / 'arguments.json').exists():
        if given:
            raise UserError(f'{text}: a folder has its options in arguments.json')
        return _ours(path)
    if path.is_dir():
        if not (path / 'log.json').exists():
            raise UserError(
                f'{path} is no run: a folder with arguments.json and log, or a log.json of '
                'the original, is expected'
            )
        path = path / 'log.json'
    return _originals(path, given)


def _split(text):
    """Return the path and the options written behind it."""
    if not pathlib.Path(text).exists() and ':' in text and '=' in text.rsplit(':', 1)[1]:
        text, options = text.rsplit(':', 1)
        pairs = [pair.split('=', 1) for pair in options.split(',')]
        try:
            return pathlib.Path(text), {name.strip(): int(value) for name, value in pairs}
        except ValueError as error:
            raise UserError(
                f'{text}: options are written as C=2,d=4 with whole numbers, not {options}'
            ) from error
    return pathlib.Path(text), {}


def _json(path):
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged: {error}') from error


def _ours(folder):
    record = _json(folder / 'arguments.json')
    log = _json(folder / 'log')
    history = Log.load(folder / 'log.json').history()
    try:
        entry = catalog.entry(record['model'])
        options = entry.complete(record['options'])
        if not log:
            raise UserError(f'{folder} has no finished epoch yet')
        columns = [
            np.array([float(epoch[key]) for epoch in log])
            for key in (
                'epoch',
                'main/loss',
                'validation/main/loss',
                'validation/main/accuracy',
                'elapsed_time',
            )
        ]
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f'{folder} is no run of this project, or damaged: {error} is missing or no number in '
            'arguments.json or log'
        ) from error
    epochs, train_loss, test_loss, accuracy, seconds = columns
    return Run(
        folder,
        False,
        entry,
        options,
        epochs.astype(int),
        train_loss,
        test_loss,
        100 * accuracy,
        history,
        seconds[-1],
        record,
    )


def _originals(path, given):
    history = Log.load(path).history()
    if not len(history.accuracy):
        raise UserError(f'{path} has no finished epoch yet')
    divide = given.pop('divide', None)
    entry = options = None
    if history.model_name is not None:
        entry = catalog.entry(history.model_name)
        if given or not entry.options:
            options = entry.complete(given)
    elif given:
        raise UserError(f'{path}: options {given}, but the log does not say of which model')
    return Run(
        path,
        True,
        entry,
        options,
        np.arange(1, len(history.accuracy) + 1),
        history.train_loss * (divide or 1),
        history.test_loss,
        100 * history.accuracy,
        history,
        train_loss_divided=divide is None,
    )
