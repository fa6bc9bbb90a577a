"""Every command of the documentation is run, or says beside it why it is not.

A page's blocks run one after the other in a folder that looks like the project's. A comment right
before a block says what else there is to know:

    <!-- not run: needs a GPU -->
    <!-- slow: takes a minute -->
    <!-- before: a command that makes what the block needs -->
"""

import os
import subprocess
import sys

import doc_blocks
import pytest

#: What stands in the folder that commands run in, as links to the project's own.
SEEN = ('train_cifar10.py', 'chainer_zoo', 'benchmarks', 'docs', 'tests', 'pyproject.toml')


def name_of(page):
    return str(page.relative_to(doc_blocks.ROOT))


def blocks_of(page):
    return doc_blocks.blocks(page.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A project's folder for all pages, in an environment that is active."""
    return Project(tmp_path_factory.mktemp('docs'))


class Project:
    """A folder like the project's, which runs commands as a reader would type them.

    Args:
        path (pathlib.Path): an empty folder.
    """

    def __init__(self, path):
        self.folder, programs = path / 'project', path / 'bin'
        self.folder.mkdir()
        programs.mkdir()
        for name in SEEN:
            (self.folder / name).symlink_to(doc_blocks.ROOT / name)
        for name, command in (('python', ''), ('chainer-zoo', ' -m chainer_zoo')):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
            program.chmod(0o755)
        self.environment = dict(
            os.environ,
            PATH=f'{programs}{os.pathsep}{os.environ["PATH"]}',
            PYTHONPATH=str(self.folder),
            CHAINER_DATASET_ROOT=str(path / 'datasets'),
            PYTHONWARNINGS='ignore',
        )
        self._prepared = set()

    def run(self, command):
        """Run shell commands; where they fail, show what they printed."""
        done = subprocess.run(
            ['bash', '-eu', '-o', 'pipefail', '-c', command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f'status {done.returncode} of\n{command}\n{done.stdout}'

    def prepare(self, command):
        """Run what makes something that blocks need, unless it is made already."""
        if command not in self._prepared:
            self.run(command)
            self._prepared.add(command)

    def run_page(self, page, slow):
        """Run a page's blocks one after the other; with ``slow``, those that take long as well."""
        for block in blocks_of(page):
            if block.language not in doc_blocks.CODE or block.not_run or (block.slow and not slow):
                continue
            for command in block.before:
                self.prepare(command)
            if block.language == 'sh':
                self.run(block.text)
            else:
                (self.folder / 'block.py').write_text(block.text, encoding='utf-8')
                self.run('python block.py')


def pages(slow):
    """Return the pages that have something to run in the quick or in the slow tests."""
    return [
        page
        for page in doc_blocks.WRITTEN
        if any(
            block.language in doc_blocks.CODE and not block.not_run and bool(block.slow) == slow
            for block in blocks_of(page)
        )
    ]


@pytest.mark.parametrize('page', pages(slow=False), ids=name_of)
def test_the_commands_of_a_page_work(page, project):
    project.run_page(page, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize('page', pages(slow=True), ids=name_of)
def test_the_long_commands_of_a_page_work(page, project):
    project.run_page(page, slow=True)


@pytest.mark.parametrize('page', doc_blocks.WRITTEN, ids=name_of)
def test_every_block_says_what_it_is(page):
    for block in blocks_of(page):
        assert block.language in doc_blocks.KNOWN, (
            f'{name_of(page)}:{block.line}: a code block is sh or python, and is run; '
            'text for what is printed'
        )


def test_comments_belong_to_the_block_after_them():
    text = (
        '<!-- not run: needs a GPU -->\n```sh\na\n```\n'
        'prose\n<!-- slow: long -->\n<!-- before: make it -->\n\n```python\nb = 1\n```\n'
        '<!-- not run: lost -->\nprose\n\n- item\n  ```sh\n  c\n  ```\n```text\nd\n```\n'
    )
    found = doc_blocks.blocks(text)
    assert [block.text for block in found] == ['a\n', 'b = 1\n', 'c\n', 'd\n']
    assert [block.not_run for block in found] == ['needs a GPU', None, None, None]
    assert [block.slow for block in found] == [None, 'long', None, None]
    assert [block.before for block in found] == [[], ['make it'], [], []]
    assert [block.line for block in found] == [2, 9, 16, 19]
