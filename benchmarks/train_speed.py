"""Time training and evaluation on the CPU: stock Chainer, the oneDNN engine, PyTorch.

    OMP_NUM_THREADS=2 python benchmarks/train_speed.py [NAME ...] [--repeat N] [--threads N]

Each contestant is a process of its own with the same weights and images; they take turns, one
step each, so that whatever else the machine does affects all equally. A step is forward, softmax
cross entropy, backward and an update of momentum SGD with weight decay (beside the engine by this
project's own, which training uses, too); evaluation is forward alone. The table has medians over
the turns, peak memory of the process, and ratios to the engine. PyTorch runs contiguous and
channels_last, and the faster one counts. ``--check`` compares the logits of the twins with ours
instead. On a machine that is busy with other things, ``--clock cpu --threads 1`` counts the
processor time of each contestant instead of the time that passes.

    python benchmarks/train_speed.py -g N [NAME ...] [--repeat N] [--batch N] [--torch-python PATH]

times Chainer and PyTorch on GPU N instead; gpu_speed.py beside this file says how.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from unittest import mock

import gpu_speed
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

# name, options, batch, pixels, wanted against stock Chainer, wanted against PyTorch
CASES = (
    ('resnext', {'C': 2, 'd': 64}, 64, 32, 5, 1.1),
    ('wide_resnet', {'depth': 16, 'k': 4}, 64, 32, 4, 1.1),
    ('resnet', {'depth': 110}, 128, 32, 5, 1.1),
    ('densenet', {'depth': 40, 'growth_rate': 12}, 64, 32, 5, 1.1),
    ('squeezenet', {}, 32, 128, 5, 1.1),
)
CONTESTANTS = ('chainer', 'onednn', 'torch', 'torch channels_last')
# Seconds between two turns: the threads of a BLAS or of OpenMP hold the processor for a while when
# they have no more work, which would slow down who comes next.
PAUSE = 0.3
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4


def _data(batch, pixels):
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (batch, 3, pixels, pixels)).astype(np.float32)
    return x, random.randint(0, 10, batch)


class Chainer:
    """A model of ours, with the engine and our momentum SGD, or with what Chainer has."""

    def __init__(self, name, options, onednn):
        import chainer

        import chainer_zoo
        from chainer_zoo import engines
        from chainer_zoo.training import optimizer

        self.chainer = chainer
        if onednn:
            engines.CPU.enable()
        np.random.seed(0)
        self.model = chainer_zoo.build(name, **options)
        kind = optimizer.MomentumSGD if onednn else chainer.optimizers.MomentumSGD
        self.optimizer = kind(LEARNING_RATE, MOMENTUM)
        self.optimizer.setup(self.model)
        self.optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(WEIGHT_DECAY))

    def train(self, x, t):
        loss = self.chainer.functions.softmax_cross_entropy(self.model(x), t.astype(np.int32))
        self.model.cleargrads()
        loss.backward()
        del loss
        self.optimizer.update()

    def evaluate(self, x):
        with self.chainer.using_config('train', False), self.chainer.no_backprop_mode():
            return self.model(x).array

    def parameters(self):
        return {path: p.array for path, p in self.model.namedparams()}


class Torch:
    """Its twin in PyTorch."""

    def __init__(self, name, options, channels_last):
        import torch
        import twins

        torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
        self.torch = torch
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.model = twins.MODELS[name](**options).to(memory_format=self.format)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, fused=True
        )

    def _tensor(self, x):
        return self.torch.from_numpy(x).contiguous(memory_format=self.format)

    def train(self, x, t):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.torch.nn.functional.cross_entropy(
            self.model(self._tensor(x)), self.torch.from_numpy(t)
        )
        loss.backward()
        self.optimizer.step()

    def evaluate(self, x):
        self.model.eval()
        with self.torch.inference_mode():
            return self.model(self._tensor(x)).numpy()


def _contestant(which, name, options):
    if which in ('chainer', 'onednn'):
        return Chainer(name, options, which == 'onednn')
    return Torch(name, options, which.endswith('channels_last'))


def _work(which, case, clock):
    """Be a contestant: run a step for each line of standard input, answer with its seconds."""
    name, options, batch, pixels = CASES[case][:4]
    contestant = _contestant(which, name, options)
    x, t = _data(batch, pixels)
    now = {'wall': time.perf_counter, 'cpu': time.process_time}[clock]
    for line in sys.stdin:
        start = now()
        if line.strip() == 'train':
            contestant.train(x, t)
        else:
            contestant.evaluate(x)
        seconds = now() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        print(json.dumps([seconds, peak]), flush=True)


def _ask(process, what):
    process.stdin.write(what + '\n')
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit('a contestant ended early, see above')
    return json.loads(answer)


def _measure(case, contestants, repeat, threads, clock):
    """Return {contestant: (train seconds, evaluate seconds, peak MiB)}, medians."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    processes = {}
    results = {which: {'train': [], 'evaluate': []} for which in contestants}
    peaks = {}
    try:
        for which in contestants:
            processes[which] = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), '--worker', which, str(case), clock],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
        for what in ('train', 'evaluate'):
            for turn in range(repeat + 1):
                order = (
                    contestants[turn % len(contestants) :] + contestants[: turn % len(contestants)]
                )  # nobody always follows the same one
                for which in order:
                    time.sleep(PAUSE)
                    seconds, peaks[which] = _ask(processes[which], what)
                    if turn:  # the first one compiles and fills caches
                        results[which][what].append(seconds)
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return {
        which: (
            statistics.median(found['train']),
            statistics.median(found['evaluate']),
            min(found['train']),
            min(found['evaluate']),
            peaks[which],
        )
        for which, found in results.items()
    }


