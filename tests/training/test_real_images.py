"""A network learns real images."""

import json
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_small_wide_resnet_learns_cifar10_to_35_percent(cifar10_folder, tmp_path):
    script = pathlib.Path(__file__).parents[2] / 'train_cifar10.py'
    subprocess.run(
        [
            sys.executable,
            str(script),
            '--model',
            'wide_resnet',
            '--depth',
            '16',
            '--k',
            '1',
            '-b',
            '64',
            '-trb',
            '1',
            '-teb',
            '1',
            '--limit_test',
            '1000',
            '--iterations',
            '300',
            '--data',
            str(cifar10_folder),
            '-p',
            str(tmp_path / 'out'),
        ],
        check=True,
    )
    (record,) = json.loads((tmp_path / 'out' / 'log').read_text())
    assert record['validation/main/accuracy'] >= 0.35  # on JPEG-stored images
