import threading

import pytest

from chainer_zoo import threads


@pytest.mark.parametrize(
    'given, expected', [('3', 3), ('', None), ('0', None), ('many', None), ('\u00b2', None)]
)
def test_the_limit_follows_the_environment(monkeypatch, given, expected):
    monkeypatch.setenv('OMP_NUM_THREADS', given)
    assert threads.limit() == expected if expected else threads.limit() >= 1


@pytest.mark.parametrize('length', [0, 1, 2, 7, 8])
@pytest.mark.parametrize('n', [0, 1, 2, 3, 8, 20])
def test_a_cut_loses_nothing(length, n):
    parts = threads.cut(length, n)
    assert [i for part in parts for i in range(length)[part]] == list(range(length))
    assert len(parts) == max(1, min(n, length))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_the_first_part_is_worked_on_here_and_the_others_elsewhere():
    found = {}

    def work(part):
        found[part] = threading.get_ident()

    threads.each([0, 1, 2], work)
    assert found[0] == threading.get_ident()
    assert threading.get_ident() not in (found[1], found[2])


def test_work_inside_of_work_does_not_wait_for_itself():
    found = []
    caller = threading.Thread(
        daemon=True,
        target=threads.each,
        args=(range(4), lambda outer: threads.each(range(4), lambda inner: found.append(inner))),
    )
    caller.start()
    caller.join(timeout=60)
    assert sorted(found) == sorted(4 * list(range(4)))


@pytest.mark.parametrize('failing', [0, 1])
def test_an_error_in_any_part_is_raised_when_all_are_done(failing):
    done = []

    def work(part):
        if part == failing:
            raise ZeroDivisionError
        done.append(part)

    with pytest.raises(ZeroDivisionError):
        threads.each([0, 1, 2], work)
    assert sorted(done) == sorted({0, 1, 2} - {failing})