def _check(case):
    name, options, batch, pixels = CASES[case][:4]
    import twins

    ours = Chainer(name, options, True)
    theirs = Torch(name, options, False)
    twins.copy_parameters(theirs.model, ours.parameters())
    x, _ = _data(4, pixels)
    # A training step first, for both: running statistics that start apart end apart.
    with ours.chainer.using_config('chainer_zoo_noise', False):
        a = ours.model(x).array
    theirs.model.train()
    with mock.patch.object(theirs.torch.nn.functional, 'dropout', lambda x, *_: x):
        b = theirs.model(theirs._tensor(x)).detach().numpy()
    deviation = float(abs(a - b).max() / abs(a).max())
    print(f'{name:12s} logits of {a.shape} deviate by {deviation:.1e}')
    if not deviation < 1e-3:
        raise SystemExit(f'the twin of {name} is another network')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    names = [case[0] for case in CASES]
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(names) + '; all')
    parser.add_argument('--repeat', type=int, default=5, help='turns of each contestant')
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    parser.add_argument(
        '--without', nargs='*', default=[], choices=CONTESTANTS + ('chainer mixed16',)
    )
    parser.add_argument('--check', action='store_true', help='compare logits with the twins')
    parser.add_argument('-g', '--gpu', type=int, default=-1, help='time on this GPU; -1: the CPU')
    parser.add_argument('--batch', type=int, help='with -g: images, if not a large batch')
    parser.add_argument('--minutes', type=float, help='with -g: start nothing after so long')
    parser.add_argument(
        '--torch-python',
        default=sys.executable,
        metavar='PATH',
        help='with -g: a Python that has PyTorch, if not this one',
    )
    parser.add_argument('--worker', nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work(arguments.worker[0], int(arguments.worker[1]), arguments.worker[2])
        return 0
    for name in arguments.names:
        if name not in names:
            parser.error(f'{name}: choose from {", ".join(names)}')
    if arguments.gpu >= 0:
        return gpu_speed.run(
            [case for case in CASES if case[0] in (arguments.names or names)],
            arguments.gpu,
            [which for which in gpu_speed.CONTESTANTS if which not in arguments.without],
            arguments.repeat,
            arguments.batch,
            arguments.minutes,
            arguments.torch_python,
        )
    contestants = [which for which in CONTESTANTS if which not in arguments.without]
    os.environ.setdefault('OMP_NUM_THREADS', str(arguments.threads))
    if not arguments.check:
        print(
            f'{arguments.threads} threads, medians of {arguments.repeat} turns; '
            f'{arguments.clock} seconds a batch, MiB of the process'
        )
    for i, case in enumerate(CASES):
        if arguments.names and case[0] not in arguments.names:
            continue
        if arguments.check:
            _check(i)
            continue
        results = _measure(i, contestants, arguments.repeat, arguments.threads, arguments.clock)
        print(f'\n{case[0]} {case[1] or ""} batch {case[2]}')
        print(
            '{:22s}{:>9s}{:>9s}{:>9s}{:>9s}{:>8s}{:>8s}{:>9s}'.format(
                '', 'train', 'evaluate', 'least', 'least', 'ratio', 'ratio', 'peak MiB'
            )
        )
        mine = results.get('onednn')
        for which, found in results.items():
            ratios = [f'{found[i] / mine[i]:8.2f}' if mine else ' ' * 8 for i in (0, 1)]
            seconds = [f'{value:9.3f}' for value in found[:4]]
            print(f'{which:22s}{"".join(seconds + ratios)}{found[4]:9.0f}', flush=True)
        torches = [found for which, found in results.items() if which.startswith('torch')]
        if mine and torches:
            train, evaluate = (min(found[i] for found in torches) / mine[i] for i in (0, 1))
            print(
                f'wanted: {case[4]} times stock Chainer, {case[5]} times PyTorch; '
                f'faster PyTorch: {train:.2f} train, {evaluate:.2f} evaluate'
            )
    return 0


if __name__ == '__main__':
    sys.exit(main())
