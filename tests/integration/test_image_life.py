"""What becomes of images on a node: pulls that hang, pulls that are stopped, images that nobody uses
any more."""
import json
import os
import re
import signal
import time

import pytest

from conftest import wait_for
from fake_registry import Fault, INDEX, Registry, item
from tasks import container, describe, register, run, stop, wait_status
from test_image_tasks import copy_to_gantry, run_to_end


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.close()


def stalled(registry, name):
    """An image whose layer comes half and then not at all."""
    layer = registry.add_layer(item('f', os.urandom(400_000)))
    registry.add_image(name, [layer])
    registry.faults.append(Fault(layer[0]['digest'], stall=100_000))
    return f'{registry.host}/{name}:1'


def images(gantry):
    lines = gantry.cli('images').stdout.splitlines()[1:]
    return {l.split()[0]: l.split()[1] for l in lines}


def layers(gantry):
    path = os.path.join(gantry.state, 'agent', 'images', 'layers')
    return {n for n in os.listdir(path) if '.' not in n}


def test_a_stopped_task_ends_its_pull(gantry, registry):
    arn = run(gantry, register(gantry, 'stuck', container(stalled(registry, 'stuck'))))
    wait_for(lambda: registry.asked('/blobs/'))
    time.sleep(0.3)
    began = time.monotonic()
    t = stop(gantry, arn)
    assert time.monotonic() - began < 5
    assert t['stopCode'] == 'UserInitiated', t
    assert os.listdir(os.path.join(gantry.state, 'agent', 'images', 'tmp')) == []


def test_pulls_that_hang_keep_nobody_waiting(gantry, busybox, registry):
    """More of them than the agent has threads for short work."""
    run_to_end(gantry, busybox, 'warm', ['true'])
    stuck = [run(gantry, register(gantry, 'stuck', container(stalled(registry, f'stuck{i}'))))
             for i in range(12)]
    wait_for(lambda: len(registry.asked('/blobs/')) >= 12)
    began = time.monotonic()
    assert run_to_end(gantry, busybox, 'quick', ['true'])['containers'][0]['exitCode'] == 0
    assert time.monotonic() - began < 5
    for arn in stuck:
        gantry.client('ecs').stop_task(task=arn)
    for arn in stuck:
        wait_status(gantry, arn, 'STOPPED')


def test_other_names_of_this_registry(gantry, busybox):
    """localhost and AWS's own name for a registry are this one."""
    name = busybox.split('/', 1)[1]
    for host in (f'localhost:{gantry.port}', '000000000000.dkr.ecr.us-east-1.amazonaws.com'):
        t = run_to_end(gantry, f'{host}/{name}', 'names', ['true'])
        assert t['containers'][0].get('exitCode') == 0, t


def test_images_are_removed_when_asked_for(gantry, busybox, registry):
    registry.add_image('one', [registry.add_layer(item('f', 'one'))])
    one = copy_to_gantry(gantry, registry, 'one')
    run_to_end(gantry, one, 'one', ['/none'])
    arn = run(gantry, register(gantry, 'holds', container(busybox, command=['sleep', '1000'],
                                                         stopTimeout=2)))
    wait_status(gantry, arn, 'RUNNING')
    assert {one, busybox} <= set(images(gantry))
    before = layers(gantry)
    r = gantry.cli('images', '--remove', busybox, check=False)
    assert r.returncode == 1 and 'in use' in r.stderr, r.stderr
    gantry.cli('images', '--remove', one)
    assert one not in images(gantry) and len(layers(gantry)) < len(before)
    r = gantry.cli('images', '--remove', one, check=False)
    assert r.returncode == 1 and 'no image' in r.stderr
    run_to_end(gantry, one, 'one', ['/none'])
    out = gantry.cli('images', '--prune').stdout
    assert re.search(r'removed \d+ images', out), out
    assert set(images(gantry)) == {busybox}
    assert describe(gantry, arn)['lastStatus'] == 'RUNNING'
    stop(gantry, arn)
    gantry.cli('images', '--prune')
    assert images(gantry) == {} and layers(gantry) == set()
    assert run_to_end(gantry, busybox, 'again', ['true'])['containers'][0]['exitCode'] == 0


def test_an_agent_that_came_back_keeps_the_images_of_running_tasks(gantry, busybox_layout, registry):
    """Also when the tag has moved on meanwhile, and what was pulled was an index."""
    with open(os.path.join(busybox_layout, 'index.json')) as f:
        top = json.load(f)['manifests'][0]['digest'][7:]

    def read(digest):
        with open(f'{busybox_layout}/blobs/sha256/{digest}', 'rb') as f:
            return f.read()
    config = json.loads(read(json.loads(read(top))['config']['digest'][7:]))
    packed = registry.add_packed(read(json.loads(read(top))['layers'][0]['digest'][7:]))
    base = packed, config['rootfs']['diff_ids'][0]
    for number in (1, 2):
        m = registry.add_image('multi', [base, registry.add_layer(item(f'own{number}', 'x'))],
                               tag='amd64', config={'Env': ['PATH=/bin']})
        m['platform'] = {'os': 'linux', 'architecture': 'amd64'}
        registry.add_manifest('multi', '1', {'schemaVersion': 2, 'mediaType': INDEX,
                                             'manifests': [m]}, INDEX)
        if number == 1:
            arn = run(gantry, register(gantry, 'multi', container(
                f'{registry.host}/multi:1', command=[
                    'sh', '-c', 'while [ ! -e /go ]; do sleep 0.2; done; cat /own1 || exit 9'])))
            wait_status(gantry, arn, 'RUNNING')
    second = run_to_end(gantry, f'{registry.host}/multi:1', 'second', ['cat', '/own2'])
    assert second['containers'][0]['exitCode'] == 0, second
    os.kill(gantry.pid_of('gantry-agent'), signal.SIGKILL)
    wait_for(lambda: gantry.cli('images', check=False).returncode == 0)
    wait_for(lambda: gantry.cli('exec', arn, 'true', check=False).returncode == 0)
    gantry.cli('images', '--prune')
    gantry.cli('exec', arn, 'touch', '/go')
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['containers'][0]['exitCode'] == 0, t
