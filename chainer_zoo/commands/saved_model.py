"""Loading the saved model that a command line names."""

from __future__ import annotations

import argparse

import chainer

from chainer_zoo import initializers
from chainer_zoo.commands import flags
from chainer_zoo.engines import devices
from chainer_zoo.files import open_regular
from chainer_zoo.legacy import model_file


def check(args: argparse.Namespace) -> None:
    """Check what can be checked before any data is read, or fetched from the network.

    Args:
        args: has ``entry`` and what :func:`flags.add_model`, :func:`flags.add_load_model` and
            :func:`flags.add_device` add.

    Raises:
        UserError: an option or the device makes no sense, or there is no such file.
    """
    flags.options_of(args, args.entry)
    if args.gpu >= 0:
        devices.must_exist(args.gpu)
    open_regular(args.load_model).close()


def load(args: argparse.Namespace, n_class: int) -> tuple[dict, chainer.Chain]:
    """Load the saved model onto its device, and choose what computes.

    Args:
        args: see :func:`check`.
        n_class: number of classes if ``--n_class`` is not given.

    Returns:
        All options, and the model.

    Raises:
        UserError: an option, the device or the file makes no sense.
    """
    check(args)
    options = flags.options_of(args, args.entry, n_class)
    device = devices.find(args.gpu)
    devices.choose_engine(args.cpu, args.gpu)
    with initializers.unfilled():  # the file has all values
        model = args.entry.build(**options)
    model_file.load(args.load_model, model)
    model.to_device(device)
    return options, model
