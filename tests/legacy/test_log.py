"""log.json of the original is read, continued and written record for record."""

import json
import math
import time
import tracemalloc

import numpy as np
import pytest

from chainer_zoo.errors import UserError
from chainer_zoo.legacy.log import Log


@pytest.fixture
def log():
    log = Log([0, 1, 2], np.array([0, 1, 2, 0]), np.array([0, 0, 1, 1, 1, 2]), '<net>')
    log.add_epoch(4.5, 6.25, np.array([[2, 0, 0], [1, 1, 1], [0, 0, 1]]))
    log.add_epoch(2.5, 3.0, np.array([[1, 1, 0], [0, 3, 0], [0, 1, 0]]))
    return log


def test_the_originals_run_reads_as_it_was_reported(shared):
    history = Log.load(shared / 'original' / 'run' / 'log.json').history()
    assert (history.n_train, history.n_test, len(history.categories)) == (2000, 500, 10)
    np.testing.assert_allclose(history.test_loss[-1], 2.68274, atol=5e-6)
    assert history.accuracy.tolist() == [55 / 500, 64 / 500]
    assert history.confusion[1].diagonal().tolist() == [1, 7, 0, 0, 0, 0, 5, 49, 2, 0]
    assert (history.confusion.sum(axis=2) == 50).all()
    assert history.confusion[1, 3, 7] == 47
    assert history.model_name == 'resnext'


def test_a_real_log_is_written_again_byte_for_byte(shared, tmp_path):
    theirs = shared / 'original' / 'run' / 'log.json'
    history = Log.load(theirs).history()
    labels = np.repeat(np.arange(10), 50)
    ours = Log(range(10), np.zeros(2000), labels, history.model)
    sums = {
        name: [record['loss'] for record in json.loads(theirs.read_text()) if record['_id'] == name]
        for name in ('train_loss', 'test_loss')
    }
    for train, test, confusion in zip(sums['train_loss'], sums['test_loss'], history.confusion):
        ours.add_epoch(train, test, confusion)
    ours.save(tmp_path / 'log.json')
    assert (tmp_path / 'log.json').read_bytes() == theirs.read_bytes()


def test_records_come_in_the_originals_order(log):
    ids = [record['_id'] for record in log.records]
    epoch = [
        'train_loss',
        'test_loss',
        'test_accuracy_0',
        'test_accuracy_1',
        'test_accuracy_2',
        'test_accuracy',
        'test_accuracy_0_1',
        'test_accuracy_0_2',
        'test_accuracy_1_0',
        'test_accuracy_1_2',
        'test_accuracy_2_0',
        'test_accuracy_2_1',
    ]
    assert (
        ids
        == [
            'categories',
            'train_parameter',
            'test_parameter',
            'test_parameter_0',
            'test_parameter_1',
            'test_parameter_2',
            'model',
        ]
        + 2 * epoch
    )
    assert log.records[3:6] == [
        {'parameter': n, '_id': f'test_parameter_{i}'} for i, n in enumerate((2.0, 3.0, 1.0))
    ]


def test_losses_are_means_and_accuracies_shares(log):
    history = log.history()
    assert history.train_loss.tolist() == [4.5 / 4, 2.5 / 4]
    assert history.test_loss.tolist() == [6.25 / 6, 0.5]
    assert history.accuracy.tolist() == [4 / 6, 4 / 6]
    assert history.confusion[1].tolist() == [[1, 1, 0], [0, 3, 0], [0, 1, 0]]


def test_a_loaded_log_goes_on_where_it_ended(log, tmp_path):
    log.save(tmp_path / 'log.json')
    again = Log.load(tmp_path / 'log.json')
    assert again.records == log.records
    again.add_epoch(1.0, 2.0, np.diag([2, 3, 1]))
    assert again.records[: len(log.records)] == log.records
    assert again.history().accuracy.tolist() == [4 / 6, 4 / 6, 1]


def test_a_run_that_diverged_can_be_logged_and_read(log, tmp_path):
    log.add_epoch(float('nan'), float('inf'), np.diag([2, 3, 1]))
    log.save(tmp_path / 'log.json')
    history = Log.load(tmp_path / 'log.json').history()
    assert np.isnan(history.train_loss[2]) and np.isinf(history.test_loss[2])


def test_a_confusion_matrix_of_another_number_of_classes_is_an_error(log):
    with pytest.raises(ValueError, match='confusion'):
        log.add_epoch(1.0, 1.0, np.zeros((2, 2), int))


def refusal(log, path):
    """Save a log and load it, which has to be refused in one line that names the file."""
    path.write_text(json.dumps(log.records))
    with pytest.raises(UserError) as caught:
        Log.load(path)
    message = str(caught.value)
    assert str(path) in message and '\n' not in message and len(message) < 500
    message.encode('utf-8')
    return message


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda records: records.pop(0), "no record 'categories'"),
        (lambda records: records.pop(3), "no record 'test_parameter_0'"),
        (lambda records: records.pop(6), "no record 'model'"),
        (lambda records: records.pop(7), 'incomplete'),
        (lambda records: records.pop(-1), 'incomplete'),
        (lambda records: records.extend(records[-1:]), 'incomplete'),
        (lambda records: records[0].update(are=3), "'are' of the record 'categories' is 3"),
        (lambda records: records[0].update(are=[]), 'no classes'),
        (lambda records: records[0].update(are=[[]]), 'expected a number or text'),
        (lambda records: records[0].update(are=list(range(1001))), 'at most 1,000'),
        (lambda records: records[0].update(are=list(range(999))), "no record 'test_parameter_3'"),
        (lambda records: records[9].pop('_id'), "records with an '_id'"),
        (lambda records: records[9].update(_id=['test_loss']), "records with an '_id'"),
        (lambda records: records.append(7), "records with an '_id'"),
        (lambda records: records[6].update(model=7), "'model' of the record 'model' is 7"),
        (lambda records: records[6].update(model='x' * 10_001), 'text of at most 10,000'),
        (lambda records: records[12].update(accuracy=7), 'from 0 to 6'),  # of 6 test images
    ],
)
def test_a_log_that_makes_no_sense_is_refused(log, tmp_path, change, words):
    change(log.records)
    assert words in refusal(log, tmp_path / 'log.json')


