"""What the key of a node can do, and what it cannot: it speaks for itself and its own tasks."""
import base64
import hashlib
import struct
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import wait_for
from fake_node import FakeNode, Refused
from server import Server


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.end()


@pytest.fixture(scope='module')
def nodes(server):
    """a, on which the task runs, and b."""
    c = server.credentials
    made = {}
    for name in 'ab':
        made[name] = FakeNode(server.endpoint, (c.access_key, c.secret_key), name=name, own_key=True, silent=True)
    return made


@pytest.fixture(scope='module')
def task(server, nodes):
    ecs = server.client('ecs')
    server.client('logs').create_log_group(logGroupName='mine')
    server.client('logs').create_log_group(logGroupName='theirs')
    for name in ('team/web', 'secret'):
        server.client('ecr').create_repository(repositoryName=name)
    host = server.endpoint.split('//')[1]
    ecs.register_task_definition(family='f', containerDefinitions=[dict(
        name='c', image=f'{host}/team/web:1', memory=16, logConfiguration=dict(logDriver='awslogs', options={
            'awslogs-group': 'mine', 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 'p'}))])
    got = ecs.start_task(taskDefinition='f', containerInstances=['a'])
    assert not got['failures']
    return got['tasks'][0]['taskArn'].split('/')[-1]


def client(server, node, service):
    return boto3.client(service, endpoint_url=server.endpoint, region_name='us-east-1',
                        aws_access_key_id=node.key[0], aws_secret_access_key=node.key[1],
                        config=Config(retries={'max_attempts': 0}, inject_host_prefix=False))


def polled(node):
    return node.call('Poll', dict(session=node.session, revision=0))['tasks']


def report(node, **more):
    t = dict(dict(id='0' * 32, generation=1, sequence=1, lastStatus='RUNNING'), **more)
    return node.call('Report', dict(session=node.session, tasks=[t]))['refused']


def status(server, task):
    return server.client('ecs').describe_tasks(tasks=[task])['tasks'][0]['lastStatus']


def test_reports_on_tasks_of_others_change_nothing(server, nodes, task):
    assert [t['id'] for t in polled(nodes['a'])] == [task] and polled(nodes['b']) == []
    assert report(nodes['b'], id=task) == [{'id': task, 'reason': 'not assigned to this node'}]
    assert report(nodes['b'])[0]['reason'] == 'not assigned to this node'
    assert report(nodes['b'], id='../x')[0]['reason'] == 'not a task id'
    assert status(server, task) == 'PENDING'


def test_a_stolen_session_is_refused(server, nodes, task):
    a, b = nodes['a'], nodes['b']
    for op, body in (('Poll', dict(revision=0)), ('Heartbeat', {}), ('Report', dict(tasks=[])),
                     ('Peers', dict(revision=0))):
        with pytest.raises(Refused, match='AccessDeniedException.*another node'):
            b.call(op, dict(session=a.session, **body))
        with pytest.raises(Refused, match='UnknownNodeException'):
            b.call(op, dict(session='nonsense', **body))
        with pytest.raises(Refused, match='StaleSessionException'):
            a.call(op, dict(session='a.' + '0' * 32, **body))
    for body in (dict(a.register), dict(a.register, nodeId='c')):
        with pytest.raises(Refused, match='AccessDeniedException'):
            b.call('RegisterNode', body)
    with pytest.raises(Refused, match='AccessDeniedException'):
        b.call('RenewNodeKey', {'nodeId': 'a'})
    for op in ('NodeLost', 'NodeBack'):
        with pytest.raises(Refused, match='AccessDeniedException'):
            b.call(op, {'nodeId': 'a'})


def test_reports_out_of_order_go_nowhere(server, nodes, task):
    a = nodes['a']
    assert report(a, id=task, generation=2)[0]['reason'] == 'of another generation'
    assert report(a, id=task, sequence=5, lastStatus='RUNNING') == []
    assert report(a, id=task, sequence=4, lastStatus='PENDING') == []  # said before: accepted, and nothing
    assert status(server, task) == 'RUNNING'
    assert report(a, id=task, sequence=6, lastStatus='PENDING')[0]['reason'] == 'a status only moves forward'
    assert status(server, task) == 'RUNNING'
    for bad in (dict(lastStatus='GONE'), dict(sequence='x'), dict(id='')):
        with pytest.raises(Refused, match='Exception'):
            report(a, **dict(dict(id=task), **bad))


