"""Machines that join a server with a token, over TLS with the server's own authority."""
import base64
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

import boto3
import pytest
from botocore.config import Config

from conftest import BIN, free_port, own_clock, wait_for

SECRET = '0' * 32


class Server:
    """A server without agent, that speaks TLS on loopback."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='gantry-join-', dir='/var/tmp')
        self.state = os.path.join(self.dir, 'state')
        self.port = free_port()
        self.endpoint = f'https://127.0.0.1:{self.port}'
        self.ca = os.path.join(self.state, 'ca.pem')
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'gantry-server'), '--state', self.state, '--listen',
             f'127.0.0.1:{self.port}', '--tls-name', 'localhost'], stdout=self.log, stderr=self.log)
        wait_for(lambda: os.path.exists(os.path.join(self.state, 'server.json')) and self.answers())
        return self

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def gantry(self, *args, check=True):
        r = subprocess.run([os.path.join(BIN, 'gantry'), *args, '--state', self.state], text=True,
                           capture_output=True, timeout=60)
        assert not check or r.returncode == 0, r.stderr
        return r

    def token(self, *options):
        return self.gantry('token', 'create', *options).stdout.strip()

    def client(self, service):
        with open(os.path.join(self.state, 'root.key')) as f:
            key = json.load(f)
        return boto3.client(service, endpoint_url=self.endpoint, region_name='us-east-1',
                            verify=self.ca, aws_access_key_id=key['accessKeyId'],
                            aws_secret_access_key=key['secretAccessKey'],
                            config=Config(retries={'max_attempts': 0}))

    def instances(self, cluster='default'):
        ecs = self.client('ecs')
        arns = ecs.list_container_instances(cluster=cluster)['containerInstanceArns']
        return ecs.describe_container_instances(
            cluster=cluster, containerInstances=arns)['containerInstances'] if arns else []


class Agent:
    """An agent with folders and an instance of its own."""

    def __init__(self, server, state=None):
        self.server = server
        self.name = 'gtj' + uuid.uuid4().hex[:8]
        self.dir = tempfile.mkdtemp(prefix='agent-', dir=server.dir)
        self.state = state or os.path.join(self.dir, 'state')
        self.run_dir = f'/run/{self.name}'
        self.process = None

    def start(self, *options, env=None):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'gantry-agent'), '--state', self.state, '--run', self.run_dir,
             '--name', self.name, *options], stdout=self.log, stderr=self.log,
            env=dict(os.environ, **(env or {})))
        return self

    def join(self, token, *options, url=None, **more):
        path = os.path.join(self.dir, 'token')
        with open(path, 'w') as f:
            f.write(token + '\n')
        os.chmod(path, 0o600)
        return self.start('--join', url or self.server.endpoint, '--token-file', path, *options,
                          **more)

    def refused(self):
        """What it says when it ends with 1."""
        assert self.process.wait(60) == 1, self.read_log()
        return self.read_log()

    def read_log(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()

    def says(self, text, seconds=30):
        try:
            wait_for(lambda: text in self.read_log(), seconds)
        except AssertionError:
            raise AssertionError(f'it does not say {text!r}:\n' + self.read_log()) from None

    def identity(self):
        with open(os.path.join(self.state, 'agent', 'node.json')) as f:
            return json.load(f)

    def files(self):
        try:
            return sorted(os.listdir(os.path.join(self.state, 'agent')))
        except FileNotFoundError:
            return []

    def status(self):
        try:
            return self.ask_status()
        except OSError:
            return {'standing': 'not there'}

    def ask_status(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(os.path.join(self.run_dir, 'agent.sock'))
            s.send(b'{"op":"status"}')
            return json.loads(s.recv(65536))

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def remove(self):
        self.stop()
        subprocess.run([os.path.join(BIN, 'gantry-agent'), '--teardown', '--state', self.state,
                        '--run', self.run_dir, '--name', self.name], timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.run_dir, ignore_errors=True)


@pytest.fixture(scope='module')
def server():
    s = Server()
    try:
        yield s.start()
        s.stop()
    finally:
        if s.process.poll() is None:
            s.process.kill()
        shutil.rmtree(s.dir, ignore_errors=True)


@pytest.fixture
def agents(server):
    made = []

    def make(state=None):
        made.append(Agent(server, state))
        return made[-1]

    yield make
    for a in made:
        a.remove()


def test_join_and_come_back(server, agents):
    a = agents().join(server.token())
    a.says('registered with')
    node = a.identity()
    assert node['accessKeyId'].startswith('GTNODE-' + node['nodeId'] + '.')
    assert oct(os.stat(os.path.join(a.state, 'agent', 'node.json')).st_mode & 0o777) == '0o600'
    assert 'join.json' not in a.files()
    assert any(i['containerInstanceArn'].endswith(node['nodeId']) for i in server.instances())
    wait_for(lambda: a.status()['standing'] == 'good')
    a.stop(signal.SIGKILL)
    a.start()  # the server, its region and its authority are known now
    wait_for(lambda: a.read_log().count('registered with') == 2)
    assert a.identity()['nodeId'] == node['nodeId']


def test_a_used_token(server, agents):
    token = server.token()
    agents().join(token).says('registered with')
    b = agents().join(token)
    said = b.refused()
    assert 'good for one node only' in said and 'gantry token create' in said
    assert b.files() == []


def test_wrong_tokens(server, agents):
    token = server.token()
    before = len(server.instances())
    id, secret, authority = token.split('.')
    for bad, says in ((f'{id}.{SECRET}.{authority}', 'does not know this token'),
                      (f'000000000000.{secret}.{authority}', 'does not know this token'),
                      (f'{id}.{secret}.{"0" * 64}', 'shows another authority'),
                      (f'{id}.{secret}', 'cannot prove who it is'),
                      ('nonsense', 'that is no token')):
        a = agents().join(bad)
        assert says in a.refused(), a.read_log()
        assert a.files() == []
    assert len(server.instances()) == before
    agents().join(token).says('registered with')  # nothing of it was used up


def test_expired_and_revoked(server, agents):
    short, gone = server.token('--ttl', '1s'), server.token('--uses', '5')
    server.gantry('token', 'revoke', gone.split('.')[0])
    time.sleep(1.1)
    assert 'has expired' in agents().join(short).refused()
    assert 'was revoked' in agents().join(gone).refused()
    assert 'no token' in server.gantry('token', 'revoke', 'ffff', check=False).stderr
    listed = server.gantry('token', 'list').stdout
    assert short.split('.')[0] in listed and gone.split('.')[0] not in listed
    assert short.split('.')[1] not in listed


def test_plain_http_elsewhere(server, agents):
    said = agents().join(server.token(), url='http://10.1.2.3:4566').refused()
    assert 'join by https' in said


def test_a_token_for_one_cluster(server, agents):
    server.client('ecs').create_cluster(clusterName='edge')
    token = server.token('--cluster', 'edge')
    assert "for cluster 'edge'" in agents().join(token, '--cluster', 'default').refused()
    agents().join(token).says('registered with')
    assert len(server.instances('edge')) == 1


class Impostor:
    """Answers in the server's place, with a certificate of its own; passes all on."""

    def __init__(self, server):
        key = os.path.join(server.dir, 'impostor.key')
        pem = os.path.join(server.dir, 'impostor.pem')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', pem, '-days',
                        '1', '-subj', '/CN=x', '-addext', 'subjectAltName=IP:127.0.0.1'],
                       check=True, capture_output=True)
        self.server = server
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem, key)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
                with self.context.wrap_socket(c, server_side=True) as c:
                    self.answer(c)
            except ssl.SSLError:
                continue
            except OSError:
                return

    def answer(self, c):
        request = c.recv(65536)
        self.requests.append(request)
        trust = ssl.create_default_context(cafile=self.server.ca)
        with socket.create_connection(('127.0.0.1', self.server.port)) as s:
            with trust.wrap_socket(s, server_hostname='127.0.0.1') as s:
                s.sendall(request)
                s.settimeout(0.5)
                try:
                    while True:
                        c.sendall(s.recv(65536))
                except TimeoutError:
                    pass


