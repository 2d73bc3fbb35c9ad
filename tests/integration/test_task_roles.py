"""A task calls as its role, with keys that nobody else gets."""
import json
import os
import signal
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import wait_for
from tasks import container, describe, register, run, stop, wait_status

TRUST = json.dumps({'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Action': 'sts:AssumeRole',
     'Principal': {'Service': 'ecs-tasks.amazonaws.com'}}]})
MAY = json.dumps({'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Action': 'ecs:ListClusters', 'Resource': '*'}]})


def make_role(gantry, name, trust=TRUST):
    iam = gantry.client('iam')
    arn = iam.create_role(RoleName=name, Path='/tasks/', AssumeRolePolicyDocument=trust)['Role']['Arn']
    iam.put_role_policy(RoleName=name, PolicyName='may', PolicyDocument=MAY)
    return arn


@pytest.fixture(scope='module')
def role(gantry):
    return make_role(gantry, 'of-tasks')


def pid_of(marker):
    """The container's process that sleeps so long."""
    def found():
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    if f.read() == f'sleep\0{marker}\0'.encode():
                        return int(pid)
            except OSError:
                continue
        return None
    return wait_for(found)


def uri_of(pid):
    with open(f'/proc/{pid}/environ', 'rb') as f:
        env = dict(v.split(b'=', 1) for v in f.read().split(b'\0') if b'=' in v)
    value = env.get(b'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
    return value.decode() if value else None


def get(pid, uri):
    """From inside of the container's network: status and JSON."""
    r = subprocess.run(['nsenter', '-t', str(pid), '-n', 'curl', '-s', '-w', '\n%{http_code}',
                        f'http://169.254.170.2{uri}'], capture_output=True, text=True, timeout=20)
    body, status = r.stdout.rsplit('\n', 1)
    return int(status), json.loads(body)


def start(gantry, busybox, seconds, role, family='roles', **more):
    definition = register(gantry, family, container(busybox, command=['sleep', str(seconds)], stopTimeout=2),
                          **({'taskRoleArn': role} if role else {}))
    arn = run(gantry, definition, **more)
    wait_status(gantry, arn, 'RUNNING')
    return arn, pid_of(seconds)


def client(gantry, service, keys):
    return gantry.client(service, access_key=keys['AccessKeyId'], secret_key=keys['SecretAccessKey'],
                         aws_session_token=keys['Token'])


def refused(call, **args):
    with pytest.raises(ClientError) as e:
        call(**args)
    return e.value.response['Error']['Code']


def test_a_task_calls_as_its_role(gantry, busybox, role):
    arn, pid = start(gantry, busybox, 71001, role)
    other, other_pid = start(gantry, busybox, 71002, role)
    plain, plain_pid = start(gantry, busybox, 71003, None, family='plain')
    uri = uri_of(pid)
    assert uri.startswith('/v2/credentials/') and uri_of(plain_pid) is None
    status, keys = get(pid, uri)
    assert status == 200
    assert set(keys) == {'RoleArn', 'AccessKeyId', 'SecretAccessKey', 'Token', 'Expiration'}
    assert keys['RoleArn'] == role
    task = arn.split('/')[-1]
    assert client(gantry, 'sts', keys).get_caller_identity()['Arn'] == (
        f'arn:aws:sts::000000000000:assumed-role/of-tasks/{task}')
    client(gantry, 'ecs', keys).list_clusters()
    assert refused(client(gantry, 'ecs', keys).stop_task, task=plain) == 'AccessDeniedException'

    # the other task has keys of its own, and cannot have these
    assert get(other_pid, uri_of(other_pid))[1]['AccessKeyId'] != keys['AccessKeyId']
    for asker in (other_pid, plain_pid):
        assert get(asker, uri)[0] == 403
    assert get(pid, '/v2/credentials/00000000-0000-4000-8000-000000000000')[0] == 403

    # the secrets are in no log and no journal
    with open(os.path.join(gantry.state, 'server', 'core.db'), 'rb') as f:
        journal = f.read()
    for secret in (keys['SecretAccessKey'], keys['Token']):
        assert secret.encode() not in journal and secret not in gantry.read_log()
    for t in (arn, other, plain):
        stop(gantry, t)
    assert not [f for f in os.listdir(os.path.join(gantry.run_dir, 'link', 'tasks')) if task in f]


def test_override_and_a_name(gantry, busybox, role):
    make_role(gantry, 'by-override')
    arn, pid = start(gantry, busybox, 71004, role, overrides={'taskRoleArn': 'by-override'})
    assert get(pid, uri_of(pid))[1]['RoleArn'] == 'arn:aws:iam::000000000000:role/tasks/by-override'
    stop(gantry, arn)


@pytest.mark.parametrize('name, trust', [
    ('nobody-made-it', None),
    ('of-people', json.dumps({'Statement': {
        'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'AWS': '000000000000'}}})),
])
def test_a_role_that_tasks_may_not_have(gantry, busybox, name, trust):
    arn = make_role(gantry, name, trust) if trust else f'arn:aws:iam::000000000000:role/{name}'
    definition = register(gantry, 'wrong', container(busybox, command=['sleep', '1']),
                          taskRoleArn=arn)
    task = run(gantry, definition)
    t = wait_status(gantry, task, 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert t['stoppedReason'].startswith(
        f"ECS was unable to assume the role '{arn}' that was provided for this task.")


def test_keys_without_agent_and_server(gantry, busybox, role):
    arn, pid = start(gantry, busybox, 71005, role)
    uri = uri_of(pid)
    before = get(pid, uri)[1]
    for name in ('gantry-agent', 'gantry-server'):
        os.kill(gantry.pid_of(name), signal.SIGSTOP)
    try:
        assert get(pid, uri) == (200, before)
    finally:
        for name in ('gantry-agent', 'gantry-server'):
            os.kill(gantry.pid_of(name), signal.SIGKILL)
    assert get(pid, uri) == (200, before)

    # a new agent finds them, and has newer ones soon
    def renewed():
        status, keys = get(pid, uri)
        assert status == 200
        return keys if keys['AccessKeyId'] != before['AccessKeyId'] else None
    keys = wait_for(renewed, 40, 0.2)
    client(gantry, 'ecs', keys).list_clusters()
    assert describe(gantry, arn)['lastStatus'] == 'RUNNING'
    stop(gantry, arn)


def test_passing_a_role(gantry, busybox, role):
    """iam:PassRole is asked of who gives a role to tasks."""
    iam, sts = gantry.client('iam'), gantry.client('sts')
    other = make_role(gantry, 'not-to-pass')
    deployer = iam.create_role(RoleName='deployer', AssumeRolePolicyDocument=json.dumps(
        {'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole',
                       'Principal': {'AWS': '000000000000'}}}))['Role']['Arn']
    iam.put_role_policy(RoleName='deployer', PolicyName='p', PolicyDocument=json.dumps(
        {'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Action': ['ecs:RegisterTaskDefinition', 'ecs:RunTask'],
             'Resource': '*'},
            {'Effect': 'Allow', 'Action': 'iam:PassRole', 'Resource': role, 'Condition': {
                'StringEquals': {'iam:PassedToService': 'ecs-tasks.amazonaws.com'}}}]}))
    keys = sts.assume_role(RoleArn=deployer, RoleSessionName='ci')['Credentials']
    ecs = client(gantry, 'ecs', {**keys, 'Token': keys['SessionToken']})
    one = [container(busybox, command=['sleep', '1'])]
    made = ecs.register_task_definition(family='passed', containerDefinitions=one, taskRoleArn=role)
    assert 'assumed-role/deployer/ci' in made['taskDefinition']['registeredBy']
    denied = 'AccessDeniedException'
    assert refused(ecs.register_task_definition, family='passed', containerDefinitions=one,
                   taskRoleArn=other) == denied
    assert refused(ecs.register_task_definition, family='passed', containerDefinitions=one,
                   taskRoleArn='not-to-pass') == denied
    assert refused(ecs.register_task_definition, family='passed', containerDefinitions=one,
                   executionRoleArn=other) == denied
    assert refused(ecs.run_task, taskDefinition='passed', overrides={'taskRoleArn': other}) == denied
    assert not ecs.run_task(taskDefinition='passed')['failures']
