"""A server that comes back with an older state: nothing on its nodes is touched until `gantry adopt`."""
import os
import shutil
import time

import pytest

from conftest import Gantry, wait_for


@pytest.fixture
def instance():
    g = Gantry().start()
    yield g
    g.down()
    g.remove()


def stop(g):
    """Only the processes: tasks stay."""
    g.up.terminate()
    g.up.wait(30)
    g.log.close()
    os.truncate(os.path.join(g.dir, 'log'), 0)  # where start() looks for "is up"


def run_id(g, image, *more):
    task = g.cli('run', '-d', '--stop-timeout', '1', *more, image, 'sleep', '1000').stdout.strip()
    wait_for(lambda: status(g, task) == 'RUNNING')
    return task


def status(g, task):
    tasks = g.client('ecs').describe_tasks(tasks=[task])['tasks']
    return tasks[0]['lastStatus'] if tasks else None


def has_shim(g, task):
    return os.path.exists(os.path.join(g.run_dir, 'tasks', task))


def node(g):
    ecs = g.client('ecs')
    arns = ecs.list_container_instances()['containerInstanceArns']
    return ecs.describe_container_instances(containerInstances=arns)['containerInstances'][0]


def test_an_older_state_ends_nothing_until_it_is_adopted(instance, busybox_layout):
    g = instance
    image = g.push(busybox_layout, 'busybox:1')
    stays, stopped = run_id(g, image), run_id(g, image)
    stop(g)
    server, backup = os.path.join(g.state, 'server'), os.path.join(g.dir, 'backup')
    shutil.copytree(server, backup)
    g.start()
    wait_for(lambda: status(g, stays) == 'RUNNING')
    g.cli('stop', stopped)
    later = run_id(g, image)
    stop(g)
    shutil.rmtree(server)
    shutil.copytree(backup, server)
    g.start()

    wait_for(lambda: 'another history' in node(g).get('statusReason', ''))
    wait_for(lambda: later in g.cli('adopt', '--dry-run').stdout)
    said = g.cli('adopt', '--dry-run').stdout
    assert f'goes on  {stays}' in said
    assert f'ends     {later}' in said
    assert f'is gone  {stopped}' in said
    assert status(g, stays) == 'RUNNING' and status(g, later) is None
    r = g.cli('run', '-d', image, 'true', check=False)
    assert r.returncode != 0  # there is no other node
    time.sleep(3)
    assert has_shim(g, stays) and has_shim(g, later)
    assert 'ASTRAY' in g.cli('nodes').stdout

    g.cli('adopt')
    wait_for(lambda: not has_shim(g, later))
    wait_for(lambda: status(g, stopped) == 'STOPPED')
    task = g.client('ecs').describe_tasks(tasks=[stopped])['tasks'][0]
    assert 'may have run here before' in task['stoppedReason']
    assert status(g, stays) == 'RUNNING' and has_shim(g, stays)
    wait_for(lambda: 'statusReason' not in node(g))
    run_id(g, image)
    assert 'no node is astray' in g.cli('adopt').stdout
    # An agent that is started again is no stranger any more.
    stop(g)
    g.start()
    time.sleep(1)
    assert 'no node is astray' in g.cli('adopt').stdout
    assert status(g, stays) == 'RUNNING'
