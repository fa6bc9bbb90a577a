"""The page on faithfulness says what the catalog and the code say."""

import runpy

import doc_blocks

from chainer_zoo import catalog
from chainer_zoo import commands

MAKE = runpy.run_path(str(doc_blocks.ROOT / 'docs' / 'make_faithful.py'))


def test_the_generated_parts_are_as_the_catalog_and_the_comments_have_them():
    text = MAKE['PAGE'].read_text(encoding='utf-8')
    assert text == MAKE['filled'](text), 'run python docs/make_faithful.py'


def test_every_comment_that_marks_a_deviation_is_listed():
    marked = sum(
        path.read_text(encoding='utf-8').count('# unlike the original')
        for path in MAKE['PACKAGE'].rglob('*.py')
    )
    assert len(list(MAKE['deviations']())) == marked >= 15


def test_a_comment_of_several_lines_is_listed_whole():
    texts = dict(MAKE['deviations']())
    assert texts['chainer_zoo/models/prelu_net.py'].endswith('makes its answers random there')


def test_the_command_prints_every_published_figure(capsys):
    assert commands.main(['list', '--figures', '--csv']) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [result for name in catalog.names() for result in catalog.entry(name).results]
    assert len(lines) == 1 + len(results)
    assert lines[0].startswith('model,figure %,in the article,best epoch')
    for line, result in zip(lines[1:], results):
        assert line.startswith(
            f'{result.model},{result.figure},{"yes" if result.in_article else ""}'
        )
        assert f'--model {result.model} --as-article' in line
