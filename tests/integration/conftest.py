"""A private Gantry for each test session, on a free port, with roots of its own."""
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

import boto3
import pytest
from botocore.config import Config

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('GANTRY_BUILD', os.path.join(ROOT, 'build'))
BIN = os.path.join(BUILD, 'src', 'cmd')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(what, seconds=20, step=0.05):
    """Calls what() until it returns something true."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s: {getattr(what, "__name__", what)}')
        time.sleep(step)


def own_clock(path):
    """The environment of a process whose clock is as many seconds ahead as the file says."""
    return {'LD_PRELOAD': f'{BUILD}/tests/tools/libclock_step.so', 'CLOCK_STEP': str(path),
            'ASAN_OPTIONS': 'verify_asan_link_order=0:detect_leaks=0'}


class Gantry:
    def __init__(self, descriptors=None):
        self.descriptors = descriptors  # (soft, hard) limit
        self.name = 'gt' + uuid.uuid4().hex[:8]
        self.dir = tempfile.mkdtemp(prefix='gantry-test-', dir='/var/tmp')
        self.state = os.path.join(self.dir, 'state')
        self.run_dir = f'/run/{self.name}'
        self.port = free_port()
        self.endpoint = f'http://127.0.0.1:{self.port}'
        self.registry = f'127.0.0.1:{self.port}'
        self.up = None

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.up = subprocess.Popen(
            [os.path.join(BIN, 'gantry'), 'up', '--state', self.state, '--run', self.run_dir,
             '--name', self.name, '--port', str(self.port)],
            stdout=self.log, stderr=self.log, preexec_fn=self._limit)
        try:
            wait_for(self._ready, 40)
        except AssertionError:
            raise AssertionError('Gantry did not come up:\n' + self.read_log())
        return self

    def _limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, self.descriptors)

    def _ready(self):
        if self.up.poll() is not None:
            raise AssertionError('gantry up ended:\n' + self.read_log())
        with open(os.path.join(self.dir, 'log'), 'rb') as f:
            return b'Gantry is up' in f.read()

    def read_log(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()[-8000:]

    def key(self):
        with open(os.path.join(self.state, 'root.key')) as f:
            return json.load(f)

    def env(self):
        key = self.key()
        return dict(os.environ, GANTRY_STATE=self.state, AWS_ACCESS_KEY_ID=key['accessKeyId'],
                    AWS_SECRET_ACCESS_KEY=key['secretAccessKey'], AWS_DEFAULT_REGION='us-east-1',
                    AWS_PAGER='')

    def client(self, service, **more):
        key = self.key()
        return boto3.client(service, endpoint_url=self.endpoint,
                            region_name=more.pop('region', 'us-east-1'),
                            aws_access_key_id=more.pop('access_key', key['accessKeyId']),
                            aws_secret_access_key=more.pop('secret_key', key['secretAccessKey']),
                            config=Config(retries={'max_attempts': 0}, inject_host_prefix=False),
                            **more)

    def cli(self, *args, check=True, **more):
        r = subprocess.run([os.path.join(BIN, 'gantry'), *args], env=self.env(), text=True,
                           capture_output=True, timeout=60, **more)
        if check and r.returncode != 0:
            raise AssertionError(f'gantry {args}: {r.returncode}\n{r.stdout}{r.stderr}\n' +
                                 self.read_log())
        return r

    def push(self, layout, name):
        """Pushes an OCI layout with skopeo as repository:tag."""
        ecr = self.client('ecr')
        try:
            ecr.create_repository(repositoryName=name.split(':')[0])
        except ecr.exceptions.RepositoryAlreadyExistsException:
            pass
        token = ecr.get_authorization_token()['authorizationData'][0]['authorizationToken']
        import base64
        user, password = base64.b64decode(token).decode().split(':', 1)
        subprocess.run(['skopeo', 'copy', '--quiet', '--dest-tls-verify=false',
                        '--dest-creds', f'{user}:{password}', f'oci:{layout}:latest',
                        f'docker://{self.registry}/{name}'], check=True)
        return f'{self.registry}/{name}'

    def children(self):
        """pid -> name of this instance's processes."""
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    words = f.read().split(b'\0')
            except OSError:
                continue
            if any(self.run_dir.encode() in w for w in words):
                found[int(pid)] = os.path.basename(words[0].decode())
        return found

    def pid_of(self, name):
        pids = [p for p, n in self.children().items() if n == name]
        return pids[0] if pids else None

    def down(self):
        if self.up:
            subprocess.run([os.path.join(BIN, 'gantry'), 'down', '--state', self.state], timeout=120,
                           stdout=self.log, stderr=self.log)
            self.up.terminate()
            self.up.wait(30)
            self.log.close()
            self.up = None

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """What a test's own Gantry or cluster wrote last stands below its failure."""
    report = (yield).get_result()
    if report.failed:
        for value in item.funcargs.values():
            if isinstance(value, Gantry) and not os.path.exists(os.path.join(value.dir, 'log')):
                continue
            if hasattr(value, 'read_log') and hasattr(value, 'name'):
                report.sections.append(('log of ' + value.name, value.read_log()))


@pytest.fixture(scope='session')
def busybox_layout():
    path = os.path.join(BUILD, 'images', 'busybox')
    if not os.path.exists(os.path.join(path, 'index.json')):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run([os.path.join(ROOT, 'tools', 'make-image'), 'busybox', path], check=True)
    return path


@pytest.fixture(scope='module')
def gantry():
    g = Gantry()
    g.start()
    yield g
    g.down()
    g.remove()


@pytest.fixture(scope='module')
def cluster():
    """A server and three agents, each on a host of its own (cluster.py)."""
    from cluster import Cluster
    c = Cluster(agents=3)
    try:
        yield c.start()
    finally:
        c.end()


@pytest.fixture(scope='module')
def busybox(gantry, busybox_layout):
    return gantry.push(busybox_layout, 'busybox:1')
