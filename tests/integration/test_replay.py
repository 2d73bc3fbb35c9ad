"""The journal seen from outside: what is kept of the past, and what it says."""
import json
import os
import subprocess

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import admin
from conftest import BIN, wait_for
from fake_node import FakeNode
from server import Server


@pytest.fixture(scope='module')
def server():
    s = Server()
    with open(os.path.join(s.state, 'up.json'), 'w') as f:  # for the verbs
        json.dump(dict(run='/nowhere', name='x', endpoint=s.endpoint, region='us-east-1', pid=0), f)
    yield s
    s.end()


def test_only_root_asks_about_the_journal(server):
    key = server.credentials
    node = FakeNode(server.endpoint, (key.access_key, key.secret_key), name='n0', own_key=True,
                    silent=True)
    node = Credentials(*node.key)
    with pytest.raises(admin.Refused) as e:
        admin.call(server, 'DescribeJournal', credentials=node)
    assert e.value.kind == 'AccessDeniedException'
    server.client('ecs').create_cluster(clusterName='a')
    journal = admin.call(server, 'DescribeJournal')
    assert journal['revision'] >= journal['firstRevision'] == 1
    assert journal['time'] >= journal['firstTime'] > 0


def tool(server, *args):
    return subprocess.run([os.path.join(BIN, 'gantry'), *args], text=True, capture_output=True,
                          env=dict(os.environ, GANTRY_STATE=server.state), timeout=120)


def work(server):
    """Some of everything that writes: calls, controllers, a node, stores that ask the core."""
    ecs = server.client('ecs')
    ecs.create_cluster(clusterName='replayed')
    ecs.register_task_definition(family='f', containerDefinitions=[
        dict(name='main', image='busybox', memory=16)])
    key = server.credentials
    node = FakeNode(server.endpoint, (key.access_key, key.secret_key), name='n1',
                    cluster='replayed')
    ecs.create_service(cluster='replayed', serviceName='s', taskDefinition='f', desiredCount=3)
    wait_for(lambda: ecs.describe_services(cluster='replayed', services=['s'])['services'][0][
        'runningCount'] == 3)
    ecs.update_service(cluster='replayed', service='s', desiredCount=1)
    server.client('ecr').create_repository(repositoryName='repo')
    server.client('logs').create_log_group(logGroupName='g')
    server.client('logs').delete_log_group(logGroupName='g')
    node.end()
    as_a_role(server)
    return ecs


def as_a_role(server):
    """A service that speaks in forms, and calls of a session."""
    iam = server.client('iam')
    trust = json.dumps({'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {
        'AWS': '000000000000', 'Service': 'ecs-tasks.amazonaws.com'}}})
    role = iam.create_role(RoleName='replayed', AssumeRolePolicyDocument=trust,
                           Tags=[{'Key': 'a', 'Value': 'b c'}])['Role']['Arn']
    iam.put_role_policy(RoleName='replayed', PolicyName='p', PolicyDocument=json.dumps({
        'Statement': {'Effect': 'Allow', 'Action': ['ecs:*', 'iam:PassRole'], 'Resource': '*'}}))
    keys = server.client('sts').assume_role(RoleArn=role, RoleSessionName='r1')['Credentials']
    ecs = boto3.client('ecs', endpoint_url=server.endpoint, region_name='us-east-1',
                       aws_access_key_id=keys['AccessKeyId'],
                       aws_secret_access_key=keys['SecretAccessKey'],
                       aws_session_token=keys['SessionToken'])
    ecs.create_cluster(clusterName='by-a-role')
    ecs.register_task_definition(family='g', taskRoleArn=role, containerDefinitions=[
        dict(name='main', image='busybox', memory=16)])


def test_the_journal_run_once_more_gives_the_same(server):
    work(server)
    r = tool(server, 'replay')
    assert r.returncode == 0, r.stdout + r.stderr
    assert 'the same, byte for byte' in r.stdout
    assert ' 0 of other builds' in r.stdout


def test_a_node_that_was_lost_is_replayed_too():
    """What the server's own actors say is as good as what comes over the network."""
    s = Server('--lost-after', '5')
    try:
        node = FakeNode(s.endpoint, (s.credentials.access_key, s.credentials.secret_key), name='n',
                        own_key=True)
        node.end()
        ecs = s.client('ecs')
        arns = ecs.list_container_instances()['containerInstanceArns']
        wait_for(lambda: not ecs.describe_container_instances(
            containerInstances=arns)['containerInstances'][0]['agentConnected'], 30)
        r = tool(s, 'replay')
        assert 'the same, byte for byte' in r.stdout, r.stdout + r.stderr
    finally:
        s.end()


