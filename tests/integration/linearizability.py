"""Checks recorded histories of concurrent calls for linearizability, one key at a time.

A history is linearizable when every call can be given one moment between its invocation and its return
at which it took effect, such that a single sequential object would have given the same answers (Herlihy
and Wing). A call whose outcome is unknown (a timeout, a connection that broke) may have taken effect at
any moment after its invocation, or never.

Objects with different keys do not meet, so each key's history is checked by itself: that is what keeps
this affordable (Herlihy and Wing's locality). The search is Wing and Gong's with Lowe's memory: never
look twice at the same set of calls done with the same state.
"""
import itertools
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

UNKNOWN = object()  # an answer that never came
FOREVER = float('inf')


@dataclass
class Call:
    key: str
    name: str
    argument: Any
    invoked: float
    returned: float = FOREVER
    answer: Any = UNKNOWN

    def __str__(self):
        if self.answer is UNKNOWN:
            return f'{self.invoked:9.4f} ...       {self.name}({self.argument}) = ?'
        return f'{self.invoked:9.4f} {self.returned:9.4f} {self.name}({self.argument}) = {self.answer}'


class History:
    """Recorded by many threads."""

    def __init__(self, clock=time.monotonic):
        self.calls, self.lock, self.clock = [], threading.Lock(), clock
        self.begun = clock()

    def call(self, key, name, argument, work):
        """Records work(), which returns an answer, or UNKNOWN where it cannot know. An exception is
        recorded as unknown and goes on."""
        c = Call(key, name, argument, self.clock() - self.begun)
        with self.lock:
            self.calls.append(c)
        answer = work()
        if answer is not UNKNOWN:
            c.answer, c.returned = answer, self.clock() - self.begun
        return answer

    def by_key(self):
        keys = defaultdict(list)
        for c in self.calls:
            keys[c.key].append(c)
        return keys


def linearizable(calls, initial, step):
    """Whether the calls on one object are. step(state, name, argument) -> (state, answer); states can be
    hashed. step.idle(call, calls), where it has one, tells calls of unknown outcome that cannot matter."""
    idle = getattr(step, 'idle', lambda call, all: False)
    calls = sorted((c for c in calls if c.answer is not UNKNOWN or not idle(c, calls)),
                   key=lambda c: c.invoked)
    must = sum(1 << i for i, c in enumerate(calls) if c.answer is not UNKNOWN)
    before = twins(calls)
    seen, todo = {(0, initial)}, [(0, initial)]
    while todo:
        done, state = todo.pop()
        if done & must == must:
            return True
        for i in candidates(calls, done):
            if before[i] is not None and not done >> before[i] & 1:
                continue
            after, answer = step(state, calls[i].name, calls[i].argument)
            if calls[i].answer is not UNKNOWN and calls[i].answer != answer:
                continue
            place = (done | 1 << i, after)
            if place not in seen:
                seen.add(place)
                todo.append(place)
    return False


def twins(calls):
    """Of unknown calls that say the same, the one invoked earlier can be wherever the later can: it is
    always taken first. For each call, the index of the one before it, or None."""
    last, before = {}, []
    for i, c in enumerate(calls):
        kind = (c.name, c.argument)
        before.append(last.get(kind) if c.answer is UNKNOWN else None)
        if c.answer is UNKNOWN:
            last[kind] = i
    return before


def candidates(calls, done):
    """The calls that can be next: none that is not done has returned before they were invoked."""
    first_return = FOREVER
    found = []
    for i, c in enumerate(calls):
        if c.invoked > first_return:
            break
        if not done >> i & 1:
            found.append(i)
            first_return = min(first_return, c.returned)
    return [i for i in found if calls[i].invoked <= first_return]


def shortest_bad_prefix(calls, initial, step):
    """For the reader of a failure: the calls up to the first return at which no order is left."""
    for end in sorted(c.returned for c in calls if c.answer is not UNKNOWN):
        prefix = [c if c.returned <= end else Call(c.key, c.name, c.argument, c.invoked)
                  for c in calls if c.invoked <= end]
        if not linearizable(prefix, initial, step):
            return prefix
    return None


def check(history, models):
    """models: prefix of keys -> (initial state, step). Raises with the shortest bad prefix."""
    for key, calls in history.by_key().items():
        initial, step = next(m for prefix, m in models.items() if key.startswith(prefix))
        if not linearizable(calls, initial, step):
            bad = shortest_bad_prefix(calls, initial, step)
            raise AssertionError(f'{key} is not linearizable:\n' + '\n'.join(
                map(str, itertools.islice(bad, max(0, len(bad) - 40), None))))


# --- objects

def register(state, name, argument):
    """write(v) -> 'ok'; read() -> the value."""
    return (argument, 'ok') if name == 'write' else (state, state)


def _register_idle(call, calls):
    """A read that was never answered; a write of what nobody has seen: between it and the next write
    nothing was read."""
    return call.name == 'read' or not any(
        c.name == 'read' and c.answer == call.argument for c in calls)


register.idle = _register_idle


def counter(state, name, argument):
    """add() -> the new number; read() -> the number."""
    return (state + 1, state + 1) if name == 'add' else (state, state)


counter.idle = lambda call, calls: call.name == 'read'
