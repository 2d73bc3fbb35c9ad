"""From createdAt to stoppedAt: times, codes, reasons, order, health."""
import time

import pytest

from conftest import wait_for
from tasks import (container, describe, exit_codes, make_group, output, register, run, stop,
                   wait_status, with_logs)

TIMES = ('createdAt', 'pullStartedAt', 'pullStoppedAt', 'startedAt', 'executionStoppedAt',
         'stoppedAt')


def depends(name, condition):
    return [{'containerName': name, 'condition': condition}]


def in_order(t, names=TIMES):
    for name in names:
        assert name in t, (name, t)
    times = [t[name] for name in names]
    assert times == sorted(times), dict(zip(names, times))


def reasons(t):
    return {c['name']: c.get('reason') for c in t['containers']}


def test_times_of_tasks_that_end_by_themselves(gantry, busybox):
    """Many, and short: an exit may overtake the news of the start."""
    d = register(gantry, 'short', container(busybox, command=['true']))
    for _ in range(3):
        tasks = gantry.client('ecs').run_task(taskDefinition=d, count=10)['tasks']
        for arn in [t['taskArn'] for t in tasks]:
            t = wait_status(gantry, arn, 'STOPPED')
            assert (t['stopCode'], t['stoppedReason'], t['desiredStatus']) == (
                'EssentialContainerExited', 'Essential container in task exited', 'STOPPED')
            assert exit_codes(t) == {'main': 0}
            in_order(t)
            in_order(t, ('startedAt', 'stoppingAt', 'stoppedAt'))


def test_times_of_a_task_that_is_stopped(gantry, busybox):
    d = register(gantry, 'stopped', container(busybox, command=['sleep', '1000'], stopTimeout=1))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    t = gantry.client('ecs').stop_task(task=arn, reason='enough')['task']
    assert (t['desiredStatus'], t['stopCode'], t['stoppedReason']) == (
        'STOPPED', 'UserInitiated', 'enough')
    t = wait_status(gantry, arn, 'STOPPED')
    assert (t['stopCode'], t['stoppedReason']) == ('UserInitiated', 'enough')
    assert exit_codes(t) == {'main': 137}
    in_order(t)
    in_order(t, ('startedAt', 'stoppingAt', 'executionStoppedAt'))


@pytest.mark.parametrize('command,words', [
    (['/no/such'], 'No such file or directory'), (['no-such'], 'executable file not found in $PATH'),
    (['/etc/passwd'], 'Permission denied'), (['/etc'], 'Permission denied')])
def test_what_cannot_be_executed_never_started(gantry, busybox, command, words):
    """Docker exits with 126 or 127; ECS shows no exit code but why. At once, logs or not."""
    make_group(gantry)
    for c in (container(busybox, command=command), with_logs(container(busybox, command=command))):
        began = time.monotonic()
        t = wait_status(gantry, run(gantry, register(gantry, 'no', c)), 'STOPPED')
        assert time.monotonic() - began < 4
        assert t['stopCode'] == 'TaskFailedToStart'
        assert t['stoppedReason'].startswith('CannotStartContainerError: exec: ')
        assert words in t['stoppedReason'] and reasons(t)['main'] == t['stoppedReason']
        assert exit_codes(t) == {'main': None}
        assert 'startedAt' not in t and 'executionStoppedAt' not in t
        in_order(t, ('createdAt', 'pullStartedAt', 'pullStoppedAt', 'stoppingAt', 'stoppedAt'))


@pytest.mark.parametrize('script,code', [
    ('no-such-thing', 127), ('/etc/passwd', 126), ('exit 255', 255),
    ('sh -c "kill -9 \\$\\$"; exit $?', 137)])
def test_codes_of_what_a_shell_could_not_run(gantry, busybox, script, code):
    d = register(gantry, 'codes', container(busybox, command=['sh', '-c', script]))
    assert exit_codes(wait_status(gantry, run(gantry, d), 'STOPPED')) == {'main': code}


