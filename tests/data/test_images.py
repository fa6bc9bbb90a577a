import gc
import importlib
import json
import multiprocessing
import os
import pathlib
import threading

import chainer
import chainer.functions as F
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import jit
from chainer_zoo import threads
from chainer_zoo.data import cifar10
from chainer_zoo.data import images
from chainer_zoo.data import resample
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / 'golden'
#: By file: what the original gives; the two of the older crops tell their size class.
FILES = {
    'images': None,
    'images-small-article': 'small-article',
    'images-big-article': 'big-article',
}
CASES = [
    (file, number, case)
    for file in FILES
    for number, case in enumerate(json.loads((GOLDEN / f'{file}.json').read_text()))
]
# Sums of float32 in another order; a grey level more or less is 0.008 and more.
ROUNDING = 5e-6
CLASS_OF_CROP = {32: 'small', 128: 'big', 224: 'bigger'}


@pytest.fixture(params=['compiled', 'products'], autouse=True)
def way(request, monkeypatch):
    """How the images of every test here are prepared: by Numba, or as without it."""
    if request.param == 'products':
        monkeypatch.setattr(jit, 'loops', lambda name: None)
    elif jit.why_not() is not None:
        pytest.skip(jit.why_not())


@pytest.fixture
def loops():
    """The module of the compiled loops, which the other way leaves alone."""
    if jit.why_not() is not None:
        pytest.skip(jit.why_not())
    return importlib.import_module('chainer_zoo.data.images_cpu')


compiled_only = pytest.mark.parametrize('way', ['compiled'], indirect=True)


@pytest.fixture(scope='module')
def golden():
    """Inputs, and for each file what the original makes of them."""
    found = {}
    for file in FILES:
        with np.load(GOLDEN / f'{file}.npz') as arrays:
            found[file] = dict(arrays)
    return found


@pytest.fixture(scope='module')
def x(golden):
    """Five real images, several times: uint8 (20, 3, 32, 32)."""
    return np.concatenate(
        [golden['images']['inputs'][:, ::a, :, ::b] for a in (1, -1) for b in (1, -1)]
    )


def choices_of(case):
    interpolation = 'bicubic' if case['interpolation'] == 'cubic' else case['interpolation']
    return images.Choices([case['size']], [interpolation], [case['top']], [case['left']], [False])


def by_hand(image, size, interpolation, top, left, flip, crop, variance_floor=10):
    """Prepare one image with Pillow, step by step as the original does; float64 (3, S, S)."""
    Image = pytest.importorskip('PIL.Image')
    low, high = image.min(), image.max()
    scale = np.float32(255.0 / max(1, int(high) - int(low)))
    stretched = ((image - low).astype('f') * scale + np.float32(0.5)).astype(np.uint8)
    filters = {'nearest': 0, 'bilinear': 2, 'bicubic': 3}
    image = Image.fromarray(stretched.transpose(1, 2, 0))
    image = image.resize((size, size), filters[interpolation])
    y = np.asarray(image)[top : top + crop, left : left + crop].astype(np.float64)
    y = (y - y.mean()) / np.sqrt(y.var() + variance_floor)
    return (y[:, ::-1] if flip else y).transpose(2, 0, 1)