WRONG = [-1, 0.5, 1e30, 10**30, 1e308, 10**400, math.inf, -math.inf, math.nan]
WRONG += ['1', 'many', None, True, [], [1], {}, '\ud800', 'x' * 1000, [[[[[[1]]]]]]]


@pytest.mark.parametrize('value', WRONG, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    'index', [1, 2, 3, 9, 12, 13], ids=['train', 'test', 'class', 'right of 0', 'right', 'taken']
)
def test_counts_are_whole_numbers_in_their_range(log, tmp_path, index, value):
    (field,) = set(log.records[index]) - {'_id'}
    log.records[index][field] = value
    assert 'expected a whole number from' in refusal(log, tmp_path / 'log.json')


@pytest.mark.parametrize('index', [1, 2])
def test_there_is_at_least_one_image(log, tmp_path, index):
    log.records[index]['parameter'] = 0
    assert 'is 0: expected a whole number from 1' in refusal(log, tmp_path / 'log.json')


@pytest.mark.parametrize(
    'value',
    [1e51, -1e51, 1e308, 10**24 * 10**27, '1', True, [], {}, '\ud800', 'x' * 1000],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize('index', [7, 8])
def test_losses_are_numbers_in_their_range(log, tmp_path, index, value):
    log.records[index]['loss'] = value
    assert 'expected a number from -1e+50 to 1e+50' in refusal(log, tmp_path / 'log.json')


@pytest.mark.parametrize(
    'value, is_read_as',
    [
        (math.nan, math.nan),
        (None, math.nan),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (10**400, math.inf),  # numbers have no limit in JSON
        (1e45, 1e45 / 6),
        (3, 0.5),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_loss_of_a_run_that_diverged_is_read(log, tmp_path, value, is_read_as):
    log.records[8]['loss'] = value
    log.save(tmp_path / 'log.json')
    history = Log.load(tmp_path / 'log.json').history()
    np.testing.assert_array_equal(history.test_loss[0], is_read_as)


@pytest.mark.parametrize('n_class, epochs', [(300, 1), (10, 800)])
def test_large_logs_are_read_in_linear_time(n_class, epochs, tmp_path):
    """An epoch of 300 classes has 90,000 records."""
    log = Log(range(n_class), np.zeros(6), np.arange(6), '<net>')
    confusion = np.zeros((n_class, n_class), int)
    for _ in range(epochs):
        log.add_epoch(1.0, 2.0, confusion)
    log.save(tmp_path / 'log.json')
    start = time.process_time()
    history = Log.load(tmp_path / 'log.json').history()
    assert time.process_time() - start < 15  # looking for each record among all takes an hour
    assert history.confusion.shape == (epochs, n_class, n_class)


def test_a_log_that_declares_many_classes_takes_no_memory(log, tmp_path):
    log.records[0]['are'] = list(range(1000))
    log.records[3:6] = [{'parameter': 0, '_id': f'test_parameter_{i}'} for i in range(1000)]
    tracemalloc.start()
    try:
        assert 'incomplete' in refusal(log, tmp_path / 'log.json')
        assert tracemalloc.get_traced_memory()[1] < 1 << 23  # the counts would take 16 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    'content',
    [b'', b'[{"_id": "cat', b'{}', b'7', b'null', b'"log"', b'\xff\xfe', b'[' * 100000, b'[]'],
)
def test_files_that_are_no_log_are_refused_in_one_line(tmp_path, content):
    (tmp_path / 'log.json').write_bytes(content)
    with pytest.raises(UserError, match='log.json') as caught:
        Log.load(tmp_path / 'log.json')
    assert '\n' not in str(caught.value)


def test_folders_and_absent_files_are_refused(tmp_path):
    with pytest.raises(UserError, match='it is a folder'):
        Log.load(tmp_path)
    with pytest.raises(UserError, match='No such file'):
        Log.load(tmp_path / 'log.json')


@pytest.mark.parametrize(
    'module, name',
    [
        ('resnext', 'resnext'),
        ('residual_net', 'preresnet'),
        ('original_residual_net', 'resnet'),
        ('prelu', 'prelu_net'),
        ('network_in_network_with_bn', 'nin_bn'),
    ],
)
def test_a_model_of_the_original_is_known_by_the_module_of_its_class(log, module, name):
    log.records[6]['model'] = f'<{module}.Some object at 0x7f0c>'
    assert log.history().model_name == name


def test_another_model_has_no_name(log):
    assert log.history().model_name is None


@pytest.mark.parametrize(
    'counts, words',
    [
        ((4, 4, 6), 'of 3 classes, this run has 4'),
        ((3, 5, 6), 'of 4 training images'),
        ((3, 4, 7), 'of 6 test images'),
    ],
)
def test_a_log_of_other_data_is_not_gone_on_with(log, counts, words):
    log.must_count(3, 4, 6)
    with pytest.raises(UserError, match=words):
        log.must_count(*counts)
