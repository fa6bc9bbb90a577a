"""How this project's numbers are compared with the original code's.

A golden file (JSON, and NPZ for logits) holds what the original computes on Chainer 1.24, in
float32 on a CPU: every array's path and shape, the count of weights, and, from weights and images
that :func:`fill` and :func:`batch` make from a seed, logits, gradients, running statistics and
the losses of three updates, with all noise off.

In float32 some networks amplify rounding so far that the original misses itself when only the
number of threads changes. So beside each file there is what the original computes with the same
numbers cast to float64, which decides. (There the running variance lacks the eps that Chainer 1.24
adds to it on a CPU, but not on a GPU, where the article's networks were trained.)
"""

from __future__ import annotations

import csv
import os
import pathlib
import zlib
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer.backends import cuda

from chainer_zoo import catalog
from chainer_zoo import parameters
from chainer_zoo import records
from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import Recipe
from chainer_zoo.errors import UserError
from chainer_zoo.functions.noise import no_noise
from chainer_zoo.training.optimizer import make_optimizer

#: The golden files of the models, which ``compare --original`` and the tests read.
FOLDER = pathlib.Path(__file__).parent / 'golden_files'

#: Largest deviations that count as equal, by what is compared (see :func:`check`).
TOLERANCES = {
    'test_logits': 1e-4,
    'train_logits': 1e-3,
    'grads': 3e-2,
    'bn_after': 1e-3,
    'train_losses': 2e-2,
    'params_after_3_updates': 2e-2,
}


