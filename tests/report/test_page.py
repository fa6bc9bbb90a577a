"""What a page shows is what was put in, whatever characters that has."""

import html
import re

import pytest

from chainer_zoo.report import table
from chainer_zoo.report.page import Page

TEXTS = {
    'line breaks': ('a\nb\r\nc\u2028d', r'a\nb\r\nc\u2028d'),
    'a pipe': ('a | b', 'a | b'),
    'an escape sequence': ('\x1b[2J\x1b]0;title\x07', r'\x1b[2J\x1b]0;title\x07'),
    'a null character': ('a\0b', r'a\x00b'),
    'a surrogate': ('\udce9t\ud83d', r'\udce9t\ud83d'),
    'text from right to left': ('a\u202eb', r'a\u202eb'),
    'HTML': ('<script>alert(1)</script>&amp;"', '<script>alert(1)</script>&amp;"'),
    'Markdown': ('*a* _b_ `c` [d](e) ![f](g) ~h~ #i $x$', '*a* _b_ `c` [d](e) ![f](g) ~h~ #i $x$'),
    'backslashes': ('\\frac \\| \\\\', '\\frac \\| \\\\'),
    'Japanese': ('\u6f22\u5b57', '\u6f22\u5b57'),
    'names': ('vgg_a C=2, d=4 @3', 'vgg_a C=2, d=4 @3'),
}


@pytest.fixture(params=TEXTS)
def text(request):
    """What is put in, and what shall be seen."""
    return TEXTS[request.param]


@pytest.fixture
def page(text):
    page = Page(text[0])
    page.heading(text[0])
    page.paragraph(text[0])
    page.table(['column', 'number'], [[text[0], 1], ['x', 22]], ['number'])
    page.figure('name', b'png', text[0])
    return page


def unescaped(markdown):
    """Return what Markdown shows, where no other markup is in it."""
    bare = re.sub(r'\\[^A-Za-z0-9\s]', '', markdown)
    assert not re.search(r'[`*\[\]<>|~&$]|\b_\B|\B_\b', bare), f'markup in {markdown!r}'
    return re.sub(r'\\([^A-Za-z0-9\s])', r'\1', markdown)


def test_a_terminal_shows_each_text_on_its_line(page, text):
    lines = page.text().split('\n')
    seen = text[1]
    assert lines[0] == lines[3] == seen
    assert lines[6].startswith(seen + ' ') and lines[6].endswith('1')
    assert lines[-1] == f'name.png: {seen}'
    assert page.text().isprintable() or all(c.isprintable() or c == '\n' for c in page.text())


def test_markdown_shows_each_text_and_takes_nothing_for_markup(page, text):
    lines = page.markdown().split('\n')
    seen = text[1]
    assert [line[:2] for line in lines if line.startswith('#')] == ['# ', '##']
    assert unescaped(lines[0][2:]) == unescaped(lines[2][3:]) == unescaped(lines[4]) == seen
    row = lines[8]
    assert row.startswith('| ') and row.endswith(' | 1 |')
    assert unescaped(row[2 : -len(' | 1 |')]) == seen
    caption = re.fullmatch(r'!\[(.*)\]\(name\.png\)', lines[-2]).group(1)
    assert unescaped(caption) == seen


def test_html_shows_each_text_and_takes_nothing_for_markup(page, text):
    written = page.html()
    escaped = html.escape(text[1])
    for element in ('title', 'h1', 'h2', 'p', 'td', 'figcaption'):
        assert f'<{element}>{escaped}</{element}>' in written
    assert f'alt="{escaped}"' in written


def test_every_form_can_be_written_as_utf_8(page):
    for form in (page.text(), page.markdown(), page.html()):
        form.encode('utf-8')


def test_columns_are_aligned_by_the_width_that_a_terminal_gives_them():
    rows = [['abc', 1], ['\u6f22\u5b57', 22], ['e\u0301', 333]]
    assert table.render(['name', 'n'], rows, 'text', ['n']).split('\n') == [
        'name    n',
        'abc     1',
        '\u6f22\u5b57   22',  # two columns each
        'e\u0301     333',  # the accent takes none
    ]
