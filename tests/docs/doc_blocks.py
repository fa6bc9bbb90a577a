"""Reading the documentation's Markdown: code blocks and what a comment before them says."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]

#: Everything that people read, as far as it is committed.
PAGES = [
    *sorted(ROOT.glob('*.md')),
    *sorted(
        path
        for path in (ROOT / 'docs').rglob('*.md')
        if path.relative_to(ROOT / 'docs').parts[0] not in ('_build', 'api', 'models')
    ),
]

#: The pages that people write; the others are what a program printed.
WRITTEN = [page for page in PAGES if page.name != 'gpu_check.md']

#: Languages of blocks that are commands or programs; all others are what something prints or says.
CODE = {'sh', 'python'}
KNOWN = CODE | {'text', 'toml', 'yaml', 'dockerfile', 'makefile', '{toctree}', '{include}', '{raw}'}

_COMMENT = re.compile(r'<!-- (not run|slow|before): (.+?) -->')


@dataclasses.dataclass
class Block:
    """A fenced code block.

    Attributes:
        language: the word after the fence.
        text: what is inside.
        line: where it starts.
        not_run: why it is not run, or None.
        slow: why it is only run with the slow tests, or None.
        before: commands that make what it needs.
    """

    language: str
    text: str
    line: int
    not_run: 'str | None' = None
    slow: 'str | None' = None
    before: 'list[str]' = dataclasses.field(default_factory=list)


def blocks(text):
    """Return the code blocks of a page, each with the comments that stand right before it."""
    found, marks, block, indent = [], [], None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            if line.strip() == '```':
                block = None
            else:
                block.text += line[indent:] + '\n'
            continue
        comment = _COMMENT.fullmatch(line.strip())
        if comment:
            marks.append(comment.groups())
        elif line.strip().startswith('```'):
            indent = len(line) - len(line.lstrip())
            says = dict(marks)
            block = Block(
                line.strip()[3:].split(' ')[0],
                '',
                number,
                says.get('not run'),
                says.get('slow'),
                [command for kind, command in marks if kind == 'before'],
            )
            found.append(block)
            marks = []
        elif line.strip():
            marks = []
    return found
