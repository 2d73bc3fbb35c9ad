"""A node with more tasks than is usual."""
import resource

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
