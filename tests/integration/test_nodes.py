"""Container instances through the ECS API."""
import json
import subprocess

import pytest

from conftest import wait_for
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


def make_service(ecs, count, **percent):
    ecs.register_task_definition(family='web', containerDefinitions=[
        dict(name='c', image='busybox', cpu=10, memory=16)])
    ecs.create_service(serviceName='web', taskDefinition='web', desiredCount=count,
                       deploymentConfiguration=percent)
    ecs.get_waiter('services_stable').wait(services=['web'], WaiterConfig=dict(Delay=1, MaxAttempts=30))


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
