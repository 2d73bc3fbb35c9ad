"""The checker is itself checked: with histories that are linearizable, and with some that are not."""
import itertools
import random

import pytest

from linearizability import (FOREVER, UNKNOWN, Call, History, check, counter, linearizable, register,
                             shortest_bad_prefix)


def w(value, invoked, returned):
    if returned is None:
        return Call('k', 'write', value, invoked)
    return Call('k', 'write', value, invoked, returned, 'ok')


def r(value, invoked, returned):
    return Call('k', 'read', None, invoked, returned, value)


def add(value, invoked, returned):
    return Call('k', 'add', None, invoked, returned, value)


GOOD = {
    'nothing': [],
    'one after the other': [w(1, 0, 1), r(1, 2, 3), w(2, 4, 5), r(2, 6, 7)],
    'the first value': [r(0, 0, 1)],
    'overlapping writes in either order': [w(1, 0, 10), w(2, 0, 10), r(2, 11, 12), r(2, 13, 14)],
    'a read within a write sees the old one': [w(1, 0, 10), r(0, 1, 2), r(1, 3, 4)],
    'and the new one': [w(1, 0, 10), r(1, 1, 2)],
    'a write that never returned and is seen much later': [w(1, 0, None), r(0, 5, 6), r(1, 100, 101)],
    'or never': [w(1, 0, None), r(0, 5, 6), r(0, 100, 101)],
    'two of those, in the order of their effect': [w(1, 0, None), w(2, 1, None), r(2, 5, 6), r(1, 7, 8)],
    'Herlihy and Wing, H1': [w(0, 0, 3), w(1, 1, 4), r(1, 5, 6), w(0, 5.5, 9), r(0, 7, 8)],
}
BAD = {
    'a value from nowhere': [r(7, 0, 1)],
    'a write that returned is not seen': [w(1, 0, 1), r(0, 2, 3)],
    'back to the old value': [w(1, 0, 10), r(1, 1, 2), r(0, 3, 4)],
    'a write undone by a later crash': [w(1, 0, 1), r(1, 2, 3), w(2, 4, 5), r(1, 6, 7)],
    'two readers that disagree on the order': [w(1, 0, 10), w(2, 0, 10), r(1, 11, 12), r(2, 13, 14)],
    'an unknown write seen before it was made': [r(1, 0, 1), w(1, 2, None)],
    'an unknown write that takes effect twice': [w(1, 0, None), r(1, 1, 2), w(2, 3, 4), r(1, 5, 6)],
    'Herlihy and Wing, H2': [w(0, 0, 3), w(1, 1, 4), r(1, 5, 6), r(0, 7, 8)],
}


@pytest.mark.parametrize('name', GOOD)
def test_linearizable(name):
    assert linearizable(GOOD[name], 0, register)


@pytest.mark.parametrize('name', BAD)
def test_not_linearizable(name):
    assert not linearizable(BAD[name], 0, register)
    bad = shortest_bad_prefix(BAD[name], 0, register)
    assert bad and not linearizable(bad, 0, register)


def test_counters():
    assert linearizable([add(2, 0, 5), add(1, 0, 5), add(3, 6, 7)], 0, counter)
    assert not linearizable([add(2, 0, 1), add(1, 2, 3)], 0, counter)
    assert not linearizable([add(1, 0, 5), add(1, 0, 5)], 0, counter), 'one number given twice'
    lost = Call('k', 'add', None, 0)
    assert linearizable([lost, add(2, 1, 2)], 0, counter)
    assert linearizable([lost, add(1, 1, 2)], 0, counter)
    assert not linearizable([lost, add(3, 1, 2)], 0, counter)


def brute_force(calls):
    """Every order of every choice of the unknown ones."""
    known = [c for c in calls if c.answer is not UNKNOWN]
    unknown = [c for c in calls if c.answer is UNKNOWN and c.name != 'read']
    for k in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, k):
            for order in itertools.permutations(known + list(some)):
                state = 0
                for i, c in enumerate(order):
                    if any(later.returned < c.invoked for later in order[i + 1:]):
                        break
                    state, answer = register(state, c.name, c.argument)
                    if c.answer is not UNKNOWN and answer != c.answer:
                        break
                else:
                    return True
    return False


def test_against_brute_force():
    rng, found = random.Random(5), {True: 0, False: 0}
    for _ in range(1500):
        calls = []
        for _ in range(rng.randint(1, 6)):
            at = rng.randint(0, 8)
            value, back = rng.randint(0, 2), at + rng.randint(1, 5) + rng.random() / 2
            kind = rng.random()
            calls.append(w(value, at, None) if kind < 0.2 else w(value, at, back) if kind < 0.5 else
                         r(value, at, back))
        expected = brute_force(calls)
        found[expected] += 1
        assert linearizable(calls, 0, register) == expected, '\n'.join(map(str, calls))
    assert min(found.values()) > 200, found


def test_a_long_history_with_unknown_calls_is_checked_in_time():
    """As many as a test makes: 4 clients, 600 calls, 30 of unknown outcome, most of them lost."""
    rng, calls, value, now = random.Random(3), [], 0, 0.0
    for i in range(150):
        now += 10
        batch = [w(1000 + 4 * i + k, now + k / 10, None if rng.random() < 0.05 else now + 5)
                 for k in range(2)]
        for c in batch:
            if c.answer is not UNKNOWN or rng.random() < 0.3:
                value = c.argument
        calls += batch + [r(value, now + 6, now + 7), r(value, now + 6, now + 8)]
    assert linearizable(calls, 0, register)
    stale = next(c.argument for c in calls if c.name == 'write')
    assert not linearizable(calls + [r(stale, now + 9, now + 10)], 0, register)


def test_each_key_by_itself():
    clock = itertools.count().__next__
    h = History(clock)
    for key in ('a/1', 'a/2'):
        h.call(key, 'write', key, lambda: 'ok')
        h.call(key, 'read', None, lambda: key)
    h.call('n/1', 'add', None, lambda: 1)
    h.call('n/1', 'add', None, lambda: UNKNOWN)
    h.call('n/1', 'read', None, lambda: 2)
    models = {'a/': (0, register), 'n/': (0, counter)}
    check(h, models)
    assert h.calls[-2].returned == FOREVER
    h.call('n/1', 'add', None, lambda: 4)
    with pytest.raises(AssertionError, match='n/1 is not linearizable'):
        check(h, models)
