"""How this project's numbers are held against the original code's.

A golden file (JSON, and NPZ for logits) holds what the original computes on Chainer 1.24, in
float32 on a CPU: every array's path and shape, the count of weights, and, from weights and images
that :func:`fill` and :func:`batch` make out of a seed, logits, gradients, running statistics and
the losses of three updates, with all noise off.

In float32 some networks amplify rounding so far that the original misses itself when only the
number of threads changes. So beside each file there is what the original computes with the same
numbers cast to float64, which decides. (There the running variance lacks the eps that Chainer 1.24
adds to it on a CPU, but not on a GPU, where the article's networks were trained.)
"""

import csv
import json
import pathlib
import zlib

import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import parameters
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


def fill(path, shape, seed):
    """Return the array that the golden files put at ``path``.

    Args:
        path (str): the array's path in the original's npz, as ``conv/W``.
        shape (tuple of ints): its shape.
        seed (int): gives other values for each path and seed.

    Returns:
        numpy.ndarray: float32, of ``shape``.
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


def batch(seed, n, size):
    """Return ``n`` random images and labels: float32 (n, 3, size, size), int32 (n,)."""
    rng = np.random.RandomState(1000 + seed)
    return (
        rng.standard_normal((n, 3, size, size)).astype(np.float32),
        rng.randint(0, 10, n).astype(np.int32),
    )


def fill_model(model, seed=0, **fixed):
    """Give every array of ``model`` the golden files' values.

    Args:
        model (chainer.Chain): the model.
        seed (int): see :func:`fill`.
        fixed: values for all arrays with that last part of the path, as ``avg_mean=0``.
    """
    for path, array in parameters.arrays(model).items():
        leaf = path.rsplit('/', 1)[-1]
        value = fixed[leaf] if leaf in fixed else fill(path, array.shape, seed)
        array[...] = model.xp.asarray(value, dtype=array.dtype)


class Golden:
    """What the original computes for one model and one choice of options.

    Args:
        path (pathlib.Path): the JSON file ``NAME.json`` or ``NAME-anything.json``; the NPZ file of
            the same stem and ``rates.csv`` stand beside it.

    Attributes:
        name: the model.
        options: the model's options.
        numbers: the JSON file's content.
        logits: the NPZ file's content, or None where the file only has shapes.
        rate: learning rate of the three updates, or None.
        figure: the published figure that the code belongs to; None for the original's last state.
        float64: what the original computes in float64, or None: ``test_logits`` and
            ``train_logits`` (B, n_class), ``train_losses`` (3,), and for ``grads``, ``bn_after`` and
            ``params_after_3_updates`` L2 norm and sum of each array, in the order of sorted paths.
    """

    def __init__(self, path):
        path = pathlib.Path(path)
        self.case = path.stem
        self.name = path.stem.split('-')[0]
        self.numbers = json.loads(path.read_text())
        self.options = self.numbers['args']
        self.figure = self.numbers.get('figure')
        npz = path.with_suffix('.npz')
        self.logits = dict(np.load(str(npz))) if npz.exists() else None
        npz = path.parent / 'float64' / npz.name
        self.float64 = dict(np.load(str(npz))) if npz.exists() else None
        with open(str(path.with_name('rates.csv'))) as f:
            rates = {
                row['name']: float(row['optimizer_rate_for_the_three_updates'])
                for row in csv.DictReader(f)
            }
        self.rate = rates.get(self.case)

    @property
    def entry(self):
        return catalog.entry(self.name)

    @property
    def recipe(self):
        """How the three updates are made."""
        if self.figure is None:
            return self.entry.recipe
        return self.entry.result(self.figure).of(self.entry.recipe)

    def build(self):
        """Return the model, with one deterministic pass at test where it could make several."""
        options = dict(self.options)
        if self.entry.averaged_by is not None:
            options[self.entry.averaged_by] = False
        return self.entry.build(**options)


def _sums(array):
    """L2 norm and sum, in float64; 0 for None, the gradient of what is never used."""
    if array is None:
        return np.zeros(2)
    array = chainer.cuda.to_cpu(array).astype(np.float64)
    return np.array([np.sqrt((array**2).sum()), array.sum()])


def to_float64(model):
    """Cast a model's parameters and running statistics to float64, in place."""
    for param in model.params():
        param.array = param.array.astype(np.float64)
    for link in model.links():
        for name in link._persistent:
            if name != 'N':
                setattr(link, name, getattr(link, name).astype(np.float64))


