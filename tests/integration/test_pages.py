"""Every listing in pages: nothing twice, nothing left out, and a token that is good for nothing else."""
import time

import pytest
from botocore.exceptions import ClientError

from conftest import wait_for
from fake_node import FakeNode
from server import Server

# service, operation, its request, the list in its answer, limit, a request that is another one
LISTINGS = [
    ('ecs', 'list_clusters', {}, 'clusterArns', 'maxResults', None),
    ('ecs', 'list_container_instances', {}, 'containerInstanceArns', 'maxResults',
     {'status': 'ACTIVE'}),
    ('ecs', 'list_services', {}, 'serviceArns', 'maxResults', {'launchType': 'EC2'}),
    ('ecs', 'list_tasks', {}, 'taskArns', 'maxResults', {'family': 'f0'}),
    ('ecs', 'list_tasks', {'family': 'f1'}, 'taskArns', 'maxResults', {'family': 'f0'}),
    ('ecs', 'list_tasks', {'desiredStatus': 'STOPPED'}, 'taskArns', 'maxResults', {}),
    ('ecs', 'list_task_definitions', {}, 'taskDefinitionArns', 'maxResults', {'sort': 'DESC'}),
    ('ecs', 'list_task_definitions', {'sort': 'DESC'}, 'taskDefinitionArns', 'maxResults', {}),
    ('ecs', 'list_task_definition_families', {}, 'families', 'maxResults', {'familyPrefix': 'f'}),
    ('ecr', 'describe_repositories', {}, 'repositories', 'maxResults', None),
    ('logs', 'describe_log_groups', {}, 'logGroups', 'limit', {'logGroupNamePrefix': 'g'}),
]


@pytest.fixture(scope='module')
def server():
    s = Server()
    ecs = s.client('ecs')
    key = (s.credentials.access_key, s.credentials.secret_key)
    nodes = [FakeNode(s.endpoint, key, name=f'n{i}') for i in range(3)]
    for i in range(3):
        ecs.create_cluster(clusterName=f'c{i}')
        for _ in range(2):
            ecs.register_task_definition(family=f'f{i}', containerDefinitions=[
                {'name': 'c', 'image': 'i', 'memory': 8}])
        ecs.create_service(serviceName=f's{i}', taskDefinition=f'f{i}', desiredCount=1)
        s.client('ecr').create_repository(repositoryName=f'r{i}')
        s.client('logs').create_log_group(logGroupName=f'g{i}')
    tasks = ecs.run_task(taskDefinition='f1', count=6)['tasks']
    for t in tasks[:3]:
        ecs.stop_task(task=t['taskArn'])
    # the listings are to stand still
    wait_for(lambda: all(x['lastStatus'] in ('RUNNING', 'STOPPED') for x in ecs.describe_tasks(
        tasks=ecs.list_tasks()['taskArns'])['tasks']))
    yield s
    for n in nodes:
        n.end()
    s.end()


def refused(call, **members):
    with pytest.raises(ClientError) as e:
        call(**members)
    assert e.value.response['Error']['Code'] == 'InvalidParameterException', e.value


@pytest.mark.parametrize('service,op,request_,items,limit,other', LISTINGS,
                         ids=[f'{x[1]}-{i}' for i, x in enumerate(LISTINGS)])
def test_pages(server, service, op, request_, items, limit, other):
    client = server.client(service)
    call = getattr(client, op)
    whole = call(**request_)
    assert 'nextToken' not in whole and len(whole[items]) >= 3
    seen, token, size = [], None, 1
    while True:
        page = call(**request_, **{limit: size}, **({'nextToken': token} if token else {}))
        assert len(page[items]) <= size
        seen += page[items]
        token = page.get('nextToken')
        if not token:
            break
        first = token
        size = 2  # another page size is the same listing
    assert seen == whole[items]
    good = call(**request_, **{limit: 1})['nextToken']
    assert call(**request_, **{limit: 1})['nextToken'] == good
    flipped = good[:-1] + ('A' if good[-1] != 'A' else 'B')
    for bad in (flipped, good[:-4], good + 'A', 'x', first[::-1], '=' * 8):
        refused(call, **request_, nextToken=bad)
    if other is not None:
        refused(call, **other, nextToken=good)
    elsewhere = 'list_clusters' if op != 'list_clusters' else 'list_task_definition_families'
    refused(getattr(server.client('ecs'), elsewhere), nextToken=good)


def test_limits(server):
    ecs = server.client('ecs')
    for op in {x[1] for x in LISTINGS if x[0] == 'ecs'}:
        for n in (0, 101, -1):
            refused(getattr(ecs, op), maxResults=n)
        assert getattr(ecs, op)(maxResults=100)


def test_what_comes_in_between(server):
    """A listing goes on behind the last one shown, whether that is still there or not."""
    ecs = server.client('ecs')
    for name in ('p1', 'p2', 'p4'):
        ecs.create_cluster(clusterName=name)
    page = ecs.list_clusters(maxResults=5)  # c0 c1 c2 default p1
    assert page['clusterArns'][-1].endswith('/p1')
    ecs.delete_cluster(cluster='p1')
    ecs.create_cluster(clusterName='p3')
    ecs.create_cluster(clusterName='a')
    rest = ecs.list_clusters(nextToken=page['nextToken'])['clusterArns']
    assert [a.split('/')[1] for a in rest] == ['p2', 'p3', 'p4']
    for name in ('p2', 'p3', 'p4', 'a'):
        ecs.delete_cluster(cluster=name)


def test_default_sizes(server):
    ecs = server.client('ecs')
    for i in range(12):
        ecs.create_service(serviceName=f'many{i:02}', taskDefinition='f0', desiredCount=0)
    page = ecs.list_services()
    assert len(page['serviceArns']) == 10 and page['nextToken']
    assert len(ecs.list_services(maxResults=100)['serviceArns']) == 15
    for i in range(12):
        ecs.delete_service(service=f'many{i:02}')
    end = time.monotonic() + 10
    while len(ecs.list_services(maxResults=100)['serviceArns']) > 3 and time.monotonic() < end:
        time.sleep(0.05)
