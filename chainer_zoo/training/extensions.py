"""What happens around the updates: rates, evaluation, files, progress, stopping."""

import contextlib
import json
import os
import signal
import sys
import threading
import time

import chainer
import numpy as np
import tqdm
from chainer import reporter
from chainer.training import extension

from chainer_zoo.data.sampler import serialize_rng
from chainer_zoo.files import write_whole
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.training import plots
from chainer_zoo.training import snapshots
from chainer_zoo.training.evaluation import evaluate
from chainer_zoo.training.optimizer import set_lr
from chainer_zoo.training.updater import epoch_of
from chainer_zoo.training.updater import weights_must_be_finite

#: The model that did best on the test images; choosing by them flatters it, hence the name.
BEST_MODEL = 'best-on-test.model'


class Stop:
    """Says when training is over, and turns Ctrl-C into an orderly end after the current update.

    Args:
        epochs (int): the last epoch.
        iterations (int): the last update, or None.
        seconds (float): the run is cut short after so long, if not None.

    Attributes:
        asked: whether a signal asked to stop.
        saved: whether that stop's snapshot is written.
    """

    def __init__(self, epochs, iterations=None, seconds=None):
        self.epochs = epochs
        self.iterations = iterations
        self.seconds = seconds
        self.asked = False
        self.saved = False
        self._cut = None

    def __call__(self, trainer):
        return (
            self.saved
            or trainer.updater.epoch >= self.epochs
            or trainer.updater.iteration > 0
            and self.cut_short(trainer)
        )

    def cut_short(self, trainer):
        """Return whether this update is the last although its epoch is not over.

        Whatever is asked several times after one update gets one answer, although time goes on.
        """
        iteration = trainer.updater.iteration
        if self._cut is None or self._cut[0] != iteration:
            self._cut = (
                iteration,
                (
                    self.iterations is not None
                    and iteration >= self.iterations
                    or self.seconds is not None
                    and trainer.elapsed_time >= self.seconds
                ),
            )
        return self._cut[1]

    def end_of_epoch(self, trainer):
        """A trigger: fires when an epoch is over, and when the run is cut short."""
        return trainer.updater.is_new_epoch or self.cut_short(trainer)

    @contextlib.contextmanager
    def listening(self):
        """Take Ctrl-C and SIGTERM as the wish to stop; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print('\nstopping after this update; once more to stop at once', file=sys.stderr)


class Rate(extension.Extension):
    """Sets the learning rate of the epoch to come.

    Args:
        recipe (chainer_zoo.catalog.Recipe): has the rates.
        lr (float): the rate to start from, if not the recipe's.
    """

    priority = 50

    def __init__(self, recipe, lr=None):
        self.recipe = recipe
        self.lr = lr

    def initialize(self, trainer):
        self(trainer)

    def __call__(self, trainer):
        optimizer = trainer.updater.get_optimizer('main')
        set_lr(optimizer, self.recipe, trainer.updater.epoch + 1, self.lr)


class ReportRate(extension.Extension):
    """Reports the learning rate that an update was made with."""

    priority = extension.PRIORITY_EDITOR
    trigger = (1, 'iteration')

    def __call__(self, trainer):
        reporter.report({'lr': trainer.updater.get_optimizer('main').lr})


class Evaluation(extension.Extension):
    """Tests the model and reports loss, accuracy and accuracy per class.

    Args:
        x, y: the test images and labels.
        images (chainer_zoo.data.images.ImagePipeline): prepares them.
        batch (int): images at a time, which bounds the memory.
        label_names (sequence of str): names of the model's classes.

    Attributes:
        last (chainer_zoo.training.evaluation.Evaluation): the newest result.
    """

    priority = extension.PRIORITY_WRITER

    def __init__(self, x, y, images, batch, label_names):
        self.x, self.y = x, y
        self.images = images
        self.batch = batch
        self.label_names = label_names
        self.last = None

    def __call__(self, trainer):
        weights_must_be_finite(trainer.updater)  # before anything is tested, logged or saved
        model = trainer.updater.get_optimizer('main').target
        self.last = evaluate(model, self.x, self.y, self.images, self.batch, len(self.label_names))
        reporter.report(
            {'validation/main/loss': self.last.loss, 'validation/main/accuracy': self.last.accuracy}
        )
        for name, accuracy in zip(self.label_names, self.last.per_class):
            reporter.report({'validation/main/accuracy/' + name: accuracy})


class RunLog(extension.Extension):
    """Writes Chainer's ``log``, the original's ``log.json`` and both plots after each epoch.

    Args:
        log_report (chainer.training.extensions.LogReport): collects the numbers.
        legacy_log (chainer_zoo.legacy.log.Log): the original's records.
        evaluation (Evaluation): has the newest confusion matrix.
        divide (int): parts a batch was split into.
    """

    priority = 40

    def __init__(self, log_report, legacy_log, evaluation, divide):
        self.log_report = log_report
        self.legacy_log = legacy_log
        self.evaluation = evaluation
        self.divide = divide

    def __call__(self, trainer):
        log = self.log_report.log
        updates = log[-1]['iteration'] - (log[-2]['iteration'] if len(log) > 1 else 0)
        images = updates * trainer.updater.get_iterator('main').batch_size
        last = self.evaluation.last
        self.legacy_log.add_epoch(
            # as the original: what it sums has been divided by the number of parts
            log[-1]['main/loss'] * images / self.divide,
            last.loss * int(last.confusion.sum()),
            last.confusion,
        )
        with write_whole(os.path.join(trainer.out, 'log')) as f:
            f.write(json.dumps(log, indent=4).encode())
        self.legacy_log.save(os.path.join(trainer.out, 'log.json'))
        plots.save(log, trainer.out)

    def serialize(self, serializer):
        records = serializer('records', json.dumps(self.legacy_log.records))
        self.legacy_log.records = json.loads(str(records))


class SaveModels(extension.Extension):
    """Saves the model after each epoch under the original's name, and the best one so far.

    Args:
        folder (str): where to.
        name_of (callable): gives the file name for an epoch.
        evaluation (Evaluation): has the newest accuracy.
        keep (int): how many to keep, beside the best.
    """

    priority = 30

    def __init__(self, folder, name_of, evaluation, keep):
        self.folder = folder
        self.name_of = name_of
        self.evaluation = evaluation
        self.keep = keep
        self.best = -1.0
        self.saved = []

    def __call__(self, trainer):
        model = trainer.updater.get_optimizer('main').target
        name = self.name_of(epoch_of(trainer.updater))
        model_file.save(os.path.join(self.folder, name), model)
        if self.evaluation.last.accuracy > self.best:
            self.best = self.evaluation.last.accuracy
            model_file.save(os.path.join(self.folder, BEST_MODEL), model)
        self.saved = [old for old in self.saved if old != name] + [name]
        for old in self.saved[: -self.keep]:
            path = os.path.join(self.folder, old)
            if os.path.exists(path):
                os.unlink(path)
        self.saved = self.saved[-self.keep :]

    def serialize(self, serializer):
        self.best = serializer('best', self.best)
        self.saved = json.loads(str(serializer('saved', json.dumps(self.saved))))


class RandomState(extension.Extension):
    """Carries the random generators into snapshots and back.

    Args:
        rng (numpy.random.RandomState): draws sizes, crops and flips of images.
    """

    trigger = (1, 'epoch')

    def __init__(self, rng):
        self.rng = rng

    def __call__(self, trainer):
        """Do nothing: this is here for its state."""

    def serialize(self, serializer):
        noise.generator.serialize(serializer['noise'])
        for name, rng in (('images', self.rng), ('numpy', np.random.mtrand._rand)):
            serialize_rng(serializer[name], rng)


class Mixed16State(extension.Extension):
    """Carries what Chainer leaves out of snapshots: float32 parameters and the loss scale.

    Args:
        optimizer (chainer.Optimizer): updates float16 parameters in float32.
    """

    trigger = (1, 'epoch')

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def __call__(self, trainer):
        """Do nothing: this is here for its state."""

    def serialize(self, serializer):
        optimizer = self.optimizer
        optimizer._loss_scale = float(serializer('loss_scale', float(optimizer._loss_scale)))
        optimizer._loss_scaling_isnan_ever = bool(
            serializer('was_too_large', int(optimizer._loss_scaling_isnan_ever))
        )
        for path, param in optimizer.target.namedparams():
            if param.dtype != np.float16:
                continue
            # Chainer makes them at the first update, out of the float16 ones
            master = param.update_rule._fp32_param
            if master is None:
                master = chainer.Parameter(param.array.astype(np.float32), name=param.name)
                param.update_rule._fp32_param = master
            serializer(path, master.array)


class Snapshots(extension.Extension):
    """Writes a snapshot at each epoch's end, every so many updates if asked, and when stopped.

    Args:
        record (dict): what identifies the run.
        stop (Stop): knows whether a stop was asked for.
        every (int): updates between snapshots, or 0 for epochs only.
        keep (int): how many to keep.
    """

    priority = -100

    def __init__(self, record, stop, every, keep):
        self.record = record
        self.stop = stop
        self.every = every
        self.keep = keep
        self.trigger = self._due

    def _due(self, trainer):
        return (
            self.stop.asked
            or self.stop.end_of_epoch(trainer)
            or bool(self.every)
            and trainer.updater.iteration % self.every == 0
        )

    def __call__(self, trainer):
        stopping = self.stop.asked  # before writing: a signal may come in between
        weights_must_be_finite(trainer.updater)
        snapshots.save(
            snapshots.path_of(trainer.out, trainer.updater.iteration), trainer, self.record
        )
        snapshots.keep_newest(trainer.out, self.keep)
        if stopping:
            self.stop.saved = True


class Progress(extension.Extension):
    """A bar with loss, rate, images a second and time left; plain lines where there is no terminal.

    Args:
        total (int): updates in all.
        label_names (sequence of str): names of the classes.
        seconds (float): the run is cut short after so long, if not None.
        quiet_seconds (float): time between two plain lines.
    """

    priority = 20
    trigger = (1, 'iteration')

    def __init__(self, total, label_names, seconds=None, quiet_seconds=30.0):
        self.total = total
        self.seconds = float('inf') if seconds is None else seconds
        self.label_names = label_names
        self.quiet_seconds = quiet_seconds
        self.terminal = sys.stdout.isatty()
        self.bar = None

    def initialize(self, trainer):
        self.start = time.time()
        self.first = trainer.updater.iteration
        self.spoken = self.start
        if self.terminal:
            self.bar = tqdm.tqdm(
                total=self.total,
                initial=self.first,
                unit='update',
                file=sys.stdout,
                dynamic_ncols=True,
                leave=False,
                bar_format='{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}',
            )

    def __call__(self, trainer):
        updater = trainer.updater
        speed = (updater.iteration - self.first) / max(time.time() - self.start, 1e-9)
        left = min((self.total - updater.iteration) / speed, self.seconds - trainer.elapsed_time)
        numbers = 'loss {:.4f}  rate {:g}  {:.1f} images/s  {} left'.format(
            float(trainer.observation['main/loss']),
            trainer.observation['lr'],
            speed * updater.get_iterator('main').batch_size,
            tqdm.tqdm.format_interval(max(left, 0)),
        )
        if self.bar is not None:
            self.bar.set_description(f'epoch {epoch_of(updater)}', refresh=False)
            self.bar.set_postfix_str(numbers, refresh=False)
            self.bar.update(updater.iteration - self.bar.n)
        elif time.time() - self.spoken >= self.quiet_seconds:
            self.spoken = time.time()
            print(f'epoch {epoch_of(updater)}  update {updater.iteration}  {numbers}', flush=True)
        if 'validation/main/loss' in trainer.observation:
            tqdm.tqdm.write(self._summary(trainer), file=sys.stdout)
            sys.stdout.flush()

    def _summary(self, trainer):
        record = trainer.get_extension('LogReport').log[-1]
        return '\n'.join(
            [
                'epoch {}: train loss {:.4f}, test loss {:.4f}, test accuracy {:.2%}'.format(
                    record['epoch'],
                    record['main/loss'],
                    record['validation/main/loss'],
                    record['validation/main/accuracy'],
                ),
                '  '
                + '  '.join(
                    '{} {:.1%}'.format(name, record['validation/main/accuracy/' + name])
                    for name in self.label_names
                ),
            ]
        )

    def finalize(self):
        if self.bar is not None:
            self.bar.close()
