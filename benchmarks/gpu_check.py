"""Everything that needs a GPU, into one report file: ``make gpu-check``.

Runs the tests marked ``gpu`` (the kernels against the CPU's bits, the golden numbers, one training
step of every model against the CPU) and ``train_speed.py -g 0`` beside this file, and writes what
they say, with versions and devices, to ``results/gpu_check.md``. Exits with 1 if anything failed
and with 2 where no GPU can be used.
"""
import argparse
import datetime
import pathlib
import re
import subprocess
import sys

import chainer_zoo  # NOQA: before Chainer
from chainer_zoo import devices
from chainer_zoo.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(command):
    """Run a command from the project's root, showing its output.

    Returns:
        (int, str): its exit status and its output.
    """
    process = subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, universal_newlines=True)
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line)
    return process.wait(), ''.join(lines)


def parts(gpu):
    """Return title, command and what to do with its output, for each part of the check."""
    python = sys.executable
    yield 'Versions and devices', [python, '-m', 'chainer_zoo', 'doctor']
    yield 'Tests', [python, '-m', 'pytest', '-m', 'gpu', '-q', '-p', 'no:cacheprovider', 'tests']
    speed = ROOT / 'benchmarks' / 'train_speed.py'
    if speed.exists():
        yield 'Speed and memory', [python, str(speed), '-g', str(gpu)]


def nothing_ran(output):
    """Return whether pytest's last lines count no passed test."""
    return not re.search(r'\b[1-9]\d* passed\b', output)


def main(argv=None):
    """Write the report; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('-g', '--gpu', type=int, default=0, help='number of the GPU')
    parser.add_argument('-o', '--out', type=pathlib.Path,
                        default=ROOT / 'results' / 'gpu_check.md', help='the report file')
    args = parser.parse_args(argv)
    try:
        devices.find(args.gpu)
    except UserError as e:
        print('gpu_check.py: {}; see python -m chainer_zoo doctor'.format(e), file=sys.stderr)
        return 2
    failed, text = [], []
    for title, command in parts(args.gpu):
        status, output = run(command)
        if status != 0 or (title == 'Tests' and nothing_ran(output)):
            failed.append(title)
        text.append('## {}\n\n    {}\n\n```\n{}```\n'.format(
            title, ' '.join(['python'] + command[1:]).replace(str(ROOT) + '/', ''), output))
    verdict = 'failed: ' + ', '.join(failed) if failed else 'all passed'
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text('# GPU check of {:%Y-%m-%d %H:%M}: {}\n\n{}'.format(
        datetime.datetime.now(), verdict, '\n'.join(text)))
    print('{}: {}'.format(args.out, verdict))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
