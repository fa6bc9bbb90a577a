"""Refusing what the memory cannot hold, before it is computed."""

from __future__ import annotations

from typing import Any

from chainer_zoo import memory
from chainer_zoo.catalog import Entry
from chainer_zoo.engines import devices
from chainer_zoo.report import summary


def check_memory(
    entry: Entry, options: dict[str, Any], images: int, size: int, train: bool, gpu: int
) -> None:
    """Check that there is memory for some images at a time.

    Args:
        entry: the model's.
        options: completed options.
        images: how many are computed at a time.
        size: side of the images in pixels.
        train: whether it is for a step of training.
        gpu: number of the GPU; -1 is the CPU.

    Raises:
        UserError: there is not; the system may still stop what takes less than it estimates.
    """
    limit = memory.available() if gpu < 0 else devices.memory(gpu)
    budget = memory.Budget(f'{entry.name} with {images:,} images at a time', limit)
    budget.take(summary.least_bytes(entry, options, images, size, train))