def measure(golden, model, updates=True):
    """Compute with a model what a golden file holds.

    Args:
        golden (Golden): says with which images, and how to update.
        model (chainer.Chain): the model, on any device, of float32 or float64.
        updates (bool): whether to make the three updates too.

    Returns:
        dict: ``test_logits``, ``train_logits`` and ``train_losses``, NumPy arrays; ``grads``,
        ``bn_after`` and ``params_after_3_updates``, dicts of (L2 norm, sum) by path.
    """
    numbers = golden.numbers
    fill_model(model)
    x, t = batch(numbers['input']['seed'], numbers['input']['n'], numbers['input']['size'])
    x = model.xp.asarray(x, next(model.params()).dtype)
    t = model.xp.asarray(t)
    found = {}
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        found['test_logits'] = chainer.cuda.to_cpu(model(x).array)
    with chainer.using_config('train', True), no_noise():
        model.cleargrads()
        y = model(x)
        found['train_logits'] = chainer.cuda.to_cpu(y.array)
        F.softmax_cross_entropy(y, t).backward()
        found['grads'] = {
            path.lstrip('/'): _sums(param.grad) for path, param in model.namedparams()
        }
        arrays = parameters.arrays(model)
        if numbers['bn_after']:
            found['bn_after'] = {path: _sums(arrays[path]) for path in numbers['bn_after']}
        if updates and golden.rate is not None:
            found['train_losses'] = three_updates(golden, model, x, t)
            found['params_after_3_updates'] = {
                path: _sums(array) for path, array in parameters.arrays(model).items()
            }
    return found


def _deviation(what, ours, theirs):
    """Return the largest deviation of a quantity; see :func:`check`."""
    if what.endswith('logits'):
        return np.abs(ours - theirs).max() / np.abs(theirs).max()
    if what == 'train_losses':
        return np.abs(ours / theirs - 1).max()
    largest = max(norm for norm, _ in theirs.values())
    floor = 0.01 * largest if what == 'grads' else 1e-30
    return max(abs(ours[path][0] - norm) / max(norm, floor) for path, (norm, _) in theirs.items())


def check(golden, model=None, updates=True):
    """Hold a model against what the original computes in float32.

    Args:
        golden (Golden): what the original computes.
        model (chainer.Chain): the model, on any device; built here if None.
        updates (bool): whether to make the three updates too.

    Returns:
        dict: the largest deviation by what is compared, each to be held against
        :data:`TOLERANCES`. ``test_logits`` and ``train_logits``: relative to the largest logit.
        ``grads``: L2 norms, relative to the parameter's own or 1% of the largest norm, whichever
        is larger. ``bn_after``: L2 norms of running statistics after one training pass.
        ``train_losses``: relative, before each of three updates. ``params_after_3_updates``: L2
        norms.
    """
    ours = measure(golden, golden.build() if model is None else model, updates)
    theirs = dict(golden.numbers, **golden.logits)
    theirs['train_losses'] = np.array(theirs['train_losses'])
    theirs['grads'] = {path: sums or (0.0, 0.0) for path, sums in theirs['grads'].items()}
    return {what: _deviation(what, ours[what], theirs[what]) for what in TOLERANCES if what in ours}


def check_float64(golden, updates=True):
    """Hold a model against what the original computes in float64.

    Args:
        golden (Golden): what the original computes; it has ``float64``.
        updates (bool): whether to make the three updates too.

    Returns:
        dict: as of :func:`check`.
    """
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


def three_updates(golden, model, x, t):
    """Make three updates from the golden weights, at the golden rate.

    Args:
        golden (Golden): what the original computes.
        model (chainer.Chain): the model; noise is off if the caller has switched it off.
        x (array): images (B, 3, H, W), of the model's dtype.
        t (array): int32 classes (B,).

    Returns:
        numpy.ndarray: float64 (3,), the loss before each update.
    """
    fill_model(model)
    optimizer = make_optimizer(golden.recipe, model)
    optimizer.lr = golden.rate
    losses = []
    for _ in range(3):
        model.cleargrads()
        loss = F.softmax_cross_entropy(model(x), t)
        losses.append(float(loss.array))
        loss.backward()
        optimizer.update()
    return np.array(losses)
