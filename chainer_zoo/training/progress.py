"""What a run shows while it goes on."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import tqdm
from chainer import training
from chainer.training import extension

from chainer_zoo.training.updater import epoch_of


class Progress(extension.Extension):
    """A bar with loss, learning rate, images a second and time left; lines without a terminal.

    Args:
        total: updates in all.
        label_names: names of the classes.
        seconds: the run is cut short after so long, if not None.
        quiet_seconds: time between two lines where there is no terminal.
    """

    priority = 20
    trigger = (1, 'iteration')

    def __init__(
        self,
        total: int,
        label_names: Sequence[str],
        seconds: float | None = None,
        quiet_seconds: float = 30.0,
    ) -> None:
        self.total = total
        self.seconds = float('inf') if seconds is None else seconds
        self.label_names = label_names
        self.quiet_seconds = quiet_seconds
        self.bar: Any = None

    def initialize(self, trainer: training.Trainer) -> None:
        self.start = time.time()
        self.first = trainer.updater.iteration
        self.spoken = self.start
        if sys.stdout.isatty():
            self.bar = tqdm.tqdm(
                total=self.total,
                initial=self.first,
                unit='update',
                file=sys.stdout,
                dynamic_ncols=True,
                leave=False,
                bar_format='{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}',
            )

    def __call__(self, trainer: training.Trainer) -> None:
        updater = trainer.updater
        speed = (updater.iteration - self.first) / max(time.time() - self.start, 1e-9)
        left = min((self.total - updater.iteration) / speed, self.seconds - trainer.elapsed_time)
        numbers = (
            f'loss {float(trainer.observation["main/loss"]):.4f}  '
            f'lr {trainer.observation["lr"]:g}  '
            f'{speed * updater.get_iterator("main").batch_size:.1f} images/s  '
            f'{tqdm.tqdm.format_interval(max(left, 0))} left'
        )
        if self.bar is not None:
            self.bar.set_description(f'epoch {epoch_of(updater)}', refresh=False)
            self.bar.set_postfix_str(numbers, refresh=False)
            self.bar.update(updater.iteration - self.bar.n)
        elif time.time() - self.spoken >= self.quiet_seconds:
            self.spoken = time.time()
            print(f'epoch {epoch_of(updater)}  update {updater.iteration}  {numbers}', flush=True)
        if 'validation/main/loss' in trainer.observation:
            record = trainer.get_extension('LogReport').log[-1]
            tqdm.tqdm.write(summary(record, self.label_names), file=sys.stdout)
            sys.stdout.flush()

    def finalize(self) -> None:
        if self.bar is not None:
            self.bar.close()


def summary(record: dict[str, float], label_names: Sequence[str]) -> str:
    """Return what an epoch reached, in two lines.

    Args:
        record: the epoch's in Chainer's log.
        label_names: names of the classes.
    """
    classes = []
    for name in label_names:
        accuracy = record[f'validation/main/accuracy/{name}']
        classes.append(f'{name} -' if math.isnan(accuracy) else f'{name} {accuracy:.1%}')
    return (
        f'epoch {record["epoch"]}: train loss {record["main/loss"]:.4f}, '
        f'test loss {record["validation/main/loss"]:.4f}, '
        f'test accuracy {record["validation/main/accuracy"]:.2%}\n  {"  ".join(classes)}'
    )
