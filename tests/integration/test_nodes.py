"""Container instances through the ECS API."""
import json
import os
import subprocess

import pytest

from conftest import BIN, wait_for
from fake_node import FakeNode, Refused
from server import Server


@pytest.fixture
def server():
    s = Server()
    s.nodes = []
    yield s
    for n in s.nodes:
        n.end()
    s.end()


def node(server, name, **more):
    c = server.credentials
    n = FakeNode(server.endpoint, (c.access_key, c.secret_key), name=name, own_key=True, **more)
    server.nodes.append(n)
    return n


def aws(server, *words):
    got = subprocess.run(['aws', '--endpoint-url', server.endpoint, '--output', 'json', *words], env=server.env(),
                         capture_output=True, text=True, timeout=60)
    if got.returncode:
        raise RuntimeError(got.stderr)
    return json.loads(got.stdout) if got.stdout else None


def tasks_on(ecs, name):
    arns = ecs.list_tasks(containerInstance=name)['taskArns']
    return {t['taskArn']: t['lastStatus'] for t in ecs.describe_tasks(tasks=arns)['tasks']} if arns else {}


def make_service(ecs, count, constraints=(), put=(), **percent):
    ecs.register_task_definition(family='web', containerDefinitions=[
        dict(name='c', image='busybox', cpu=10, memory=16)])
    if put:
        ecs.put_attributes(attributes=put)
    ecs.create_service(serviceName='web', taskDefinition='web', desiredCount=count,
                       placementConstraints=list(constraints), deploymentConfiguration=percent)
    ecs.get_waiter('services_stable').wait(services=['web'], WaiterConfig=dict(Delay=1, MaxAttempts=30))


@pytest.mark.parametrize('verb', ['drain', 'fence'])
def test_no_node_at_all(server, verb):
    r = subprocess.run([os.path.join(BIN, 'gantry'), verb, 'nope', '--state', server.state], text=True,
                       capture_output=True, timeout=60)
    assert (r.returncode, r.stderr) == (1, f"gantry {verb}: no node 'nope'\n")


def test_a_node_is_drained_and_taken_back(server):
    ecs = server.client('ecs')
    node(server, 'a')
    make_service(ecs, 4)
    alone = ecs.run_task(taskDefinition='web')['tasks'][0]['taskArn']
    node(server, 'b')
    got = aws(server, 'ecs', 'update-container-instances-state', '--container-instances', 'a', '--status',
              'DRAINING')
    assert [i['status'] for i in got['containerInstances']] == ['DRAINING'] and got['failures'] == []
    wait_for(lambda: set(tasks_on(ecs, 'a')) == {alone}, 10)
    wait_for(lambda: list(tasks_on(ecs, 'b').values()) == ['RUNNING'] * 4, 10)
    ecs.get_waiter('services_stable').wait(services=['web'], WaiterConfig=dict(Delay=1, MaxAttempts=30))
    # Nothing comes back by itself, and nothing new goes there.
    assert ecs.list_container_instances(status='DRAINING')['containerInstanceArns'][0].endswith('/a')
    for t in ecs.run_task(taskDefinition='web', count=5)['tasks']:
        assert t['containerInstanceArn'].endswith('/b')
    aws(server, 'ecs', 'update-container-instances-state', '--container-instances', 'a', '--status', 'ACTIVE')
    ecs.update_service(service='web', desiredCount=8)
    wait_for(lambda: len(tasks_on(ecs, 'a')) > 1, 10)


def test_a_node_is_deregistered(server):
    ecs = server.client('ecs')
    a = node(server, 'a')
    make_service(ecs, 2)
    node(server, 'b')
    with pytest.raises(RuntimeError, match='Found running tasks on the instance'):
        aws(server, 'ecs', 'deregister-container-instance', '--container-instance', 'a')
    a.end()
    arn = ecs.list_container_instances()['containerInstanceArns'][0]
    got = aws(server, 'ecs', 'deregister-container-instance', '--container-instance', arn, '--force')
    assert got['containerInstance']['status'] == 'INACTIVE'
    wait_for(lambda: list(tasks_on(ecs, 'b').values()) == ['RUNNING'] * 2, 10)
    assert [i.split('/')[-1] for i in ecs.list_container_instances()['containerInstanceArns']] == ['b']
    # Whatever it says now changes nothing.
    with pytest.raises(Refused):
        a.call('RegisterNode', a.register)
    assert ecs.describe_clusters()['clusters'][0]['registeredContainerInstancesCount'] == 1


def test_attributes_decide_where_a_task_goes(server):
    ecs = server.client('ecs')
    for name in 'abc':
        node(server, name)
    got = aws(server, 'ecs', 'put-attributes', '--attributes', 'name=disk,value=ssd,targetId=b')
    assert got['attributes'][0]['targetId'].endswith('container-instance/default/b')
    listed = aws(server, 'ecs', 'list-attributes', '--target-type', 'container-instance', '--attribute-name', 'disk')
    assert listed['attributes'] == got['attributes']
    ecs.register_task_definition(family='web', containerDefinitions=[
        dict(name='c', image='busybox', cpu=10, memory=16)])
    ran = ecs.run_task(taskDefinition='web', count=3, placementConstraints=[
        dict(type='memberOf', expression='attribute:disk == ssd')])
    assert {t['containerInstanceArn'].split('/')[-1] for t in ran['tasks']} == {'b'}
    aws(server, 'ecs', 'delete-attributes', '--attributes', 'name=disk,targetId=b')
    with pytest.raises(RuntimeError, match='TargetNotFoundException'):
        aws(server, 'ecs', 'put-attributes', '--attributes', 'name=disk,targetId=z')