def test_an_impostor_learns_nothing(server, agents):
    """It can show the true authority's certificate, which is public, but not speak for it."""
    impostor = Impostor(server)
    token = server.token()
    a = agents().join(token, url=f'https://127.0.0.1:{impostor.port}')
    a.says('certificate')
    a.stop()
    impostor.listener.close()
    assert [r.split(b' ')[1] for r in impostor.requests] == [b'/_gantry/introduction']
    assert not any(token.split('.')[1].encode() in r for r in impostor.requests)
    assert 'node.json' not in a.files()


def test_a_join_that_was_cut_off_is_finished(server, agents):
    """The answer is lost: the token is used up, and the next start gets the same node."""
    token = server.token()
    a = agents().join(token)
    a.says('registered with')
    first = a.identity()
    b = agents()
    os.makedirs(os.path.join(b.state, 'agent'))
    with open(os.path.join(b.state, 'agent', 'join.json'), 'w') as f:
        f.write('{"joinId": "00112233445566778899aabbccddeeff"}')
    other = server.token()
    b.join(other).says('registered with')
    c = agents()
    os.makedirs(os.path.join(c.state, 'agent'))
    with open(os.path.join(c.state, 'agent', 'join.json'), 'w') as f:
        f.write('{"joinId": "00112233445566778899aabbccddeeff"}')
    assert 'good for one node only' in c.join(other).refused()  # that join is over
    assert first['nodeId'] != b.identity()['nodeId']


