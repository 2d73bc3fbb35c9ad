"""gantry explain: what it says holds when it is done."""
import pytest

from conftest import wait_for
from fake_node import FakeNode


@pytest.fixture(scope='module')
def ecs(gantry):
    client = gantry.client('ecs')
    client.create_cluster(clusterName='explained')
    return client


@pytest.fixture(scope='module')
def nodes(gantry, ecs):
    key = gantry.key()
    key = key['accessKeyId'], key['secretAccessKey']
    made = [FakeNode(gantry.endpoint, key, name=name, cluster='explained', own_key=True, cpu=1024, memory=memory)
            for name, memory in (('ex1', 1000), ('ex2', 200))]
    yield made
    for n in made:
        n.end()
        ecs.deregister_container_instance(cluster='explained', containerInstance=n.register['nodeId'], force=True)


@pytest.fixture(scope='module')
def service(ecs, nodes):
    ecs.register_task_definition(family='explained', containerDefinitions=[
        dict(name='c', image='busybox', cpu=512, memory=256, portMappings=[dict(containerPort=80, hostPort=8080)])])
    ecs.create_service(cluster='explained', serviceName='web', taskDefinition='explained', desiredCount=2,
                       placementConstraints=[dict(type='memberOf', expression='attribute:disk !exists')])
    wait_for(lambda: running(ecs) == 1)
    yield 'web'
    ecs.delete_service(cluster='explained', service='web', force=True)


def running(ecs):
    return ecs.describe_services(cluster='explained', services=['web'])['services'][0]['runningCount']


def explain(gantry, *words):
    return gantry.cli('explain', *words).stdout


def test_a_task_is_where_it_is(gantry, ecs, service):
    task = ecs.list_tasks(cluster='explained')['taskArns'][0].split('/')[-1]
    said = explain(gantry, task)
    assert said.startswith(f'Task {task}: 1 of 2 nodes would take it; made at revision ')
    assert 'It asks for 512 CPU units, 256 MiB of memory, port 8080/tcp.' in said
    assert 'Strategy: spread(attribute:ecs.availability-zone), spread(instanceId).' in said
    assert 'Constraint: attribute:disk !exists' in said
    rows = [line.split(None, 4) for line in said.split('\n\n')[1].splitlines()]
    assert rows[0] == ['NODE', 'ZONE', 'SCORE', 'VERDICT']
    assert rows[1][0] == 'ex1' and ' '.join(rows[1][2:]) == '0, 0 fits: here it is'
    assert rows[2][0] == 'ex2'
    assert 'Smallest change' not in said  # it has its place


def test_what_is_proposed_helps(gantry, ecs, nodes, service):
    said = explain(gantry, '--cluster', 'explained', service)
    assert said.startswith('Next task of service web: 0 of 2 nodes would take it.')
    assert 'Smallest change after which it fits (on ex1): free port 8080/tcp on it.' in said
    said = explain(gantry, '--cluster', 'explained', '--node', 'ex2', service)
    assert 'memory: 200 of 200 MiB free, 256 asked' in said and 'ex1' not in said
    assert 'ask for at most 200 MiB of memory' in said
    ecs.put_attributes(cluster='explained', attributes=[
        dict(name='disk', value='ssd', targetType='container-instance', targetId='ex2')])
    said = explain(gantry, '--cluster', 'explained', '--node', 'ex2', service)
    assert "delete its attribute 'disk', ask for at most 200 MiB" in said
    ecs.delete_attributes(cluster='explained', attributes=[
        dict(name='disk', targetType='container-instance', targetId='ex2')])
    ecs.register_task_definition(family='explained', containerDefinitions=[
        dict(name='c', image='busybox', cpu=512, memory=200, portMappings=[dict(containerPort=80, hostPort=8080)])])
    ecs.update_service(cluster='explained', service='web', taskDefinition='explained')
    wait_for(lambda: running(ecs) == 2)


@pytest.mark.parametrize('line, code, said', [
    ([], 2, 'which task or service?'),
    (['nope'], 1, "no task 'nope'"),
    (['--node', 'nope', '--cluster', 'explained', 'web'], 1, "There is no node for such tasks called 'nope'."),
    (['--cluster', 'nope', 'web'], 1, 'Cluster not found.'),
])
def test_refused(gantry, service, line, code, said):
    got = gantry.cli('explain', *line, check=False)
    assert got.returncode == code and said in got.stderr, got.stderr