def test_draining_keeps_the_minimum(server):
    """Half may go at a time and none may be added: never less than two of four run."""
    ecs = server.client('ecs')
    node(server, 'a')
    make_service(ecs, 4, minimumHealthyPercent=50, maximumPercent=100)
    node(server, 'b')
    seen = []

    def gone():
        seen.append(ecs.describe_services(services=['web'])['services'][0]['runningCount'])
        return not tasks_on(ecs, 'a') and seen[-1] == 4
    ecs.update_container_instances_state(containerInstances=['a'], status='DRAINING')
    wait_for(gone, 15, 0.01)
    assert 2 <= min(seen) and max(seen) <= 4


# ---- the command line

@pytest.fixture
def fake(gantry):
    key = gantry.key()
    n = FakeNode(gantry.endpoint, (key['accessKeyId'], key['secretAccessKey']), name='fake1', own_key=True)
    yield n
    n.end()
    gantry.client('ecs').deregister_container_instance(containerInstance='fake1', force=True)


def nodes(gantry):
    head, *rows = (line.split() for line in gantry.cli('nodes').stdout.splitlines() if line)
    return {row[0]: row for row in rows}


def test_nodes_are_listed_drained_and_fenced(gantry, fake):
    ecs = gantry.client('ecs')
    seen = nodes(gantry)
    assert len(seen) == 2 and seen['fake1'][3] == 'ACTIVE' and seen['fake1'][4] == '8/8'
    assert sorted(gantry.cli('nodes', '-q').stdout.split())[-1] == 'fake1'
    make_service(ecs, 2, constraints=[dict(type='memberOf', expression='attribute:x == y')],
                 put=[dict(name='x', value='y', targetId='fake1')])
    r = gantry.cli('drain', '--no-wait', 'fake1')
    assert r.stdout == 'fake1\n' and nodes(gantry)['fake1'][3] == 'DRAINING'
    assert ecs.describe_services(services=['web'])['services'][0]['runningCount'] == 2  # nowhere to go
    ecs.update_service(service='web', desiredCount=0)
    r = gantry.cli('drain', 'fake')  # by the beginning of its id; waits
    assert r.returncode == 0 and not tasks_on(ecs, 'fake1')
    gantry.cli('drain', '--undo', 'fake1')
    assert nodes(gantry)['fake1'][3] == 'ACTIVE'
    r = gantry.cli('fence', 'fake1', check=False)
    assert r.returncode == 1 and "node 'fake1' is heard; to empty it: gantry drain" in r.stderr
    r = gantry.cli('fence', 'fake7', check=False)
    assert r.returncode == 1 and "gantry fence: no node 'fake7'" in r.stderr
    assert gantry.cli('nodes', '--release').stdout == 'No nodes are held.\n'
    assert 'registered, 2 of them heard' in gantry.cli('doctor', check=False).stdout
    fake.end()
    wait_for(lambda: nodes(gantry)['fake1'][3] == 'LOST', 25, 0.3)
    assert gantry.cli('fence', 'fake1').stdout == 'fake1\n'
    assert nodes(gantry)['fake1'][3] == 'FENCED'
    with pytest.raises(Refused, match='NodeFencedException'):
        fake.call('RegisterNode', fake.register)
    gantry.cli('fence', '--undo', 'fake1')
    fake.call('RegisterNode', fake.register)
    assert nodes(gantry)['fake1'][3] == 'ACTIVE'
    ecs.delete_service(service='web', force=True)


@pytest.fixture
def braked():
    s = Server('--lost-after', '5')
    s.nodes = []
    yield s
    for n in s.nodes:
        n.end()
    s.end()


def connected(ecs):
    arns = ecs.list_container_instances()['containerInstanceArns']
    return {i['containerInstanceArn'].split('/')[-1] for i in ecs.describe_container_instances(
        containerInstances=arns)['containerInstances'] if i['agentConnected']}


def fall_silent(fakes):
    """All at once."""
    for f in fakes:
        f.stop = True
    for f in fakes:
        f.end()


def test_many_silent_nodes_are_held(braked):
    """Of six nodes four fall silent: their tasks stay, also over a restart, until one is heard."""
    ecs = braked.client('ecs')
    fakes = [node(braked, f'n{i}') for i in range(6)]
    make_service(ecs, 12)
    fall_silent(fakes[:4])
    wait_for(lambda: connected(ecs) == {'n4', 'n5'}, 15)
    wait_for(lambda: 'are not heard. Too many fell silent together' in str(
        ecs.describe_services(services=['web'])['services'][0]['events']), 5)
    held = ecs.describe_container_instances(containerInstances=['n0'])['containerInstances'][0]
    assert held['statusReason'].startswith('Not heard, like too many others') and held['runningTasksCount'] == 2
    assert '4 of 6 nodes are silent' in braked.read_log()
    fall_silent(fakes[4:])
    braked.kill()
    braked.start()
    for f in fakes[3:]:
        f.run()
    wait_for(lambda: connected(ecs) == {'n3', 'n4', 'n5'}, 15)
    wait_for(lambda: sum(len(tasks_on(ecs, f'n{i}')) for i in (3, 4, 5)) == 12, 15)  # half is not too many
    assert 'tasks of lost nodes are replaced again' in braked.read_log()
    assert ecs.describe_services(services=['web'])['services'][0]['runningCount'] == 12
