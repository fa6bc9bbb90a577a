"""A whole training run, from its arguments to its files."""

import contextlib
import json
import os
import shlex
import sys

import chainer
import filelock
import numpy as np
from chainer import training
from chainer.training import extensions as chainer_extensions

from chainer_zoo import catalog
from chainer_zoo import initializers
from chainer_zoo.commands.flags import options_of
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sampler import RandomBatches
from chainer_zoo.data.sources import read
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.files import remove_parts
from chainer_zoo.files import write_whole
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.legacy.log import Log
from chainer_zoo.training import extensions
from chainer_zoo.training import record
from chainer_zoo.training import snapshots
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.updater import epoch_of
from chainer_zoo.training.updater import SplitBatchUpdater


def run(args, command):
    """Train as ``args`` say, and leave models, logs, plots and snapshots in ``args.out``.

    Args:
        args (argparse.Namespace): see :mod:`chainer_zoo.commands.flags`.
        command (list of str): the command line, to say how to resume.

    Returns:
        int: the exit status: 0 when done, 130 when stopped by Ctrl-C.

    Raises:
        UserError: anything that whoever runs it can mend.
    """
    entry = catalog.entry(args.model)
    options = options_of(args, entry)
    _check(args)
    device = devices.find(args.gpu)
    engine = devices.choose_engine(args.cpu, args.gpu)
    with _folder(args.out):
        state = _resumed(args)
        data = read(args.dataset, args.data, args.limit_train, args.limit_test)
        options = dict(options, n_class=_n_class(args, data))
        this = record.make(args, entry, options, data.source, engine)
        if state is not None:
            record.must_match(snapshots.record_of(state), this)
        with chainer.using_config(
            'dtype', chainer.mixed16 if args.dtype == 'mixed16' else np.float32
        ):
            trainer, stop = _trainer(args, entry, options, data, device, this, state is not None)
            if state is not None:
                snapshots.load(state, trainer)
            return _train(args, trainer, stop, this, command)


def _check(args):
    """Refuse values that do not go together, before any work."""
    for flag, divide in (('-trb', args.train_batch_divide), ('-teb', args.test_batch_divide)):
        if args.batch % divide:
            raise UserError(
                '{} {} does not divide a batch of {}: take one of {}'.format(
                    flag,
                    divide,
                    args.batch,
                    ', '.join(str(n) for n in range(1, args.batch + 1) if args.batch % n == 0),
                )
            )
    if args.start_epoch > args.epoch:
        raise UserError(f'-s {args.start_epoch} is behind the last epoch, -e {args.epoch}')
    if args.resume is not None and args.load_model is not None:
        raise UserError('--resume brings its own weights: leave out -m')
    if args.load_optimizer is not None:
        print(f'-o {args.load_optimizer} is not read: the original accepts it and never reads it')


@contextlib.contextmanager
def _folder(out):
    """Make the run's folder, and hold its lock while the run lasts."""
    try:
        os.makedirs(os.path.join(out, 'model'), exist_ok=True)
        lock = filelock.FileLock(os.path.join(out, '.lock'))
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        raise UserError(f'{out} is in use by {_owner(out)}: take another folder (--out)') from e
    except OSError as e:
        raise UserError(
            f'cannot write into {out}: {e.strerror or e}; take another folder (--out)'
        ) from e
    try:
        with write_whole(os.path.join(out, '.owner')) as f:
            f.write(f'process {os.getpid()}'.encode())
        for folder in (out, os.path.join(out, 'model')):
            remove_parts(folder)
        yield
    finally:
        lock.release()


def _owner(out):
    """Return who holds the folder's lock, as far as is known."""
    try:
        with open(os.path.join(out, '.owner')) as f:
            return f.read()
    except OSError:
        return 'another process'


def _resumed(args):
    """Return the arrays of the snapshot to resume from, or None for a fresh start."""
    found = snapshots.all_in(args.out)
    if args.resume is None:
        if found:
            raise UserError(
                f'{args.out} holds a run already: go on with it by --resume, or take another '
                'folder (--out)'
            )
        return None
    if args.resume == '':
        if not found:
            # a run killed before its first snapshot has nothing to go on from but the seed
            print(f'{args.out} has no snapshot yet: starting from the beginning')
            return None
        args.resume = found[0]
    return snapshots.read(args.resume)


def _n_class(args, data):
    """Return the number of classes: asked for, or the data's."""
    n_class = getattr(args, 'n_class', len(data.label_names))
    if n_class < len(data.label_names):
        raise UserError(
            f'--n_class {n_class} is less than the {len(data.label_names)} classes of the data'
        )
    return n_class


