"""What every test starts with."""
import pathlib

import chainer_zoo  # NOQA: lends Chainer what it misses, before any test imports it
import pytest


@pytest.fixture(scope='session')
def shared():
    """The folder with the original's runs and real pictures, where it stands beside the project."""
    folder = pathlib.Path(__file__).resolve().parents[2] / 'shared'
    if not folder.is_dir():
        pytest.skip('needs ../shared beside the project: the original run and real pictures')
    return folder