def test_a_server_that_is_away(server, agents):
    token = server.token()
    server.stop()
    a = agents().join(token)
    a.says('trying again')
    server.start()
    a.says('registered with')


def test_a_copied_node(server, agents):
    """The newer one is the node; the older says so, and does not fight."""
    a = agents().join(server.token())
    a.says('registered with')
    b = agents()
    os.makedirs(os.path.join(b.state, 'agent'))
    shutil.copy(os.path.join(a.state, 'agent', 'ca.pem'), os.path.join(b.state, 'agent', 'ca.pem'))
    with open(os.path.join(b.state, 'agent', 'node.json'), 'w') as f:
        json.dump(dict(a.identity(), subnet=''), f)  # which is taken, as both are on one host
    b.start()
    b.says('registered with')
    a.says('This agent changes nothing any more')
    assert a.status()['standing'] == 'superseded'
    assert "another agent, on host '" in a.read_log()
    time.sleep(3)
    assert b.status()['standing'] == 'good'
    assert a.read_log().count('registered with') == 1 and b.read_log().count('registered with') == 1
    assert a.process.poll() is None


def test_another_key(server, agents):
    a = agents().join(server.token())
    a.says('registered with')
    first = a.identity()
    a.stop()
    a.start('--renew-key')
    wait_for(lambda: a.identity()['accessKeyId'] != first['accessKeyId'])
    wait_for(lambda: a.status()['standing'] == 'good')
    second = a.identity()
    assert second['nodeId'] == first['nodeId']
    a.stop(signal.SIGKILL)
    a.start()
    wait_for(lambda: a.status()['standing'] == 'good')
    assert a.identity()['accessKeyId'] == second['accessKeyId']


def test_a_key_that_is_not_taken(server, agents):
    a = agents().join(server.token())
    a.says('registered with')
    a.stop()
    node = a.identity()
    node['secretAccessKey'] = SECRET
    path = os.path.join(a.state, 'agent', 'node.json')
    with open(path, 'w') as f:
        json.dump(node, f)
    a.start()
    a.says("does not take this node's key")
    assert a.status()['standing'] == 'refused'
    assert 'gantry token create' in a.status()['text']
    time.sleep(2)
    assert a.read_log().count("does not take this node's key") == 1


def test_deregistered(server, agents):
    a = agents().join(server.token())
    a.says('registered with')
    node = a.identity()['nodeId']
    server.client('ecs').deregister_container_instance(containerInstance=node, force=True)
    wait_for(lambda: a.status()['standing'] in ('refused', 'removed'))


def test_aws_trusts_the_authority(server):
    env = dict(os.environ)
    out = subprocess.run(
        ['bash', '-c', 'eval "$("$0" env --state "$1")"; aws ecs list-clusters',
         os.path.join(BIN, 'gantry'), server.state], env=env, capture_output=True, text=True,
        timeout=60)
    assert out.returncode == 0 and 'cluster/default' in out.stdout, out.stderr
    assert server.gantry('env', '--ca').stdout == f"export AWS_CA_BUNDLE='{server.ca}'\n"


