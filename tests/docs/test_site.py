"""The site: a page for each model and each public module, drawings of what a network does."""

import inspect
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest

import chainer_zoo
from chainer_zoo import catalog

DOCS = pathlib.Path(__file__).parents[2] / 'docs'
SVG = '{http://www.w3.org/2000/svg}'

sys.path.append(str(DOCS / '_ext'))

import block_drawing
import block_graph


@pytest.fixture(scope='module', params=catalog.names())
def block(request):
    """A model's name, and the nodes of its block."""
    return request.param, block_graph.trace(request.param)[1]


class TestDrawings:
    def test_every_node_stands_after_its_inputs(self, block):
        seen = []
        for node in block[1]:
            assert all(any(other is source for other in seen) for source in node.inputs)
            seen.append(node)

    def test_a_block_has_inputs_outputs_and_convolutions(self, block):
        _, nodes = block
        assert any(node.kind == 'end' and not node.inputs for node in nodes)
        assert any(node.kind == 'end' and node.inputs for node in nodes)
        assert any(node.kind == 'conv' for node in nodes)

    def test_every_function_is_drawn_once_in_a_box_of_its_own(self, block):
        name, nodes = block
        drawing = xml.etree.ElementTree.fromstring(block_drawing.draw(nodes, name))
        boxes = drawing.findall(f'{SVG}rect')
        assert len(boxes) == len(nodes)
        assert sorted(text.text for text in drawing.findall(f'{SVG}text')) == sorted(
            node.label for node in nodes
        )
        places = [
            tuple(float(box.get(key)) for key in ('x', 'y', 'width', 'height')) for box in boxes
        ]
        for i, (x, y, w, h) in enumerate(places):
            for x2, y2, w2, h2 in places[i + 1 :]:
                apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 + 0.1 or y2 + h2 <= y + 0.1
                assert apart, 'two boxes overlap'

    def test_edges_are_the_inputs(self, block):
        name, nodes = block
        drawing = block_drawing.draw(nodes, name)
        inside = len(nodes) - len(
            block_drawing._boxes(nodes)
        )  # next to each other, without an edge
        assert drawing.count('class="edge"') == sum(len(n.inputs) for n in nodes) - inside

    def test_a_drawing_shows_the_papers_block(self):
        _, nodes = block_graph.trace('resnext')
        labels = [node.label for node in nodes]
        assert labels.count('conv 1 x 1, 64') == labels.count('conv 3 x 3, 64') == 2
        assert labels.count('conv 1 x 1, 256') == labels.count('+') == 1

    def test_blocks_are_those_of_models(self):
        assert set(block_graph.BLOCKS) <= set(catalog.names())


@pytest.fixture(scope='module')
def model_pages():
    return pytest.importorskip('model_pages', reason='needs the extra docs')


@pytest.mark.parametrize('name', catalog.names())
def test_a_models_page_says_what_the_catalog_and_the_docstring_say(name, model_pages):
    text, entry = model_pages.page(name), catalog.entry(name)
    assert entry.paper in text and f'https://arxiv.org/abs/{entry.arxiv}' in text
    for option in entry.options:
        assert f'`--{option.name}`' in text and option.help in text
    for result in entry.results:
        assert f'**{result.figure}%**' in text
    words = re.sub(r'\W+', ' ', text)
    differences = inspect.getdoc(entry.model).partition('Differences:')[2].partition('\n\n')[0]
    for line in re.sub(r':\w+:`~?(?:[\w.]*\.)?(\w+)`', r'\1', differences).splitlines():
        assert re.sub(r'\W+', ' ', line).strip() in words


def test_every_public_module_is_on_one_page_of_the_reference():
    api_pages = pytest.importorskip('api_pages', reason='needs the extra docs')
    found = [name for members in api_pages.pages(api_pages.modules()).values() for name in members]
    folder = pathlib.Path(chainer_zoo.__file__).parent
    wanted = {
        '.'.join(('chainer_zoo', *path.relative_to(folder).with_suffix('').parts)).replace(
            '.__init__', ''
        )
        for path in folder.rglob('*.py')
    }
    public = {name for name in wanted if '._' not in name}
    assert sorted(found) == sorted(public)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    for extension in ('sphinx', 'myst_nb', 'furo', 'sphinx_copybutton'):
        pytest.importorskip(extension, reason='needs the extra docs')
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-m',
            'sphinx',
            '-q',
            '-W',
            '--keep-going',
            DOCS,
            tmp_path,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    pages = {path.stem for path in (tmp_path / 'models').glob('*.html')}
    assert pages == set(catalog.names())


def test_the_drawing_of_the_layers_is_that_of_the_contract():
    pytest.importorskip('tomllib', reason='needs Python 3.11')
    sys.path.append(str(DOCS))
    import draw_layers

    drawn = draw_layers.OUT.read_text(encoding='utf-8')
    assert drawn == draw_layers.draw(draw_layers.layers()), 'run python docs/draw_layers.py'
