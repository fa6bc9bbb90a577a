"""Chainer and PyTorch on a GPU, for ``train_speed.py -g``.

Each contestant is a process of its own and has the GPU to itself, one after the other, so that one
that runs out of memory or breaks takes no other with it. The images lie in the GPU's memory
beforehand. A turn is as many steps as last a third of a second, timed from an idle GPU to an idle
GPU; the table has medians over the turns. cuDNN tries its ways to compute a convolution
beforehand, for both: Chainer's autotune, PyTorch's benchmark. Convolutions in float32 are
TensorFloat-32 where cuDNN prefers it, in both; other products are not. Memory is what the
framework's pool took from the GPU for training, at most.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import traceback

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir))

CONTESTANTS = ('chainer', 'chainer mixed16', 'torch', 'torch channels_last')
BATCH = {'squeezenet': 128}  # images of 128 x 128; the others have 32 x 32
LARGE_BATCH = 256
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4
WARM_UP, SECONDS_A_TURN = 3, 0.33
#: A contestant that takes longer hangs.
LIMIT = 120


class Chainer:
    """A model of ours on a GPU.

    Args:
        name (str): of the model.
        options (dict): its options.
        mixed16 (bool): as ``--dtype mixed16`` trains.
        x (numpy.ndarray): float32 images (B, 3, H, W).
        t (numpy.ndarray): classes (B,).
        gpu (int): number of the GPU.
    """

    def __init__(self, name, options, mixed16, x, t, gpu):
        import chainer

        import chainer_zoo
        from chainer_zoo.engines import devices

        self.chainer = chainer
        self.device = devices.find(gpu)
        devices.prepare_gpu()
        np.random.seed(0)
        chainer.global_config.dtype = chainer.mixed16 if mixed16 else np.dtype(np.float32)
        self.model = chainer_zoo.build(name, **options)
        self.model.to_device(self.device)
        self.x = self.device.send(x.astype(chainer.get_dtype(map_mixed16=np.float16)))
        self.t = self.device.send(t.astype(np.int32))
        self.optimizer = chainer.optimizers.MomentumSGD(LEARNING_RATE, MOMENTUM)
        if mixed16:
            self.optimizer.use_fp32_update()
        self.optimizer.setup(self.model)
        if mixed16:
            self.optimizer.loss_scaling()
        self.optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(WEIGHT_DECAY))

    def train(self):
        loss = self.chainer.functions.softmax_cross_entropy(self.model(self.x), self.t)
        self.model.cleargrads()
        loss.backward(loss_scale=self.optimizer._loss_scale)
        del loss
        self.optimizer.update()

    def evaluate(self):
        with self.chainer.using_config('train', False), self.chainer.no_backprop_mode():
            self.model(self.x)

    def wait(self):
        self.device.device.synchronize()

    def forget_memory(self):
        """Give back what only the first steps needed, cuDNN's tries among it."""
        self.chainer.backends.cuda.memory_pool.free_all_blocks()

    def memory(self):
        return self.chainer.backends.cuda.memory_pool.total_bytes()


class Torch:
    """Its twin in PyTorch; arguments as for :class:`Chainer`."""

    def __init__(self, name, options, channels_last, x, t, gpu):
        import torch
        import twins

        self.torch = torch
        torch.cuda.set_device(gpu)
        torch.backends.cudnn.benchmark = True
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = twins.MODELS[name](**options).cuda().to(memory_format=layout)
        self.x = torch.from_numpy(x).cuda().contiguous(memory_format=layout)
        self.t = torch.from_numpy(t).cuda()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, fused=True
        )

    def train(self):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.torch.nn.functional.cross_entropy(self.model(self.x), self.t).backward()
        self.optimizer.step()

    def evaluate(self):
        self.model.eval()
        with self.torch.inference_mode():
            self.model(self.x)

    def wait(self):
        self.torch.cuda.synchronize()

    def forget_memory(self):
        self.torch.cuda.empty_cache()
        self.torch.cuda.reset_peak_memory_stats()

    def memory(self):
        return self.torch.cuda.max_memory_reserved()


def contestant(which, name, options, x, t, gpu):
    """Return a contestant, one of :data:`CONTESTANTS`."""
    kind = Chainer if which.startswith('chainer') else Torch
    return kind(name, options, which not in ('chainer', 'torch'), x, t, gpu)


def seconds_of(step, wait, turns):
    """Return the median of a step's seconds over some turns, after steps that compile and try."""
    for _ in range(WARM_UP):
        step()
    wait()
    start = time.perf_counter()
    step()
    wait()
    steps = max(1, int(SECONDS_A_TURN / (time.perf_counter() - start)))
    found = []
    for _ in range(turns):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        found.append((time.perf_counter() - start) / steps)
    return statistics.median(found)


