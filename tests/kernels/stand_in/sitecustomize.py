"""A Python that starts with this folder in PYTHONPATH finds a GPU made of NumPy.

Its kernels are compiled into the folder that CHAINER_ZOO_KERNELS names.
"""

import os
import pathlib
import sys

_HERE = pathlib.Path(__file__).resolve()
for _folder in (_HERE.parents[3], _HERE.parents[1]):
    sys.path.insert(0, str(_folder))

import chainer_zoo  # noqa: F401  # before Chainer

# isort: split
import fake_gpu

_gpu = fake_gpu.installed(pathlib.Path(os.environ['CHAINER_ZOO_KERNELS']))
_gpu.__enter__()  # for as long as the process lasts