def fill(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the array that the golden files put at ``path``.

    Args:
        path: the array's path in the original's npz, as ``conv/W``.
        shape: its shape.
        seed: gives other values for each path and seed.

    Returns:
        float32, of ``shape``.
    """
    rng = np.random.RandomState((zlib.crc32(path.encode()) + seed) % 2**32)
    leaf = path.rsplit('/', 1)[-1]
    if leaf == 'avg_var':
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    noise = rng.standard_normal(shape)
    if leaf == 'gamma':
        value = 1 + 0.1 * noise
    elif leaf in ('beta', 'b', 'avg_mean'):
        value = 0.1 * noise
    elif len(shape) >= 2 and np.prod(shape) > 1:
        value = noise * np.sqrt(2.0 / np.prod(shape[1:]))
    else:
        value = 0.25 + 0.05 * noise
    return np.asarray(value, dtype=np.float32)


def batch(seed: int, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` random images and labels: float32 (n, 3, size, size), int32 (n,)."""
    rng = np.random.RandomState(1000 + seed)
    return (
        rng.standard_normal((n, 3, size, size)).astype(np.float32),
        rng.randint(0, 10, n).astype(np.int32),
    )


def fill_model(model: chainer.Chain, seed: int = 0, **fixed: float) -> None:
    """Give every array of ``model`` the golden files' values.

    Args:
        model: the model.
        seed: see :func:`fill`.
        fixed: values for all arrays with that last part of the path, as ``avg_mean=0``.
    """
    for path, array in parameters.arrays(model).items():
        leaf = path.rsplit('/', 1)[-1]
        value = fixed[leaf] if leaf in fixed else fill(path, array.shape, seed)
        array[...] = model.xp.asarray(value, dtype=array.dtype)


class Golden:
    """What the original computes for one model and one choice of options.

    Args:
        path: the JSON file ``NAME.json`` or ``NAME-anything.json``; the NPZ file of the same stem
            and ``rates.csv`` are beside it.

    Attributes:
        case: the file's stem.
        name: the model.
        options: the model's options.
        numbers: the JSON file's content.
        logits: the NPZ file's content, or None where the file only has shapes.
        lr: learning rate of the three updates, or None.
        figure: the published figure that the code belongs to; None for the original's last state.
        float64: what the original computes in float64, or None: ``test_logits`` and
            ``train_logits`` (B, n_class), ``train_losses`` (3,), and for ``grads``, ``bn_after``
            and ``params_after_3_updates`` L2 norm and sum of each array, sorted by path.

    Raises:
        UserError: the files cannot be read or hold something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = pathlib.Path(path)
        self.case = path.stem
        self.name = path.stem.split('-')[0]
        self.numbers: dict[str, Any] = records.read(path)
        try:
            self.options: dict[str, Any] = self.numbers['args']
            self.figure: str | None = self.numbers.get('figure')
            self.logits = _arrays(path.with_suffix('.npz'))
            self.float64 = _arrays(path.parent / 'float64' / f'{path.stem}.npz')
            with open(path.with_name('rates.csv')) as f:
                rates = {
                    row['name']: float(row['optimizer_rate_for_the_three_updates'])
                    for row in csv.DictReader(f)
                }
        except Exception as error:  # what other files lead to: KeyError, TypeError, BadZipFile, ...
            raise UserError(
                f'{path} is no golden file, or not whole ({type(error).__name__}: {error})'
            ) from error
        self.lr = rates.get(self.case)

    @property
    def entry(self) -> Entry:
        """The model's row in the catalog."""
        return catalog.entry(self.name)

    @property
    def recipe(self) -> Recipe:
        """How the three updates are made."""
        if self.figure is None:
            return self.entry.recipe
        return self.entry.result(self.figure).of(self.entry.recipe)

    def build(self) -> chainer.Chain:
        """Return the model, with one deterministic pass at test where it could make several."""
        options = dict(self.options)
        if self.entry.averaged_by is not None:
            options[self.entry.averaged_by] = False
        return self.entry.build(**options)


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of an NPZ file, or None if there is none."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _sums(array: Any) -> np.ndarray:
    """Return L2 norm and sum, in float64; 0 for None, the gradient of what is never used."""
    if array is None:
        return np.zeros(2)
    array = cuda.to_cpu(array).astype(np.float64)
    return np.array([np.sqrt((array**2).sum()), array.sum()])


def to_float64(model: chainer.Chain) -> None:
    """Cast a model's parameters and running statistics to float64, in place."""
    param: Any
    for param in model.params():
        param.array = param.array.astype(np.float64)
    for link in model.links():
        for name in link._persistent:
            if name != 'N':
                setattr(link, name, getattr(link, name).astype(np.float64))


def measure(golden: Golden, model: chainer.Chain, updates: bool = True) -> dict[str, Any]:
    """Compute with a model what a golden file holds.

    Args:
        golden: says with which images, and how to update.
        model: the model, on any device, of float32 or float64.
        updates: whether to make the three updates too.

    Returns:
        ``test_logits``, ``train_logits`` and ``train_losses``, NumPy arrays; ``grads``,
        ``bn_after`` and ``params_after_3_updates``, dicts of (L2 norm, sum) by path.
    """
    numbers = golden.numbers
    fill_model(model)
    x, t = batch(numbers['input']['seed'], numbers['input']['n'], numbers['input']['size'])
    x = model.xp.asarray(x, next(model.params()).dtype)
    t = model.xp.asarray(t)
    found: dict[str, Any] = {}
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        found['test_logits'] = cuda.to_cpu(model(x).array)
    with chainer.using_config('train', True), no_noise():
        model.cleargrads()
        y = model(x)
        found['train_logits'] = cuda.to_cpu(y.array)
        F.softmax_cross_entropy(y, t).backward()
        found['grads'] = {
            path.lstrip('/'): _sums(param.grad) for path, param in model.namedparams()
        }
        arrays = parameters.arrays(model)
        if numbers['bn_after']:
            found['bn_after'] = {path: _sums(arrays[path]) for path in numbers['bn_after']}
        if updates and golden.lr is not None:
            found['train_losses'] = three_updates(golden, model, x, t)
            found['params_after_3_updates'] = {
                path: _sums(array) for path, array in parameters.arrays(model).items()
            }
    return found


def _deviation(what: str, ours: Any, theirs: Any) -> float:
    """Return the largest deviation of a quantity; see :func:`check`."""
    if what.endswith('logits'):
        return np.abs(ours - theirs).max() / np.abs(theirs).max()
    if what == 'train_losses':
        return np.abs(ours / theirs - 1).max()
    largest = max(norm for norm, _ in theirs.values())
    floor = 0.01 * largest if what == 'grads' else 1e-30
    return max(abs(ours[path][0] - norm) / max(norm, floor) for path, (norm, _) in theirs.items())


def check(
    golden: Golden, model: chainer.Chain | None = None, updates: bool = True
) -> dict[str, float]:
    """Compare a model with what the original computes in float32.

    Args:
        golden: what the original computes; it has logits.
        model: the model, on any device; built here if None.
        updates: whether to make the three updates too.

    Returns:
        The largest deviation by what is compared, each of which :data:`TOLERANCES` bounds.
        ``test_logits`` and ``train_logits``: relative to the largest logit.
        ``grads``: L2 norms, relative to the parameter's own or 1% of the largest norm, whichever
        is larger. ``bn_after``: L2 norms of running statistics after one training pass.
        ``train_losses``: relative, before each of three updates. ``params_after_3_updates``: L2
        norms.
    """
    ours = measure(golden, golden.build() if model is None else model, updates)
    theirs = {**golden.numbers, **(golden.logits or {})}
    theirs['train_losses'] = np.array(theirs['train_losses'])
    theirs['grads'] = {path: sums or (0.0, 0.0) for path, sums in theirs['grads'].items()}
    return {what: _deviation(what, ours[what], theirs[what]) for what in TOLERANCES if what in ours}


def check_float64(golden: Golden, updates: bool = True) -> dict[str, float]:
    """Compare a model with what the original computes in float64.

    Args:
        golden: what the original computes; it has ``float64``.
        updates: whether to make the three updates too.

    Returns:
        As of :func:`check`.
    """
    assert golden.float64 is not None
    model = golden.build()
    to_float64(model)
    ours = measure(golden, model, updates)
    theirs = {
        what: dict(zip(sorted(ours[what]), golden.float64[what]))
        if isinstance(ours[what], dict)
        else golden.float64[what]
        for what in ours
    }
    return {what: _deviation(what, ours[what], theirs[what]) for what in TOLERANCES if what in ours}


def three_updates(golden: Golden, model: chainer.Chain, x: Any, t: Any) -> np.ndarray:
    """Make three updates from the golden weights, at the golden learning rate.

    Args:
        golden: what the original computes.
        model: the model; noise is off if the caller has switched it off.
        x: images (B, 3, H, W), of the model's dtype.
        t: int32 classes (B,).

    Returns:
        float64 (3,), the loss before each update.
    """
    fill_model(model)
    optimizer: Any = make_optimizer(golden.recipe, model)
    optimizer.lr = golden.lr
    losses = []
    for _ in range(3):
        model.cleargrads()
        loss = F.softmax_cross_entropy(model(x), t)
        losses.append(float(loss.array))
        loss.backward()
        optimizer.update()
    return np.array(losses)
