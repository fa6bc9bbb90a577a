"""Everything that needs a GPU, into one report file: ``make gpu-check``.

Runs the tests marked ``gpu`` (the kernels against the CPU's bits, the golden numbers, one training
step of every model against the CPU, whole runs) and ``train_speed.py -g`` beside this file, and
writes what they say, with versions, devices and durations, to ``results/gpu_check.md``. Exits with
1 if anything failed and with 2 where no GPU can be used.

It ends within ``--minutes``: each part is stopped when the time of those after it begins, a test
run so that it still names what failed. The report is written anew after every part.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # also where the project is not installed

# isort: split
from chainer_zoo import threads
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.files import write_whole

MINUTES = 9


class Part(NamedTuple):
    """One part of the check.

    Attributes:
        title: its heading in the report.
        share: what is kept for it of the whole time; it may use more where others used less.
        command: a list of words; ``{minutes}`` in them is how long it may take.
        is_test: whether it has to count a passed test.
    """

    title: str
    share: float
    command: list[str]
    is_test: bool


# Seconds for a test run to say what it knows when it is stopped, and for others to end.
GRACE = 8


def workers(cores: int, memory: int) -> int:
    """Return how many processes test at once: most of the time goes into the CPU's side.

    Args:
        cores: of the CPU; four for each process.
        memory: of the GPU, in bytes; the largest model wants 8 GiB.
    """
    if importlib.util.find_spec('xdist') is None:
        return 1
    return max(1, min(4, cores // 4, memory // 2**33))


def parts(gpu: int, torch_python: str = sys.executable, processes: int = 1) -> list[Part]:
    """Return the parts of the check of GPU ``gpu``, in order."""

    def tests(title: str, share: float, *arguments: str) -> Part:
        return Part(
            title,
            share,
            [
                sys.executable,
                '-m',
                'pytest',
                '-m',
                'gpu',
                '-q',
                '--tb=short',
                '-p',
                'no:cacheprovider',
                '--continue-on-collection-errors',
            ]
            + (['-n', str(processes)] if processes > 1 else [])
            + list(arguments),
            True,
        )

    models, runs = 'tests/gpu/test_gpu_models.py', 'tests/gpu/test_gpu_training.py'
    return [
        Part('Versions and devices', 0.06, [sys.executable, '-m', 'chainer_zoo', 'doctor'], False),
        tests('Kernels and functions', 0.14, 'tests', '--ignore=' + models, '--ignore=' + runs),
        tests('Models', 0.36, models),
        tests('Training runs', 0.12, runs),
        Part(
            'Speed and memory',
            0.32,
            [
                sys.executable,
                'benchmarks/train_speed.py',
                '-g',
                str(gpu),
                '--repeat',
                '3',
                '--minutes',
                '{minutes}',
                '--torch-python',
                torch_python,
            ],
            False,
        ),
    ]


def environment(gpu: int, cores: int) -> dict[str, str]:
    """Return the tests' environment: they use GPU 0, so this one is made the only one there.

    Products in TensorFloat-32 would differ from a CPU's too much.
    """
    seen = os.environ.get('CUDA_VISIBLE_DEVICES')
    only = seen.split(',')[gpu] if seen else str(gpu)
    limit = os.environ.get('OMP_NUM_THREADS', str(cores))
    return dict(
        os.environ,
        CUDA_VISIBLE_DEVICES=only,
        NVIDIA_TF32_OVERRIDE='0',
        OMP_NUM_THREADS=limit,
        OPENBLAS_NUM_THREADS=limit,
    )


def _hear_interrupts() -> None:
    """Undo that a shell has what it starts in the background ignore them, children included."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(
    command: list[str], seconds: float, env: dict[str, str] | None = None
) -> tuple[int | None, str]:
    """Run a command from the project's root, showing its output, for so long at most.

    Returns:
        its exit status, None if it had to be stopped, and its output.
    """
    process = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=dict(env or os.environ, PYTHONUNBUFFERED='1'),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        start_new_session=True,
        preexec_fn=_hear_interrupts,
    )
    stopped = threading.Event()

    def stop():
        stopped.set()
        # pytest answers the first by its summary; the second is for what hangs, its children too
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(GRACE)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    lines = []
    try:
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
        status = process.wait()
    except BaseException:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    return None if stopped.is_set() else status, ''.join(lines)