def test_the_certificate_is_made_for_new_names(server):
    before = open(os.path.join(server.state, 'server', 'tls.pem')).read()
    server.stop()
    server.start()
    assert open(os.path.join(server.state, 'server', 'tls.pem')).read() == before
    text = subprocess.run(['openssl', 'verify', '-CAfile', server.ca, '-verify_ip', '127.0.0.1',
                           os.path.join(server.state, 'server', 'tls.pem')], capture_output=True,
                          text=True)
    assert text.returncode == 0, text.stderr


def activate(server, **more):
    """aws ssm create-activation, with a role that it may have."""
    iam = server.client('iam')
    trust = {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Principal': {'Service': 'ssm.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]}
    try:
        iam.create_role(RoleName='ecsAnywhereRole', AssumeRolePolicyDocument=json.dumps(trust))
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    return server.client('ssm').create_activation(IamRole='ecsAnywhereRole', **more)


def test_ecs_anywhere(server, agents):
    ssm, ecs = server.client('ssm'), server.client('ecs')
    made = activate(server, DefaultInstanceName='edge-1', Tags=[{'Key': 'site', 'Value': 'north'}])
    id, code = made['ActivationId'], made['ActivationCode']
    assert 20 <= len(code) <= 250
    a = agents().start('--join', server.endpoint, '--ca', server.ca, '--activation-id', id,
                       '--activation-code', code, '--region', 'us-east-1')
    a.says('registered with')
    node = a.identity()['nodeId']
    shown = ecs.describe_container_instances(containerInstances=[node])['containerInstances'][0]
    assert shown['ec2InstanceId'].startswith('mi-') and len(shown['ec2InstanceId']) == 20
    info = ssm.describe_instance_information(
        Filters=[{'Key': 'ActivationIds', 'Values': [id]}])['InstanceInformationList']
    assert [i['InstanceId'] for i in info] == [shown['ec2InstanceId']]
    assert info[0]['PingStatus'] == 'Online' and info[0]['IamRole'] == 'ecsAnywhereRole'
    assert info[0]['Name'] == 'edge-1' and info[0]['ResourceType'] == 'ManagedInstance'
    listed = ssm.describe_activations(Filters=[
        {'FilterKey': 'ActivationIds', 'FilterValues': [id]}])['ActivationList']
    assert listed[0]['RegistrationsCount'] == listed[0]['RegistrationLimit'] == 1
    assert listed[0]['Tags'] == [{'Key': 'site', 'Value': 'north'}]
    b = agents().start('--join', server.endpoint, '--ca', server.ca, '--activation-id', id,
                       '--activation-code', code)
    assert 'good for one node only' in b.refused()
    ecs.register_task_definition(family='edge', containerDefinitions=[
        {'name': 'c', 'image': 'nothing.invalid/none', 'memory': 16}])
    t = ecs.run_task(taskDefinition='edge', launchType='EXTERNAL')['tasks'][0]
    assert t['launchType'] == 'EXTERNAL' and t['containerInstanceArn'].endswith(node)
    ssm.delete_activation(ActivationId=id)
    with pytest.raises(ssm.exceptions.InvalidActivation):
        ssm.delete_activation(ActivationId=id)


def test_activations_that_are_refused(server):
    ssm = server.client('ssm')
    for role in ('nobody',):
        with pytest.raises(ssm.exceptions.ClientError, match='Nonexistent role'):
            ssm.create_activation(IamRole=role)
    with pytest.raises(ssm.exceptions.ClientError, match='within 30 days'):
        activate(server, ExpirationDate=time.time() + 31 * 86400)
    with pytest.raises(ssm.exceptions.ClientError, match='GetParameter'):
        ssm.get_parameter(Name='x')


