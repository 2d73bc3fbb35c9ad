"""The journal seen from outside: what is kept of the past, and what it says."""
import json
import os
import subprocess

import boto3
import pytest
from botocore.credentials import Credentials

import admin
from conftest import BIN, wait_for
from fake_node import FakeNode
from server import Server


@pytest.fixture(scope='module')
def server():
    s = Server()
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
