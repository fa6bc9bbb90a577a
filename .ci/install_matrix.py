"""Try every documented way to install, in fresh environments, and write what came of it.

    python .ci/install_matrix.py [--python VERSION] [WAY ...]

The table in docs/install.md, between two markers, is written by this script. Nothing is taken
from the user's caches: a wheel of Chainer that was built before would hide that it cannot be built.
What was installed is then used from an empty folder: versions and devices, a model beside the
installed golden files, and an epoch of training.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'install.md'
BEGIN, END = '<!-- matrix:begin -->', '<!-- matrix:end -->'
VERSIONS = ('3.9', '3.10', '3.11', '3.12', '3.13', '3.14', '3.15')
LIMIT = 1200  # seconds for one command

CONSTRAINED = 'PIP_CONSTRAINT=$PWD/constraints.txt PIP_BUILD_CONSTRAINT=$PWD/constraints.txt '
ELSEWHERE = (
    "echo 'setuptools<81' > /tmp/c.txt; PIP_CONSTRAINT=/tmp/c.txt PIP_BUILD_CONSTRAINT=/tmp/c.txt "
)


class Way(NamedTuple):
    """One way to install.

    Attributes:
        line: what people type, in the project's folder; ``URL`` stands for the repository's.
        tools: what has to be installed for that beside Python, as pip names it.
        version: prints the version of the tool.
        use: how a command of this package is then called, its own name left out.
        every_python: whether it is tried with every Python; otherwise with the newest only.
        then: what has to work afterwards in the project's folder beside the usual.
    """

    line: str
    tools: tuple[str, ...] = ()
    version: str = 'pip --version'
    use: str = 'chainer-zoo'
    every_python: bool = False
    then: str = ''


WAYS = {
    'make': Way(
        'make install',
        version='make --version',
        use='.venv/bin/chainer-zoo',
        every_python=True,
    ),
    'pip': Way(CONSTRAINED + 'pip install .', ('pip',), every_python=True),
    'old pip': Way(CONSTRAINED + 'pip install .', ('pip<24',)),
    'pip user': Way(CONSTRAINED + 'pip install --user .', ('pip',)),
    'pip git': Way(ELSEWHERE + 'pip install git+URL', ('pip',)),
    'wheel': Way(
        'python -m build -w && ' + CONSTRAINED + 'pip install dist/chainer_zoo-*.whl',
        ('pip', 'build'),
        'python -m build --version',
    ),
    'sdist': Way(
        'python -m build -s && ' + CONSTRAINED + 'pip install dist/chainer_zoo-*.tar.gz',
        ('pip', 'build', 'pytest', 'hypothesis'),
        'python -m build --version',
        # it is whole: some of the tests pass in it
        then='cd dist && tar xf *.tar.gz && cd chainer_zoo-*/ '
        '&& python -m pytest -q tests/test_catalog.py tests/test_threads.py tests/legacy',
    ),
    'uv pip': Way('uv pip install .', ('uv',), 'uv --version', every_python=True),
    'uv pip git': Way(
        "echo 'setuptools<81' > /tmp/c.txt; uv pip install --build-constraints /tmp/c.txt git+URL",
        ('uv',),
        'uv --version',
    ),
    'uv sync': Way('uv sync', ('uv',), 'uv --version', 'uv run chainer-zoo', every_python=True),
    'uv run': Way('uv run train_cifar10.py --help', ('uv',), 'uv --version', 'uv run chainer-zoo'),
    'uv tool': Way(
        'uv tool install --build-constraints constraints.txt .', ('uv',), 'uv --version'
    ),
    'pipx': Way(CONSTRAINED + 'pipx install .', ('pipx',), 'pipx --version'),
}

TRAIN = (
    'train resnext -d 4 -b 8 -trb 1 -teb 1 -e 1 --dataset shapes --limit_train 16 --limit_test 8 '
    '--out run'
)


def pythons() -> dict[str, str]:
    """Return the interpreters that are here, by version: on the PATH or where pyenv keeps them."""
    found = {}
    for version in VERSIONS:
        candidates = [f'python{version}']
        kept = pathlib.Path.home() / '.pyenv' / 'versions'
        candidates += [str(path) for path in kept.glob(f'{version}.*/bin/python')]
        for python in candidates:
            try:
                done = subprocess.run(
                    [python, '-c', 'import ensurepip, sys, venv; print(sys.executable)'],
                    capture_output=True,
                    text=True,
                )
            except OSError:
                continue
            if done.returncode == 0:
                found[version] = done.stdout.strip()
                break
    return found


def copy_of_the_project(folder: pathlib.Path) -> pathlib.Path:
    """Return a repository with the files of this one as they are now, and nothing beside them."""
    copy = folder / 'project'
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split('\0')):
        if (ROOT / name).exists():  # not deleted since it was committed
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    identity = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost']
    for words in ['init', '-q'], ['add', '-A'], [*identity, 'commit', '-qm', 'Copy']:
        subprocess.run(['git', *words], cwd=copy, check=True)
    return copy


def environment(folder: pathlib.Path, python: str) -> dict[str, str]:
    """Return an environment in which nothing comes from the user's folders."""
    mine = {
        'HOME': folder / 'home',
        'XDG_CACHE_HOME': folder / 'cache',
        'PYTHONUSERBASE': folder / 'home' / '.local',
        'PIPX_HOME': folder / 'pipx',
        'PIPX_BIN_DIR': folder / 'bin',
        'UV_CACHE_DIR': folder / 'cache' / 'uv',
        'UV_TOOL_DIR': folder / 'uv-tools',
        'UV_TOOL_BIN_DIR': folder / 'bin',
        'PIPX_DEFAULT_PYTHON': python,
    }
    (folder / 'home').mkdir()
    path = [folder / 'venv' / 'bin', folder / 'bin', folder / 'home' / '.local' / 'bin']
    left_out = ('VIRTUAL_ENV', 'UV_PYTHON', 'PYTHONPATH', 'PIP_CONSTRAINT', 'PIP_BUILD_CONSTRAINT')
    return {
        **{name: value for name, value in os.environ.items() if name not in left_out},
        **{name: str(value) for name, value in mine.items()},
        'PATH': os.pathsep.join([*map(str, path), os.environ['PATH']]),
        'PIP_NO_CACHE_DIR': '1',
    }