@pytest.fixture(scope='module')
def busybox(server, busybox_layout):
    server.client('ecr').create_repository(repositoryName='busybox')
    token = server.client('ecr').get_authorization_token()['authorizationData'][0]
    user = base64.b64decode(token['authorizationToken']).decode()
    certs = os.path.join(server.dir, 'certs')
    os.makedirs(certs)
    shutil.copy(server.ca, os.path.join(certs, 'ca.crt'))
    name = f'127.0.0.1:{server.port}/busybox:1'
    subprocess.run(['skopeo', 'copy', '--quiet', '--dest-cert-dir', certs, '--dest-creds', user,
                    f'oci:{busybox_layout}:latest', f'docker://{name}'], check=True)
    return name


@pytest.mark.parametrize('hours', [5, -5])
def test_a_clock_that_is_wrong(server, agents, busybox, hours, tmp_path):
    """It joins and works, and what it reports is dated by the server's clock."""
    cluster = f'wrong{hours}'.replace('-', 'm')
    ecs, logs = server.client('ecs'), server.client('logs')
    ecs.create_cluster(clusterName=cluster)
    logs.create_log_group(logGroupName=cluster)
    (tmp_path / 'clock').write_text(str(hours * 3600))
    a = agents().join(server.token('--cluster', cluster), env=own_clock(tmp_path / 'clock'))
    a.says('registered with')
    options = {'awslogs-group': cluster, 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 's'}
    ecs.register_task_definition(family=cluster, networkMode='host', containerDefinitions=[
        {'name': 'c', 'image': busybox, 'memory': 64, 'command': ['sh', '-c', 'echo now; sleep 1'],
         'logConfiguration': {'logDriver': 'awslogs', 'options': options}}])
    before = time.time()
    arn = ecs.run_task(taskDefinition=cluster, cluster=cluster)['tasks'][0]['taskArn']

    def stopped():
        t = ecs.describe_tasks(tasks=[arn], cluster=cluster)['tasks'][0]
        return t if t['lastStatus'] == 'STOPPED' else None

    t = wait_for(stopped, 60)
    after = time.time()
    assert t['containers'][0]['exitCode'] == 0, t
    # The shim starts with an empty environment, so that its clock is right: what it dates is not
    # looked at here.
    for when in ('pullStartedAt', 'pullStoppedAt'):
        assert before - 2 < t[when].timestamp() < after + 2, (when, t[when], before, after)
    stream = f"s/c/{arn.split('/')[-1]}"
    event = wait_for(lambda: logs.get_log_events(
        logGroupName=cluster, logStreamName=stream)['events'])[0]
    assert event['message'] == 'now'


def test_a_roles_keys_when_the_clock_steps(server, agents, busybox, tmp_path):
    """An hour back after the agent has found the keys again: they are renewed all the same."""
    clock = tmp_path / 'clock'
    clock.write_text('0')
    ecs, iam = server.client('ecs'), server.client('iam')
    ecs.create_cluster(clusterName='steps')
    trust = {'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole',
                           'Principal': {'Service': 'ecs-tasks.amazonaws.com'}}}
    role = iam.create_role(RoleName='steps', AssumeRolePolicyDocument=json.dumps(trust))['Role']['Arn']
    a = agents().join(server.token('--cluster', 'steps'), env=own_clock(clock))
    a.says('registered with')
    ecs.register_task_definition(family='steps', networkMode='host', taskRoleArn=role, containerDefinitions=[
        {'name': 'c', 'image': busybox, 'memory': 64, 'command': ['sleep', '1000']}])
    arn = ecs.run_task(taskDefinition='steps', cluster='steps')['tasks'][0]['taskArn']
    wait_for(lambda: ecs.describe_tasks(tasks=[arn], cluster='steps')['tasks'][0]['lastStatus'] == 'RUNNING', 60)

    def keys():
        """Those that gantry-link has for the task."""
        found, folder = set(), os.path.join(a.run_dir, 'link', 'tasks')
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), 'rb') as f:
                found |= set(re.findall(rb'"AccessKeyId":"(\w+)"', f.read()))
        return found

    before = keys()
    assert len(before) == 1
    a.stop(signal.SIGKILL)
    clock.write_text('3600')
    a.start(env=own_clock(clock))
    wait_for(lambda: a.status()['standing'] != 'not there')
    clock.write_text('0')
    wait_for(lambda: keys() and keys() != before, 40)
