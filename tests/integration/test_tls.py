"""Server and node as on two machines: TLS between them, with an authority of the operator's own."""
import os
import shutil
import signal
import subprocess

import boto3
import pytest
from botocore.config import Config

from conftest import BIN, Gantry, wait_for
from tasks import container, make_group, output, register, run, wait_status, with_logs


def make_certificate(folder):
    """An authority, and a certificate of it for 127.0.0.1."""
    path = lambda name: os.path.join(folder, name)
    openssl = lambda *args: subprocess.run(['openssl', *args], check=True, capture_output=True)
    key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    openssl('req', '-x509', *key, '-keyout', path('ca.key'), '-out', path('ca.crt'), '-days', '2',
            '-subj', '/CN=an authority')
    openssl('req', *key, '-keyout', path('server.key'), '-out', path('csr'), '-subj', '/CN=gantry')
    with open(path('ext'), 'w') as f:
        f.write('subjectAltName=IP:127.0.0.1\n')
    openssl('x509', '-req', '-in', path('csr'), '-CA', path('ca.crt'), '-CAkey', path('ca.key'),
            '-CAcreateserial', '-days', '2', '-extfile', path('ext'), '-out', path('server.crt'))


class TwoMachines(Gantry):
    """A server that listens on every address, and an agent that shares nothing with it but a key
    and the authority."""

    def __init__(self):
        super().__init__()
        self.endpoint = f'https://127.0.0.1:{self.port}'
        self.authority = os.path.join(self.dir, 'ca.crt')
        self.agent_state = os.path.join(self.dir, 'node')
        self.server = self.agent = None

    def start(self):
        make_certificate(self.dir)
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.server = self._spawn('gantry-server', '--state', self.state, '--listen',
                                  f'0.0.0.0:{self.port}', '--tls-cert', f'{self.dir}/server.crt',
                                  '--tls-key', f'{self.dir}/server.key')
        wait_for(lambda: os.path.exists(os.path.join(self.state, 'root.key')), 20)
        self.start_agent('--ca', self.authority)
        wait_for(self.nodes, 20)
        return self

    def _spawn(self, name, *args):
        return subprocess.Popen([os.path.join(BIN, name), *args], stdout=self.log, stderr=self.log)

    def start_agent(self, *more):
        self.agent = self._spawn(
            'gantry-agent', '--server', self.endpoint, '--key', f'{self.state}/root.key',
            '--state', self.agent_state, '--run', self.run_dir, '--name', self.name, *more)

    def nodes(self):
        try:
            return self.client('ecs').list_container_instances()['containerInstanceArns']
        except Exception:
            return None

    def client(self, service, **more):
        key = self.key()
        return boto3.client(service, endpoint_url=self.endpoint, region_name='us-east-1',
                            verify=self.authority, aws_access_key_id=key['accessKeyId'],
                            aws_secret_access_key=key['secretAccessKey'],
                            config=Config(retries={'max_attempts': 0}))

    def down(self):
        for p in (self.agent, self.server):
            if p:
                p.terminate()
                p.wait(20)
        subprocess.run([os.path.join(BIN, 'gantry-agent'), '--teardown', '--state',
                        self.agent_state, '--run', self.run_dir, '--name', self.name],
                       stdout=self.log, stderr=self.log, timeout=60)
        self.log.close()


@pytest.fixture(scope='module')
def gantry():
    g = TwoMachines()
    try:
        yield g.start()
    finally:
        g.down()
        g.remove()


@pytest.fixture(scope='module')
def busybox(gantry, busybox_layout):
    gantry.client('ecr').create_repository(repositoryName='busybox')
    token = gantry.client('ecr').get_authorization_token()['authorizationData'][0]
    assert token['proxyEndpoint'].startswith('https://')
    import base64
    creds = base64.b64decode(token['authorizationToken']).decode()
    certs = os.path.join(gantry.dir, 'certs')
    os.makedirs(certs)
    shutil.copy(gantry.authority, certs)
    subprocess.run(['skopeo', 'copy', '--quiet', '--dest-cert-dir', certs, '--dest-creds', creds,
                    f'oci:{busybox_layout}:latest', f'docker://{gantry.registry}/busybox:1'],
                   check=True)
    return f'{gantry.registry}/busybox:1'


def test_a_task_over_tls(gantry, busybox):
    """Protocol, image and output all go through it."""
    make_group(gantry)
    arn = run(gantry, register(gantry, 'tls', with_logs(container(
        busybox, command=['sh', '-c', 'echo over tls; exit 4']))))
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['containers'][0]['exitCode'] == 4, t
    assert wait_for(lambda: output(gantry, t), 20) == ['over tls']


def test_an_agent_trusts_nobody_else(gantry, busybox):
    arn = run(gantry, register(gantry, 'waits', container(busybox, command=['sleep', '1000'],
                                                         stopTimeout=2)))
    wait_status(gantry, arn, 'RUNNING')
    gantry.agent.send_signal(signal.SIGKILL)
    gantry.agent.wait()
    other = os.path.join(gantry.dir, 'other')
    os.makedirs(other)
    make_certificate(other)
    gantry.start_agent('--ca', os.path.join(other, 'ca.crt'))
    wait_for(lambda: 'certificate' in gantry.read_log(), 20)
    gantry.client('ecs').stop_task(task=arn)
    gantry.agent.terminate()
    gantry.agent.wait(20)
    gantry.start_agent('--ca', gantry.authority)
    wait_status(gantry, arn, 'STOPPED')