def run(line: str, cwd: pathlib.Path, env: dict[str, str]) -> str:
    """Run a line in bash; return its output. RuntimeError, with its last line, if it fails."""
    print(f'    {line}', flush=True)
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', line],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        timeout=LIMIT,
    )
    if done.returncode:
        print(done.stdout)
        last = [text for text in done.stdout.splitlines() if text.strip()] or ['no output']
        raise RuntimeError(last[-1].strip())
    return done.stdout


def require_whole(project: pathlib.Path) -> None:
    """Check that archives which were built have the files they should. RuntimeError if not."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=project, check=True, capture_output=True, text=True
    ).stdout
    tracked = set(filter(None, listed.split('\0')))
    for path in (project / 'dist').glob('*'):
        if path.suffix == '.whl':
            with zipfile.ZipFile(path) as wheel:
                there = set(wheel.namelist())
            missing = {name for name in tracked if name.startswith('chainer_zoo/')} - there
        elif path.name.endswith('.tar.gz'):
            with tarfile.open(path) as sdist:
                there = {name.partition('/')[2] for name in sdist.getnames()}
            missing = tracked - there
        else:
            continue
        if missing:
            raise RuntimeError(f'{path.name} lacks {sorted(missing)[0]}')


def attempt(way: Way, python: str, folder: pathlib.Path) -> tuple[str, str]:
    """Install in one way and use what was installed.

    Returns:
        The tool's version, and ``works`` or what went wrong.
    """
    project = copy_of_the_project(folder)
    env = environment(folder, python)
    empty = folder / 'empty'
    empty.mkdir()
    tool = ''
    try:
        if way.use == '.venv/bin/chainer-zoo':
            env['PYTHON'] = python
        else:
            # only with those of the system a virtual environment has packages of the user
            shared = '--system-site-packages' if '--user' in way.line else ''
            run(f'{python} -m venv {shared} {folder}/venv', folder, env)
            if 'uv pip' in way.line:  # goes by this, and by UV_PYTHON before
                env['VIRTUAL_ENV'] = str(folder / 'venv')
            else:
                env['UV_PYTHON'] = python
        if way.tools:
            wanted = ' '.join(f"'{tool}'" for tool in way.tools)
            run(f'python -m pip install -q --upgrade {wanted}', folder, env)
        tool = run(way.version, project, env).splitlines()[0].split(' (')[0].split(' from ')[0]
        run(way.line.replace('git+URL', f'git+file://{project}'), project, env)
        if way.use.startswith('uv run'):
            use, where = way.use.replace('uv run', f'uv run --project {project}'), empty
        else:
            use, where = way.use.replace('.venv', f'{project}/.venv'), empty
        require_whole(project)
        if way.then:
            run(way.then, project, env)
        run(f'{use} --version', where, env)
        doctor = run(f'{use} doctor', where, env)
        run(f'{use} compare --original --only nin --out original', where, env)
        run(f'{use} {TRAIN}', where, env)
        lines = doctor.partition('\nTo fix')[0].splitlines()
        found = {line.split()[0]: line.split()[-1] for line in lines if len(line.split()) > 1}
        return tool, f'works; NumPy {found["numpy"]}, oneDNN {found["oneDNN"]}'
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return tool, f'fails: {str(error)[:120]}'


def write(rows: list[tuple[str, str, str, str]]) -> None:
    """Write the table into the page; rows of ways that were not tried stay as they are."""
    text = PAGE.read_text(encoding='utf-8')
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    kept = {}
    for line in table.splitlines()[3:]:
        way, version, tool, result = (cell.strip() for cell in line.strip('|').split(' | '))
        kept[way, version, tool.split('.')[0]] = way, version, tool, result
    for way, version, tool, result in rows:
        kept[way, version, tool.split('.')[0]] = way, version, tool, result
    order = [f'`{way.line}`' for way in WAYS.values()]
    lines = [
        '| ' + ' | '.join(row) + ' |'
        for row in sorted(
            (row for row in kept.values() if row[0] in order),
            key=lambda row: (order.index(row[0]), VERSIONS.index(row[1])),
        )
    ]
    head = "| in the project's folder | Python | tool | result |\n| --- | --- | --- | --- |"
    PAGE.write_text('\n'.join([before + BEGIN, head, *lines, END + after]), encoding='utf-8')


def main() -> int:
    """Try the ways, and write the table; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('ways', nargs='*', metavar='WAY', help=', '.join(WAYS))
    parser.add_argument('--python', choices=VERSIONS, help='this version only')
    args = parser.parse_args()
    unknown = [name for name in args.ways if name not in WAYS]
    if unknown:
        parser.error(f'there is no way {unknown[0]}: choose from {", ".join(WAYS)}')
    here = pythons()
    chosen = {v: p for v, p in here.items() if args.python in (None, v)}
    if not chosen:
        parser.error('there is no Python of this version here, but ' + ', '.join(here))
    rows = []
    for name in args.ways or WAYS:
        way = WAYS[name]
        for version in chosen if way.every_python or args.python else list(chosen)[-1:]:
            print(f'== {name}, Python {version}', flush=True)
            with tempfile.TemporaryDirectory(prefix='chainer-zoo-install-') as folder:
                tool, result = attempt(way, chosen[version], pathlib.Path(folder))
            print(f'   {tool}: {result}', flush=True)
            rows.append((f'`{way.line}`', version, tool, result))
            write(rows)
    return 1 if any(row[3].startswith('fails') for row in rows) else 0


if __name__ == '__main__':
    sys.exit(main())