def _trainer(args, entry, options, data, device, this, resumed):
    """Put model, optimizer, data and extensions together."""
    np.random.seed(args.seed)
    noise.generator.seed(args.seed)
    rng = np.random.RandomState(args.seed + 1)  # apart from the weights' generator
    with initializers.unfilled() if resumed or args.load_model else contextlib.nullcontext():
        model = entry.build(**options)
    if args.load_model:
        model_file.load(args.load_model, model)
    model.to_device(device)
    images = ImagePipeline(
        entry.image_class(options), dtype=chainer.get_dtype(map_mixed16=np.float16)
    )
    iterator = RandomBatches(len(data.train_x), args.batch, np.random.RandomState(args.seed + 2))
    per_epoch = len(data.train_x) // args.batch
    iterator.iteration = (args.start_epoch - 1) * per_epoch
    mixed16 = args.dtype == 'mixed16'
    optimizer = make_optimizer(entry.recipe, model, args.lr, mixed16)
    updater = SplitBatchUpdater(
        iterator,
        optimizer,
        device.send(data.train_x),
        device.send(data.train_y),
        images,
        rng,
        args.train_batch_divide,
    )
    total = (args.epoch - args.start_epoch + 1) * per_epoch
    if args.iterations is not None:
        total = min(total, args.iterations)
    label_names = data.label_names + tuple(
        f'class {i}' for i in range(len(data.label_names), options['n_class'])
    )
    stop = extensions.Stop(
        args.epoch, args.iterations, None if args.minutes is None else 60 * args.minutes
    )
    end = stop.end_of_epoch
    trainer = training.Trainer(updater, stop, args.out)
    evaluation = extensions.Evaluation(
        device.send(data.test_x),
        data.test_y,
        images,
        args.batch // args.test_batch_divide,
        label_names,
    )
    log_report = chainer_extensions.LogReport(
        trigger=end, filename=None, postprocess=lambda stats: stats.update(epoch=epoch_of(updater))
    )
    legacy_log = (
        Log.load(args.load_log)
        if args.load_log
        else Log(range(options['n_class']), data.train_y, data.test_y, f'{entry.name}{options}')
    )
    legacy_log.must_count(options['n_class'], len(data.train_y), len(data.test_y))
    trainer.extend(extensions.ReportRate())
    trainer.extend(evaluation, trigger=end)
    trainer.extend(log_report)
    trainer.extend(extensions.Rate(entry.recipe, args.lr), trigger=(1, 'epoch'))
    trainer.extend(
        extensions.RunLog(log_report, legacy_log, evaluation, args.train_batch_divide), trigger=end
    )
    trainer.extend(
        extensions.SaveModels(
            os.path.join(args.out, 'model'),
            lambda epoch: entry.model_file(options, epoch),
            evaluation,
            args.keep,
        ),
        trigger=end,
    )
    trainer.extend(extensions.RandomState(rng))
    if mixed16:
        trainer.extend(extensions.Mixed16State(optimizer))
    trainer.extend(extensions.Progress(total, label_names, stop.seconds))
    trainer.extend(extensions.Snapshots(this, stop, args.snapshot_every, args.keep))
    return trainer, stop


def _train(args, trainer, stop, this, command):
    """Run the trainer and say what came of it."""
    with write_whole(os.path.join(args.out, 'arguments.json')) as f:
        f.write(json.dumps(this, indent=4, sort_keys=True).encode())
    # What overflows shows in the loss, where it becomes one line; NumPy need not warn as well.
    with stop.listening(), np.errstate(over='ignore', invalid='ignore'):
        trainer.run(show_loop_exception_msg=False)
    if stop.saved:
        again = [word for word in command if word != '--resume'] + ['--resume']
        print(
            'stopped after update {}; go on with: python train_cifar10.py {}'.format(
                trainer.updater.iteration, ' '.join(shlex.quote(word) for word in again)
            )
        )
        return 130
    log = trainer.get_extension('LogReport').log
    if log:
        print(
            'test accuracy {:.2%} after epoch {} on {}; plots: {} and {}'.format(
                log[-1]['validation/main/accuracy'],
                log[-1]['epoch'],
                this['data'],
                os.path.join(args.out, 'loss.png'),
                os.path.join(args.out, 'accuracy.png'),
            )
        )
    sys.stdout.flush()
    return 0