def measure(which, name, options, batch, pixels, gpu, turns):
    """Time a contestant.

    Returns:
        dict: ``train`` and ``evaluate`` in images a second, ``memory`` in MiB; or ``error``.
    """
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (batch, 3, pixels, pixels)).astype(np.float32)
    try:
        it = contestant(which, name, options, x, random.randint(0, 10, batch), gpu)
        for _ in range(WARM_UP):
            it.train()
        it.wait()
        it.forget_memory()
        found = {
            'train': batch / seconds_of(it.train, it.wait, turns),
            'memory': it.memory() / 2.0**20,
        }
        found['evaluate'] = batch / seconds_of(it.evaluate, it.wait, turns)
        return found
    except Exception as e:  # whatever it is, it goes into this contestant's row
        if 'OutOfMemory' in type(e).__name__ or 'out of memory' in str(e):
            return {'error': 'out of memory'}
        traceback.print_exc()
        return {'error': 'failed: ' + ' '.join(f'{type(e).__name__}: {e}'.split())[:160]}


def ask(python, *arguments, limit=LIMIT):
    """Let :func:`measure` run in a process of its own; return what it returns."""
    try:
        done = subprocess.run(
            [python, os.path.abspath(__file__), json.dumps(arguments)],
            stdout=subprocess.PIPE,
            timeout=limit,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return {'error': f'failed: not done after {limit:.0f} s'}
    except OSError as e:
        return {'error': f'failed: {e}'}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {'error': f'failed: ended with status {done.returncode}'}
    return json.loads(lines[-1])


def chainer_here(gpu):
    """Return a line on the GPU and Chainer's side; this does not start to use the GPU."""
    from chainer.backends import cuda

    from chainer_zoo.commands import doctor

    found = doctor.cudnn_version()
    return (
        f'GPU {gpu}: {doctor.describe(cuda.cupy.cuda.runtime, gpu)}; '
        f'driver {doctor.driver_version() or "unknown"}; CuPy {cuda.cupy.__version__}, '
        + (f'cuDNN {found}' if found else 'without cuDNN')
    )


def torch_there(python):
    """Return PyTorch's version and cuDNN's where that Python has a PyTorch for CUDA, else None."""
    code = (
        'import torch; assert torch.cuda.is_available(); '
        'print("PyTorch", torch.__version__, "with cuDNN", torch.backends.cudnn.version())'
    )
    try:
        done = subprocess.run(
            [python, '-c', code],
            stdout=subprocess.PIPE,
            timeout=LIMIT,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def row(which, found, ours):
    """Return a contestant's line of the table; ratios are to Chainer in float32."""
    if 'error' in found:
        return f'{which:22s}  {found["error"]}'
    numbers = [f'{found[what]:12,.0f}' for what in ('train', 'evaluate')]
    numbers += [
        f'{found[what] / ours[what]:8.2f}' if ours else ' ' * 8 for what in ('train', 'evaluate')
    ]
    return f'{which:22s}{"".join(numbers)}{found["memory"]:11,.0f}'


def run(cases, gpu, contestants, turns, batch=None, minutes=None, torch_python=sys.executable):
    """Print the table.

    Args:
        cases (list of tuple): name, options, (unused) batch on a CPU, pixels a side, ...
        gpu (int): number of the GPU.
        contestants (list of str): of :data:`CONTESTANTS`.
        turns (int): the medians' number of turns.
        batch (int): images, if not as large as suits a large GPU.
        minutes (float): nobody starts after so long, if given.
        torch_python (str): the Python that has PyTorch.

    Returns:
        int: 0; 1 if a contestant failed otherwise than by running out of memory; 2 without a GPU.
    """
    import chainer_zoo  # noqa: F401  # before Chainer

    # isort: split
    from chainer_zoo.engines import devices
    from chainer_zoo.errors import UserError

    try:
        devices.must_exist(gpu)
    except UserError as e:
        print(f'train_speed.py: {e}', file=sys.stderr)
        return 2
    end = float('inf') if minutes is None else time.time() + 60 * minutes
    print(chainer_here(gpu))
    if any(which.startswith('torch') for which in contestants):
        torch = torch_there(torch_python)
        print(torch or f'no PyTorch for CUDA in {torch_python}: the table is without it')
        if torch is None:
            contestants = [which for which in contestants if not which.startswith('torch')]
    print(f'medians of {turns} turns; images a second, MiB of the pool')
    failed = False
    for name, options, _, pixels in (case[:4] for case in cases):
        images = batch or BATCH.get(name, LARGE_BATCH)
        print(f'\n{name} {options or ""} batch {images}')
        print(
            '{:22s}{:>12s}{:>12s}{:>8s}{:>8s}{:>11s}'.format(
                '', 'train', 'evaluate', 'ratio', 'ratio', 'memory MiB'
            ),
            flush=True,
        )
        ours = None
        for which in contestants:
            left = end - time.time()
            if left < 0:
                print(f'{which:22s}  no time left', flush=True)
                continue
            found = ask(
                torch_python if which.startswith('torch') else sys.executable,
                which,
                name,
                options,
                images,
                pixels,
                gpu,
                turns,
                limit=min(LIMIT, max(left, 30)),
            )
            if which == 'chainer' and 'error' not in found:
                ours = found
            failed = failed or found.get('error', '').startswith('failed')
            print(row(which, found, ours), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    print(json.dumps(measure(*json.loads(sys.argv[1]))))