@pytest.mark.parametrize(
    'file, number, case', [pytest.param(*case, id=f'{case[0]}-{case[1]}') for case in CASES]
)
def test_gives_what_the_original_gives(file, number, case, golden):
    prepared = images.ImagePipeline(FILES[file] or CLASS_OF_CROP[case['crop']])
    if not case.get('train', True):
        assert case['crop'] == case['size'] == prepared.sizes.test
    elif FILES[file] is not None:
        assert case['crop'] == prepared.sizes.crop
    x = golden['images']['inputs'][case['input']][None]
    y = prepared.prepare(x, choices_of(case), case['crop'])[0]
    assert y.dtype == np.float32 and y.shape == (3, case['crop'], case['crop'])
    step = case.get('step', 16 if case['crop'] == 224 else 1)
    expected = golden[file][f'out_{number:03d}']
    np.testing.assert_allclose(y[:, ::step, ::step], expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize('name', images.SIZE_CLASSES)
def test_every_choice_is_carried_out_for_its_own_image(name, x):
    prepared = images.ImagePipeline(name)
    drawn = prepared.draw(len(x), np.random.RandomState(4))
    y = prepared.prepare(x, drawn, prepared.sizes.crop)
    expected = np.array(
        [
            by_hand(image, *choice, prepared.sizes.crop, prepared.sizes.variance_floor)
            for image, choice in zip(x, zip(*drawn))
        ]
    )
    np.testing.assert_allclose(y, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize('name', images.SIZE_CLASSES)
def test_the_test_images_are_resized_whole(name, x):
    sizes = images.SIZE_CLASSES[name]
    size = sizes.test
    y = images.ImagePipeline(name).test(x[:3])
    assert y.shape == (3, 3, size, size)
    for i in range(3):
        expected = by_hand(x[i], size, 'bilinear', 0, 0, False, size, sizes.variance_floor)
        np.testing.assert_allclose(y[i], expected, rtol=0, atol=ROUNDING)


@pytest.mark.gpu
@pytest.mark.parametrize('name', images.SIZE_CLASSES)
def test_the_gpu_gives_what_the_cpu_gives(name, x):
    try:
        device = devices.find(0)
    except UserError as error:
        pytest.skip(str(error))
    prepared = images.ImagePipeline(name)
    for prepare in prepared.test, lambda x: prepared.train(x, np.random.RandomState(6)):
        y = prepare(device.send(x))
        assert chainer.backend.get_device_from_array(y) == device and y.dtype == np.float32
        np.testing.assert_allclose(
            chainer.backends.cuda.to_cpu(y), prepare(x), rtol=0, atol=ROUNDING
        )


@pytest.fixture
def three_threads(loops, monkeypatch):
    """Let even a few images be shared out."""
    monkeypatch.setattr(threads, 'limit', lambda: 3)
    monkeypatch.setattr(loops, '_SHARE', 1 << 12)


@compiled_only
def test_a_batch_is_shared_out_among_threads(x, three_threads, monkeypatch):
    found = []
    monkeypatch.setattr(threads, 'each', lambda parts, work: found.extend(parts))
    images.ImagePipeline('big').test(x)
    assert found == [slice(0, 6), slice(6, 13), slice(13, 20)]


@compiled_only
def test_the_loops_are_compiled_once_for_arrays_of_every_kind(x, loops):
    prepared = images.ImagePipeline('small')
    fixed = x.copy()
    fixed.flags.writeable = False
    for given in x, x[:, :, ::-1], x[::2], np.asfortranarray(x), fixed, x[:1]:
        prepared.test(given)
        prepared.train(given, np.random.RandomState(0))
    assert len(loops._prepare.signatures) == 1


def test_threads_and_the_rest_of_a_batch_change_nothing(x, three_threads):
    prepared = images.ImagePipeline('big')
    drawn = prepared.draw(len(x), np.random.RandomState(0))
    together = prepared.prepare(x, drawn, 128)
    for i in range(len(x)):
        alone = prepared.prepare(x[i : i + 1], [c[i : i + 1] for c in drawn], 128)[0]
        np.testing.assert_array_equal(together[i], alone)


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs a fork')
def test_a_forked_process_prepares_images_too(x, three_threads):
    prepared = images.ImagePipeline('big')
    expected = prepared.test(x)
    with multiprocessing.get_context('fork').Pool(1) as pool:
        y = pool.apply_async(prepared.test, (x,)).get(timeout=60)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
@pytest.mark.parametrize(
    'old, size, crop',
    [(32, 100, 89), (32, 299, 299), (64, 90, 70), (9, 300, 128), (32, 32, 27), (40, 25, 25)],
)
def test_other_sizes_of_images_and_crops(old, size, crop, interpolation):
    """Images that are greatly or hardly enlarged, only cut out and flipped, or shrunk."""
    x = np.random.RandomState(old).randint(0, 256, (5, 3, old, old)).astype(np.uint8)
    edge = size - crop
    choices = images.Choices(
        [size] * 5,
        [interpolation] * 5,
        [0, edge, edge // 2, 0, edge],
        [edge, 0, edge // 3, edge, 0],
        [False, True, True, True, False],
    )
    y = images.ImagePipeline('big').prepare(x, choices, crop)
    for i, choice in enumerate(zip(*choices)):
        expected = by_hand(x[i], *choice, crop)
        np.testing.assert_allclose(y[i], expected, rtol=0, atol=ROUNDING)


def test_one_object_serves_several_threads(x):
    prepared = images.ImagePipeline('small')
    expected = [prepared.train(x, np.random.RandomState(i)) for i in range(8)]
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(prepared.train(x, np.random.RandomState(i)), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_later_batches_leave_earlier_ones_alone(x):
    prepared = images.ImagePipeline('small')
    first = prepared.train(x, np.random.RandomState(0))
    kept = first.copy()
    prepared.train(x[::-1].copy(), np.random.RandomState(1))
    np.testing.assert_array_equal(first, kept)


def test_a_batch_that_is_looked_at_through_a_small_view_is_left_alone(x):
    prepared = images.ImagePipeline('small')
    view = chainer.Variable(prepared.train(x, np.random.RandomState(0))[3:5].reshape(-1)[::7]).array
    kept = view.copy()
    gc.collect()
    for i in range(3):
        prepared.train(x, np.random.RandomState(i + 1))
    np.testing.assert_array_equal(view, kept)


def test_the_memory_of_a_batch_that_is_gone_is_used_again(x):
    prepared = images.ImagePipeline('small')
    batch = prepared.train(x, np.random.RandomState(0))
    address = batch.ctypes.data
    del batch
    gc.collect()
    assert prepared.train(x[:3], np.random.RandomState(1)).ctypes.data != address  # another size
    batch = prepared.train(x, np.random.RandomState(2))
    address = batch.ctypes.data
    expected = batch.copy()
    del batch
    gc.collect()
    again = prepared.train(x, np.random.RandomState(2))
    assert again.ctypes.data == address
    np.testing.assert_array_equal(again, expected)


def test_each_image_has_mean_zero_and_variance_just_below_one(x):
    y = images.ImagePipeline('bigger').train(x[:4], np.random.RandomState(0)).astype(np.float64)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    variance = y.var(axis=(1, 2, 3))
    assert (0.95 < variance).all() and (variance < 1).all()


@pytest.mark.parametrize('level', [0, 7, 255])
@pytest.mark.parametrize('name', ['small', 'small-article'])
def test_an_even_image_becomes_zero(level, name):
    x = np.full((2, 3, 32, 32), level, dtype=np.uint8)
    prepared = images.ImagePipeline(name)
    assert not prepared.test(x).any()
    assert not prepared.train(x, np.random.RandomState(0)).any()


def test_brightness_and_contrast_do_not_matter_as_a_image_is_stretched(x):
    dull = (x[:1] // 4 + 30).astype(np.uint8)
    stretched = images.ImagePipeline('small').test(dull)
    span = float(dull.max()) - dull.min()
    levels = np.floor((dull - dull.min()).astype('f') * np.float32(255 / span) + 0.5).astype('d')
    expected = (levels - levels.mean()) / np.sqrt(levels.var() + 10)
    np.testing.assert_allclose(stretched, expected, atol=1e-5)


def test_draws_are_uniform_with_both_ends_and_bicubic_half_of_the_time():
    n = 40000
    drawn = images.ImagePipeline('small').draw(n, np.random.RandomState(0))
    sizes = np.bincount(drawn.size)
    assert np.flatnonzero(sizes).tolist() == [32, 33, 34, 35, 36]
    assert abs(sizes[32:] - n / 5).max() < 5 * np.sqrt(n * 0.16)
    interpolation = np.array(drawn.interpolation)
    for name, share in ('nearest', 0.25), ('bilinear', 0.25), ('bicubic', 0.5):
        assert abs((interpolation == name).mean() - share) < 5 * np.sqrt(0.25 / n)
    assert abs(drawn.flip.mean() - 0.5) < 5 * np.sqrt(0.25 / n)
    for corner in drawn.top, drawn.left:
        assert (corner >= 0).all() and (corner <= drawn.size - 32).all()
        largest = np.bincount(corner[drawn.size == 36], minlength=5)
        assert abs(largest - largest.sum() / 5).max() < 5 * np.sqrt(largest.sum() * 0.16)
    assert abs(np.corrcoef(drawn.top[drawn.size == 36], drawn.left[drawn.size == 36])[0, 1]) < 0.06


def test_the_same_generator_state_gives_the_same_batch(x):
    prepared = images.ImagePipeline('small')
    one, same, other = (prepared.train(x, np.random.RandomState(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_gives_the_type_that_is_asked_for(dtype, x):
    y = images.ImagePipeline('small', dtype).test(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, images.ImagePipeline('small').test(x), rtol=1e-3)


def test_images_of_another_size_are_shrunk(x):
    large = x.repeat(3, axis=2).repeat(3, axis=3)
    y = images.ImagePipeline('small').test(large)
    for i in range(3):
        expected = by_hand(large[i], 32, 'bilinear', 0, 0, False, 32)
        np.testing.assert_allclose(y[i], expected, rtol=0, atol=ROUNDING)


def test_an_empty_batch_stays_empty(x):
    prepared = images.ImagePipeline('big')
    assert prepared.test(x[:0]).shape == (0, 3, 128, 128)
    assert prepared.train(x[:0], np.random.RandomState(0)).shape == (0, 3, 128, 128)


@pytest.mark.parametrize(
    'wrong',
    [
        np.zeros((2, 3, 32, 32), dtype=np.float32),
        np.zeros((3, 32, 32), dtype=np.uint8),
        np.zeros((2, 1, 32, 32), dtype=np.uint8),
        np.zeros((2, 3, 32, 30), dtype=np.uint8),
    ],
)
def test_anything_but_square_uint8_colour_images_is_refused(wrong):
    with pytest.raises(ValueError, match='uint8 images'):
        images.ImagePipeline('small').test(wrong)


@pytest.mark.parametrize('n', [1, 3, 5])
def test_too_few_or_too_many_choices_are_refused(n, x):
    prepared = images.ImagePipeline('small')
    with pytest.raises(ValueError, match='each of 4 images'):
        prepared.prepare(x[:4], prepared.whole(n), 32)


@pytest.mark.parametrize('top, left', [(2, 0), (0, 2), (-1, 0)])
def test_a_crop_over_the_edge_is_refused(top, left, x):
    choices = images.Choices([33], ['nearest'], [top], [left], [False])
    with pytest.raises(ValueError, match='beyond the edge'):
        images.ImagePipeline('small').prepare(x[:1], choices, 32)


def test_an_unknown_size_class_is_refused_with_those_that_are_known():
    with pytest.raises(UserError, match='small, big, bigger, huge'):
        images.ImagePipeline('tiny')


def test_a_model_of_the_original_tests_as_the_original_logged(shared, cifar10_folder):
    """Its run was tested on the first 50 of each class of test_batch, class after class."""
    real = cifar10.read(str(cifar10_folder))
    first = np.concatenate([np.flatnonzero(real.test_y == label)[:50] for label in range(10)])
    x, y = real.test_x[first], real.test_y[first]
    model = chainer_zoo.build('resnext', n_class=10, C=2, d=4)
    chainer.serializers.load_npz(
        os.path.join(str(shared), 'original', 'run', 'ResNext_10_2_2.model'), model
    )
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        logits = model(images.ImagePipeline('small').test(x))
        loss = float(F.softmax_cross_entropy(logits, y).array)
        accuracy = float(F.accuracy(logits, y).array)
    assert loss == pytest.approx(2.682735, abs=1e-5)
    assert accuracy == pytest.approx(0.128, abs=1e-5)
