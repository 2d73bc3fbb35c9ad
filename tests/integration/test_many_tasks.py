"""A node with more tasks than is usual."""
import os
import resource
import signal

import pytest

from conftest import Gantry, wait_for
from tasks import container, register


@pytest.fixture
def few_descriptors():
    g = Gantry(descriptors=(140, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    yield g.start()
    g.down()
    g.remove()


def test_more_tasks_than_descriptors_by_the_soft_limit(few_descriptors, busybox_layout):
    """The agent takes two or three for each task. What it allows itself is not for containers."""
    g, count = few_descriptors, 120
    ecs = g.client('ecs')
    image = g.push(busybox_layout, 'busybox:1')
    definition = register(g, 'many', container(image, command=['sleep', '600'], memory=8,
                                               stopTimeout=2), networkMode='none')
    arns = []
    while len(arns) < count:
        answer = ecs.run_task(taskDefinition=definition, count=10)
        assert not answer['failures']
        arns += [t['taskArn'] for t in answer['tasks']]

    def all_run():
        tasks = [t for i in (0, 60) for t in ecs.describe_tasks(tasks=arns[i:i + 60])['tasks']]
        ended = [t.get('stoppedReason') for t in tasks if t['lastStatus'] == 'STOPPED']
        assert not ended, ended
        return all(t['lastStatus'] == 'RUNNING' for t in tasks)
    wait_for(all_run, 120, 0.5)
    for arn in (arns[0], arns[-1]):
        said = g.cli('exec', arn.split('/')[-1], 'sh', '-c', 'ulimit -Sn; cat /proc/1/limits').stdout
        assert said.split()[0] == '140'
        assert [x.split()[3] for x in said.splitlines() if 'open files' in x] == ['140']


def test_an_agent_that_starts_anew_is_told_in_pieces(gantry, busybox):
    """More definitions than one answer of the server holds (1 MiB of them): all tasks are kept, and
    what is asked of them meanwhile is done."""
    ecs = gantry.client('ecs')
    big = [{'name': f'E{i}', 'value': 'x' * 1000} for i in range(58)]
    definition = register(gantry, 'big', container(busybox, command=['sleep', '600'], memory=8,
                                                   environment=big, stopTimeout=2),
                          networkMode='none')
    arns = [t['taskArn'] for _ in range(3)
            for t in ecs.run_task(taskDefinition=definition, count=10)['tasks']]
    assert len(arns) * 58 * 1000 > 1.5 * 1024 * 1024

    def statuses():
        return [t['lastStatus'] for t in ecs.describe_tasks(tasks=arns)['tasks']]
    wait_for(lambda: set(statuses()) == {'RUNNING'}, 60, 0.5)

    old = gantry.pid_of('gantry-agent')
    os.kill(old, signal.SIGKILL)
    for arn in arns[:5]:
        ecs.stop_task(task=arn)
    wait_for(lambda: gantry.pid_of('gantry-agent') not in (None, old), 20)
    wait_for(lambda: statuses() == ['STOPPED'] * 5 + ['RUNNING'] * 25, 30, 0.5)
    for arn in (arns[5], arns[-1]):
        assert gantry.cli('exec', arn.split('/')[-1], 'sh', '-c', 'echo ${#E57}').stdout.strip() == \
            '1000'
    for arn in arns[5:]:
        ecs.stop_task(task=arn)
    wait_for(lambda: set(statuses()) == {'STOPPED'}, 30, 0.5)
