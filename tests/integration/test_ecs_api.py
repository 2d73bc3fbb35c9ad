"""ECS as boto3 sees it: the real server, and a node that only says that it runs things."""
import json
import os
import shutil
import subprocess
import tempfile
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import BIN, free_port, wait_for
from fake_node import FakeNode, Refused


class Server:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='gantry-ecs-', dir='/var/tmp')
        self.port = free_port()
        self.endpoint = f'http://127.0.0.1:{self.port}'
        self.start()

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'gantry-server'), '--state', os.path.join(self.dir, 'state'),
             '--listen', f'127.0.0.1:{self.port}'], stdout=self.log, stderr=self.log)
        wait_for(self.answers, 20)
        with open(self.key_file()) as f:
            key = json.load(f)
        self.key = key['accessKeyId'], key['secretAccessKey']
        self.ecs = boto3.client(
            'ecs', endpoint_url=self.endpoint, region_name='us-east-1',
            aws_access_key_id=self.key[0], aws_secret_access_key=self.key[1],
            config=Config(retries={'max_attempts': 0}))

    def key_file(self):
        for at in ('state/root.key', 'root.key', 'state/server/root.key'):
            if os.path.exists(os.path.join(self.dir, at)):
                return os.path.join(self.dir, at)
        return ''

    def answers(self):
        import socket
        with socket.socket() as s:
            return self.key_file() and s.connect_ex(('127.0.0.1', self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def end(self):
        self.kill()
        shutil.rmtree(self.dir)


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.end()


@pytest.fixture(scope='module')
def node(server):
    n = FakeNode(server.endpoint, server.key)
    yield n
    n.end()


@pytest.fixture(scope='module')
def ecs(server):
    return server.ecs


def define(ecs, family, **more):
    c = dict(name='c', image='busybox', memory=64)
    return ecs.register_task_definition(family=family, containerDefinitions=[c],
                                        **more)['taskDefinition']['taskDefinitionArn']


def refused(name, part, call, **args):
    with pytest.raises(ClientError) as e:
        call(**args)
    assert e.value.response['Error']['Code'] == name
    assert part in e.value.response['Error']['Message']


FAST = {'Delay': 1, 'MaxAttempts': 20}


def test_run_wait_stop(ecs, node):
    definition = define(ecs, 'run')
    task = ecs.run_task(taskDefinition='run', startedBy='me', count=1)['tasks'][0]
    assert task['taskDefinitionArn'] == definition
    assert task['lastStatus'] == 'PENDING'
    arn = task['taskArn']
    ecs.get_waiter('tasks_running').wait(tasks=[arn], WaiterConfig=FAST)
    assert ecs.list_tasks(startedBy='me')['taskArns'] == [arn]
    task = ecs.describe_tasks(tasks=[arn], include=['TAGS'])['tasks'][0]
    assert task['containers'][0]['lastStatus'] == 'RUNNING'
    assert task['createdAt'] <= task['startedAt']
    ecs.stop_task(task=arn, reason='enough')
    ecs.get_waiter('tasks_stopped').wait(tasks=[arn], WaiterConfig=FAST)
    task = ecs.describe_tasks(tasks=[arn])['tasks'][0]
    assert (task['stopCode'], task['stoppedReason']) == ('UserInitiated', 'enough')
    assert task['containers'][0]['exitCode'] == 0
    assert ecs.list_tasks(desiredStatus='STOPPED', family='run')['taskArns'] == [arn]


def test_service_rolls_and_ends(ecs, node):
    define(ecs, 'roll')
    s = ecs.create_service(serviceName='roll', taskDefinition='roll', desiredCount=3,
                           clientToken='once')['service']
    again = ecs.create_service(serviceName='roll', taskDefinition='roll', desiredCount=3,
                               clientToken='once')['service']
    assert again['serviceArn'] == s['serviceArn']
    ecs.get_waiter('services_stable').wait(services=['roll'], WaiterConfig=FAST)
    second = define(ecs, 'roll')
    ecs.update_service(service='roll', taskDefinition='roll')
    ecs.get_waiter('services_stable').wait(services=['roll'], WaiterConfig=FAST)
    s = ecs.describe_services(services=['roll'])['services'][0]
    assert s['taskDefinition'] == second
    assert s['deployments'][0]['rolloutState'] == 'COMPLETED'
    said = [e['message'] for e in s['events']]
    wait_for(lambda: 'steady' in ecs.describe_services(services=['roll'])['services'][0]['events']
             [0]['message'])
    assert any('has started 3 tasks:' in m for m in said)
    tasks = ecs.describe_tasks(tasks=ecs.list_tasks(serviceName='roll')['taskArns'])['tasks']
    assert {t['taskDefinitionArn'] for t in tasks} == {second}
    assert {t['group'] for t in tasks} == {'service:roll'}
    refused('InvalidParameterException', 'scaled above 0', ecs.delete_service, service='roll')
    ecs.update_service(service='roll', desiredCount=0)
    ecs.delete_service(service='roll')
    ecs.get_waiter('services_inactive').wait(services=['roll'], WaiterConfig=FAST)
    assert 'roll' not in str(ecs.list_services()['serviceArns'])


def test_failing_service_says_so(ecs, node):
    node.fail = 'bad'
    define(ecs, 'bad')
    ecs.create_service(serviceName='bad', taskDefinition='bad', desiredCount=1)
    wait_for(lambda: 'unable to consistently start' in
             str(ecs.describe_services(services=['bad'])['services'][0]['events']))
    stopped = ecs.list_tasks(desiredStatus='STOPPED', serviceName='bad')['taskArns']
    task = ecs.describe_tasks(tasks=stopped)['tasks'][0]
    assert task['stopCode'] == 'TaskFailedToStart'
    assert task['stoppedReason'].startswith('CannotPullContainerError')
    assert len(stopped) < 6
    ecs.delete_service(service='bad', force=True)


def test_pages(ecs, node):
    for _ in range(7):
        define(ecs, 'pages')
    pages = list(ecs.get_paginator('list_task_definitions').paginate(
        familyPrefix='pages', PaginationConfig={'PageSize': 3}))
    assert [len(p['taskDefinitionArns']) for p in pages] == [3, 3, 1]
    numbers = [int(a.rsplit(':', 1)[1]) for p in pages for a in p['taskDefinitionArns']]
    assert numbers == list(range(1, 8))
    token = pages[0]['nextToken']
    refused('InvalidParameterException', '', ecs.list_task_definitions, nextToken=token + 'x')
    refused('InvalidParameterException', '', ecs.list_clusters, nextToken=token)


def test_refusals(ecs, node):
    define(ecs, 'plain')
    refused('ClusterNotFoundException', 'Cluster not found.', ecs.list_tasks, cluster='nope')
    refused('ClientException', 'not found', ecs.run_task, taskDefinition='nope')
    refused('ClientException', 'secrets', ecs.register_task_definition, family='x',
            containerDefinitions=[dict(name='c', image='i', memory=64,
                                       secrets=[dict(name='a', valueFrom='b')])])
    refused('ServiceNotFoundException', '', ecs.update_service, service='nope')
    refused('InvalidParameterException', '', ecs.run_task, taskDefinition='plain', count=11)
    refused('InvalidParameterException', '', ecs.run_task, taskDefinition='plain',
            launchType='NOPE')
    with pytest.raises(ClientError):
        ecs.create_capacity_provider(name='x', autoScalingGroupProvider={
            'autoScalingGroupArn': 'x'})
    failures = ecs.describe_tasks(tasks=['0' * 32])['failures']
    assert failures[0]['reason'] == 'MISSING'
    big = ecs.run_task(taskDefinition='plain', overrides={
        'containerOverrides': [{'name': 'c', 'memory': 10 ** 6}]})
    assert big['failures'][0]['reason'] == 'RESOURCE:MEMORY' and not big['tasks']


def test_tags_and_instances(ecs, node):
    arn = ecs.list_container_instances()['containerInstanceArns'][0]
    i = ecs.describe_container_instances(containerInstances=[arn])['containerInstances'][0]
    assert i['agentConnected'] and i['status'] == 'ACTIVE'
    left = {r['name']: r.get('integerValue') for r in i['remainingResources']}
    assert left['CPU'] == 8192
    ecs.tag_resource(resourceArn=arn, tags=[{'key': 'rack', 'value': '7'}])
    assert ecs.list_tags_for_resource(resourceArn=arn)['tags'] == [{'key': 'rack', 'value': '7'}]
    ecs.untag_resource(resourceArn=arn, tagKeys=['rack'])
    assert ecs.list_tags_for_resource(resourceArn=arn)['tags'] == []


def test_an_older_session_is_refused(server, node):
    old = node.session
    node.session = node.call('RegisterNode', node.register)['session']
    with pytest.raises(Refused, match='StaleSessionException'):
        node.call('Heartbeat', dict(session=old))


def test_survives_kill(server, node):
    define(server.ecs, 'kept')
    server.ecs.create_service(serviceName='kept', taskDefinition='kept', desiredCount=2)
    server.ecs.get_waiter('services_stable').wait(services=['kept'], WaiterConfig=FAST)
    tasks = sorted(server.ecs.list_tasks(serviceName='kept')['taskArns'])
    node.end()
    server.kill()
    server.start()
    again = FakeNode(server.endpoint, server.key)
    time.sleep(1)
    assert sorted(server.ecs.list_tasks(serviceName='kept')['taskArns']) == tasks
    server.ecs.get_waiter('services_stable').wait(services=['kept'], WaiterConfig=FAST)
    again.end()