def test_a_container_that_is_not_essential_may_fail_to_start(gantry, busybox):
    bad = container(busybox, name='a', command=['/no/such'], essential=False)
    d = register(gantry, 'side', bad, container(busybox, command=['sleep', '1000'], stopTimeout=1))
    arn = run(gantry, d)
    t = wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: 'CannotStart' in (reasons(describe(gantry, arn))['a'] or ''), 10)
    t = stop(gantry, arn)
    assert t['stopCode'] == 'UserInitiated' and exit_codes(t) == {'a': None, 'main': 137}
    # but who depends on it cannot start
    d = register(gantry, 'side', bad, container(busybox, command=['true'],
                                                dependsOn=depends('a', 'START')))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert t['stoppedReason'] == 'Container main depends on a, which did not start'


def test_out_of_memory(gantry, busybox):
    eat = ['sh', '-c', 'head -c 200m /dev/zero | tail']
    for c, task in ((container(busybox, command=eat, memory=32), {}),
                    ({'name': 'main', 'image': busybox, 'command': eat}, {'memory': '64'})):
        t = wait_status(gantry, run(gantry, register(gantry, 'oom', c, **task)), 'STOPPED')
        assert exit_codes(t) == {'main': 137}
        assert reasons(t)['main'] == 'OutOfMemoryError: Container killed due to memory usage'
        assert t['stopCode'] == 'EssentialContainerExited'


def test_containers_stop_in_the_reverse_order_of_their_start(gantry, busybox):
    make_group(gantry)
    # Each takes a while to stop; a clock in hundredths of a second is /proc/uptime.
    script = ('trap "cut -d\' \' -f1 /proc/uptime; sleep 0.3; cut -d\' \' -f1 /proc/uptime; exit 0" '
              'TERM; while :; do sleep 0.05; done')
    more = {'command': ['sh', '-c', script], 'stopTimeout': 20}
    d = register(gantry, 'order',
                 with_logs(container(busybox, name='a', essential=False, **more)),
                 with_logs(container(busybox, name='b', essential=False,
                                     dependsOn=depends('a', 'START'), **more)),
                 with_logs(container(busybox, dependsOn=depends('b', 'START'), **more)))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    time.sleep(0.5)
    t = stop(gantry, arn)
    assert exit_codes(t) == {'a': 0, 'b': 0, 'main': 0}
    times = [float(x) for name in ('main', 'b', 'a') for x in output(gantry, t, name)]
    assert len(times) == 6 and times == sorted(times), times


def test_healthy_is_waited_for_although_it_was_unhealthy_first(gantry, busybox):
    check = {'command': ['CMD-SHELL', 'test -e /tmp/ok'], 'interval': 5, 'retries': 1, 'timeout': 2}
    d = register(gantry, 'slow',
                 container(busybox, name='db', healthCheck=check, stopTimeout=1,
                           command=['sh', '-c', 'sleep 3; touch /tmp/ok; exec sleep 1000']),
                 container(busybox, name='late', essential=False, stopTimeout=1,
                           command=['sleep', '1000'], dependsOn=depends('db', 'HEALTHY')))
    arn = run(gantry, d)
    wait_for(lambda: describe(gantry, arn)['healthStatus'] == 'UNHEALTHY', 10)
    assert describe(gantry, arn)['lastStatus'] == 'PENDING'
    t = wait_status(gantry, arn, 'RUNNING')
    health = {c['name']: c['healthStatus'] for c in t['containers']}
    assert health == {'db': 'HEALTHY', 'late': 'UNKNOWN'} and t['healthStatus'] == 'HEALTHY'
    stop(gantry, arn)


def test_a_dependency_that_never_becomes_healthy_is_given_up_at_its_start_timeout(gantry, busybox):
    check = {'command': ['CMD', '/no/such'], 'interval': 5, 'retries': 1, 'timeout': 60}
    d = register(gantry, 'never',
                 container(busybox, name='db', healthCheck=check, stopTimeout=1, startTimeout=3,
                           command=['sleep', '1000'], essential=False),
                 container(busybox, command=['true'], dependsOn=depends('db', 'HEALTHY')))
    arn = run(gantry, d)
    # A check that cannot be executed counts at once, not at its timeout.
    wait_for(lambda: [c['healthStatus'] for c in describe(gantry, arn)['containers']
                      if c['name'] == 'db'] == ['UNHEALTHY'], 10)
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert t['stoppedReason'] == 'Container main timed out waiting for its dependencies'
    assert exit_codes(t) == {'db': 137, 'main': None}