def nothing_ran(output: str) -> bool:
    """Return whether pytest's last lines count no passed test."""
    return not re.search(r'\b[1-9]\d* passed\b', output)


def what_failed(part: Part, status: int | None, output: str, seconds: float) -> str | None:
    """Return in a few words why a part failed, or None."""
    if status is None:
        return f'stopped after {seconds:.0f} s'
    if status != 0:
        return f'exit status {status}'
    return 'no test passed' if part.is_test and nothing_ran(output) else None


def without_folders(text: str) -> str:
    """Return a text without where the project, and a virtual environment, lie on this machine."""
    folders = [str(ROOT)] + [sys.prefix] * (sys.prefix != sys.base_prefix)
    for folder in sorted(folders, key=len, reverse=True):
        text = re.sub(r'(?<![\w/.-])' + re.escape(folder) + '/', '', text)
    return text


def section(part: Part, command: list[str], failed: str | None, seconds: float, output: str) -> str:
    """Return a part of the report."""
    words = ' '.join(['python' if word == sys.executable else word for word in command])
    return (
        f'## {part.title}: {failed or "passed"}, {seconds:.0f} s\n\n'
        f'    {without_folders(words)}\n\n'
        f'```\n{without_folders(output.rstrip())}\n```\n'
    )


def write(
    path: pathlib.Path, started: datetime.datetime, verdict: str, sections: list[str]
) -> None:
    """Write the report, whole or not at all."""
    text = f'# GPU check of {started:%Y-%m-%d %H:%M}: {verdict}\n\n' + '\n'.join(sections)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f'cannot make the folder {path.parent}: {e.strerror or e}') from e
    with write_whole(path) as f:
        f.write(text.encode('utf-8'))


def check(
    todo: list[Part], path: pathlib.Path, seconds: float, env: dict[str, str] | None = None
) -> list[str]:
    """Run parts, and write their report.

    Args:
        todo: what to run.
        path: the report.
        seconds: for all of it.
        env: the tests' environment.

    Returns:
        the titles of the parts that failed, and why.
    """
    started, end = datetime.datetime.now(), time.time() + seconds
    sections, failures = [], []
    write(path, started, 'unfinished', sections)
    for k, part in enumerate(todo):
        kept = seconds * sum(later.share for later in todo[k + 1 :])
        limit = max(1, end - time.time() - kept - GRACE)
        # it stops by itself before it is stopped: what begins last may take 30 seconds
        minutes = f'{max(0, limit - 40) / 60:.2f}'
        command = [word.replace('{minutes}', minutes) for word in part.command]
        print(f'\n== {part.title}: {limit:.0f} s at most ==', flush=True)
        before = time.time()
        status, output = run(command, limit, env if part.is_test else None)
        took = time.time() - before
        failed = what_failed(part, status, output, took)
        if failed:
            failures.append(f'{part.title} ({failed})')
        sections.append(section(part, command, failed, took, output))
        write(path, started, 'unfinished', sections)
    write(path, started, 'failed: ' + ', '.join(failures) if failures else 'all passed', sections)
    return failures


def main(argv: list[str] | None = None) -> int:
    """Write the report; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('-g', '--gpu', type=int, default=0, help='number of the GPU')
    parser.add_argument(
        '-o',
        '--out',
        type=pathlib.Path,
        default=ROOT / 'results' / 'gpu_check.md',
        help='the report file',
    )
    parser.add_argument('--minutes', type=float, default=MINUTES, help='for all of it')
    parser.add_argument(
        '--torch-python',
        default=sys.executable,
        metavar='PATH',
        help='a Python that has PyTorch, if not this one',
    )
    args = parser.parse_args(argv)
    try:
        devices.must_exist(args.gpu)
        cores, memory = threads.usable_processors(), devices.memory(args.gpu)
        processes = workers(cores, memory)
        failures = check(
            parts(args.gpu, args.torch_python, processes),
            args.out,
            60 * args.minutes,
            environment(args.gpu, cores // processes),
        )
    except UserError as e:
        print(f'gpu_check.py: {e}', file=sys.stderr)
        return 2
    print(f'{args.out}: ' + ('failed: ' + ', '.join(failures) if failures else 'all passed'))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