@pytest.mark.parametrize('service, op, args', [
    ('ecs', 'list_tasks', {}), ('ecs', 'deregister_container_instance', dict(containerInstance='b')),
    ('ecs', 'put_attributes', dict(attributes=[dict(name='x', targetId='a')])),
    ('ecr', 'describe_repositories', {}), ('ecr', 'batch_get_image', dict(
        repositoryName='team/web', imageIds=[dict(imageTag='1')])),
    ('ecr', 'delete_repository', dict(repositoryName='team/web')),
    ('logs', 'put_log_events', dict(logGroupName='mine', logStreamName='s', logEvents=[
        dict(timestamp=1, message='x')])),
    ('logs', 'create_log_stream', dict(logGroupName='mine', logStreamName='s')),
    ('logs', 'get_log_events', dict(logGroupName='mine', logStreamName='s')),
    ('logs', 'create_log_group', dict(logGroupName='another')),
    ('logs', 'describe_log_groups', {}), ('logs', 'describe_log_groups', dict(logGroupNamePrefix='theirs')),
    ('iam', 'list_roles', {}),
])
def test_other_operations_are_refused(server, nodes, task, service, op, args):
    with pytest.raises(ClientError) as e:
        getattr(client(server, nodes['a'], service), op)(**args)
    assert e.value.response['Error']['Code'] in ('AccessDeniedException', 'AccessDenied')


def ship(node, group, stream):
    frame = struct.pack('<QII', int(time.time() * 1000), 1, 3) + b'hi\n'
    return node.post(f'/_gantry/logs?group={group}&offset=0&stream={stream}', frame,
                     {'x-amz-content-sha256': hashlib.sha256(frame).hexdigest()})


def test_logs_go_into_streams_of_own_tasks(server, nodes, task):
    assert client(server, nodes['a'], 'logs').describe_log_groups(logGroupNamePrefix='mine')['logGroups']
    assert ship(nodes['a'], 'mine', f'p%2Fc%2F{task}')['nextOffset'] == 19
    for node, group, stream in (('b', 'mine', f'p%2Fc%2F{task}'), ('a', 'theirs', f'p%2Fc%2F{task}'),
                                ('a', 'mine', 'other'), ('a', 'mine', 'p%2Fc%2F' + 'f' * 32)):
        with pytest.raises(Refused, match='AccessDeniedException'):
            ship(nodes[node], group, stream)
    events = server.client('logs').filter_log_events(logGroupName='mine')['events']
    assert [e['message'] for e in events] == ['hi']
    assert server.client('logs').describe_log_streams(logGroupName='theirs')['logStreams'] == []


def pull(server, node, path):
    token = client(server, node, 'ecr').get_authorization_token()['authorizationData'][0]['authorizationToken']
    request = urllib.request.Request(server.endpoint + path, headers={'Authorization': 'Basic ' + token})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_images_are_those_of_own_tasks(server, nodes, task):
    assert pull(server, nodes['a'], '/v2/')[0] == 200
    code, text = pull(server, nodes['a'], '/v2/team/web/manifests/1')
    assert code == 404 and 'MANIFEST_UNKNOWN' in text  # allowed; nothing was pushed
    for node, path in (('b', '/v2/team/web/manifests/1'), ('a', '/v2/secret/manifests/1'),
                       ('a', '/v2/nothere/manifests/1'), ('a', '/v2/_catalog'), ('a', '/v2/team/web/tags/list'),
                       ('a', '/v2/secret/blobs/sha256:' + '0' * 64)):
        code, text = pull(server, nodes[node], path)
        assert code == 403 and 'DENIED' in text, (path, text)


def test_a_key_ends_with_its_node(server):
    c = server.credentials
    gone = FakeNode(server.endpoint, (c.access_key, c.secret_key), name='gone', own_key=True, silent=True)
    assert pull(server, gone, '/v2/')[0] == 200
    token = client(server, gone, 'ecr').get_authorization_token()['authorizationData'][0]['authorizationToken']
    assert base64.b64decode(token).startswith(b'AWS:')
    server.client('ecs').deregister_container_instance(containerInstance='gone', force=True)
    wait_for(lambda: refused(gone), 5)
    request = urllib.request.Request(server.endpoint + '/v2/', headers={'Authorization': 'Basic ' + token})
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(request, timeout=10)
    assert e.value.code in (401, 403)


def refused(node):
    with pytest.raises(Refused) as e:
        node.call('RegisterNode', node.register)
    return 'UnrecognizedClientException' in str(e.value)