def test_what_was_is_asked_by_every_client(server):
    ecs = server.client('ecs')
    before = admin.call(server, 'DescribeJournal')
    ecs.create_cluster(clusterName='later')
    now = admin.call(server, 'DescribeJournal')['revision']
    r = tool(server, 'at', str(before['revision']), 'aws', 'ecs', 'list-clusters',
             '--output', 'text', '--query', 'clusterArns')
    assert r.returncode == 0, r.stderr
    assert 'cluster/replayed' in r.stdout and 'later' not in r.stdout
    assert f"as of revision {before['revision']}, " in r.stderr
    r = tool(server, 'at', str(now), 'aws', 'ecs', 'list-clusters', '--output', 'text')
    assert 'cluster/later' in r.stdout
    # by time: the last revision until then
    r = tool(server, 'at', '2100-01-01T00:00:00Z', 'aws', 'ecs', 'list-clusters')
    assert f'as of revision {now}, ' in r.stderr
    r = tool(server, 'at', '365d', 'aws', 'ecs', 'list-clusters')
    assert r.returncode == 1 and 'the oldest that is kept is revision 1' in r.stderr
    # one's own verb
    running = next(c['revision'] for c in history(server, 'service/replayed/s')
                   if c['action'] == 'CHANGED')
    assert tool(server, 'at', str(before['revision']), 'ps').stdout.count('\n') == 2
    assert tool(server, 'at', '1', 'ps').stdout.count('\n') == 1
    assert running > 1


def history(server, key):
    return admin.call(server, 'ListHistory', key=key)['changes']


def test_the_past_is_not_changed_and_has_no_logs(server):
    path = f"/_gantry/at/{admin.call(server, 'DescribeJournal')['revision']}"
    for service, call, said in [
            ('ecs', lambda c: c.create_cluster(clusterName='no'), 'what was cannot be changed'),
            ('logs', lambda c: c.describe_log_groups(), 'tells of what is now'),
            ('ecr', lambda c: c.list_images(repositoryName='repo'), 'tells of what is now')]:
        with pytest.raises(ClientError) as e:
            call(server.client(service, endpoint=server.endpoint + path))
        assert said in str(e.value)
    for path, said in [('/_gantry/at/999999999', 'there is no revision 999999999 yet'),
                       ('/_gantry/at/x', 'names no revision'), ('/_gantry/at/0/', 'names no revision')]:
        with pytest.raises(ClientError) as e:
            server.client('ecs', endpoint=server.endpoint + path).list_clusters()
        assert said in str(e.value)
    assert 'no' not in str(server.client('ecs').describe_clusters(clusters=['no'])['clusters'])
    for verb in ['stop', 'run', 'up', 'logs']:
        r = tool(server, 'at', '1', verb, 'x')
        assert r.returncode == 2 and 'is about what is now' in r.stderr


def test_history_tells_who_changed_what(server):
    changes = history(server, 'service/replayed/s')
    assert changes[0]['action'] == 'CREATED'
    assert changes[0]['call'] == 'ecs.CreateService' and changes[0]['who'].endswith(':root')
    update = next(c for c in changes if c['call'] == 'ecs.UpdateService')
    desired = next(f for f in update['fields'] if f['name'] == 'desired')
    assert (desired['from'], desired['to']) == ('3', '1')
    task = server.client('ecs').list_tasks(cluster='replayed', serviceName='s')['taskArns'][0]
    task = task.split('/')[-1]
    states = [f['to'] for c in history(server, 'task/' + task) for f in c['fields']
              if f['name'] == 'last_status']
    assert states[-1] == '"RUNNING"'
    assert {c['who'] for c in history(server, 'task/' + task)} > {'ecs-service'}
    # the same as pages
    pages, token = [], {}
    while True:
        page = admin.call(server, 'ListHistory', key='task/' + task, maxResults=1, **token)
        pages += page['changes']
        if 'nextToken' not in page:
            break
        token = {'nextToken': page['nextToken']}
    assert pages == history(server, 'task/' + task)
    r = tool(server, 'history', 'service/replayed/s')
    assert '    desired: 3 -> 1' in r.stdout and 'ecs.UpdateService  by arn:aws:iam' in r.stdout
    r = tool(server, 'history', '--json', f'task/{task[:10]}*')
    assert [json.loads(line) for line in r.stdout.splitlines()] == pages
    r = tool(server, 'history', 'task/nope')
    assert r.returncode == 1 and 'no change of' in r.stderr
    r = tool(server, 'history', 'service/s')
    assert r.returncode == 1 and 'which cluster?' in r.stderr
