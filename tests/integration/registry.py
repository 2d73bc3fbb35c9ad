"""What the tests of the registry share: a server alone, HTTP by hand, images, skopeo."""
import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import random
import shutil
import socket
import subprocess
import tarfile
import tempfile

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import BIN, free_port, wait_for

MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'


class Server:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='gantry-registry-', dir='/var/tmp')
        self.state = os.path.join(self.dir, 'state')
        self.port = free_port()
        self.host = f'127.0.0.1:{self.port}'
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'gantry-server'), '--state', self.state, '--listen', self.host],
            stdout=self.log, stderr=self.log)
        wait_for(self.answers)
        return self

    def answers(self):
        assert self.process.poll() is None, open(os.path.join(self.dir, 'log')).read()
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1):
            return True

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        self.log.close()
        return code

    def key(self):
        with open(os.path.join(self.state, 'root.key')) as f:
            return json.load(f)

    def ecr(self, region='us-east-1'):
        key = self.key()
        return boto3.client('ecr', endpoint_url=f'http://{self.host}', region_name=region,
                            aws_access_key_id=key['accessKeyId'],
                            aws_secret_access_key=key['secretAccessKey'],
                            config=Config(retries={'max_attempts': 0}))

    def password(self, region='us-east-1'):
        token = self.ecr(region).get_authorization_token()['authorizationData'][0]
        return base64.b64decode(token['authorizationToken']).decode().split(':', 1)[1]


@pytest.fixture(scope='module')
def server():
    s = Server().start()
    yield s
    assert s.stop() == 0
    shutil.rmtree(s.dir)


@pytest.fixture
def repo(server, request):
    """A repository of the test's own."""
    name = 'test/' + request.node.name.split('[')[0].replace('_', '-')[:80]
    server.ecr().create_repository(repositoryName=name)
    yield name
    with contextlib.suppress(ClientError):
        server.ecr().delete_repository(repositoryName=name, force=True)


@pytest.fixture
def auth(server, tmp_path):
    path = tmp_path / 'auth.json'
    login = base64.b64encode(f'AWS:{server.password()}'.encode()).decode()
    path.write_text(json.dumps({'auths': {server.host: {'auth': login}}}))
    return str(path)


class Http:
    """One connection with the token; returns (status, headers, body)."""

    def __init__(self, server, password=None, user='AWS'):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        login = base64.b64encode(f'{user}:{password or server.password()}'.encode()).decode()
        self.login = {'Authorization': 'Basic ' + login}

    def __call__(self, method, path, body=None, **headers):
        named = {k.replace('_', '-'): v for k, v in headers.items()}
        self.connection.request(method, path, body=body, headers={**self.login, **named})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def upload(self, repo, data):
        """In one POST."""
        status, headers, body = self('POST', f'/v2/{repo}/blobs/uploads/?digest={sha(data)}', data)
        assert status == 201, body
        return sha(data)

    def push(self, repo, tag, layer):
        config = b'{"os":"linux","architecture":"amd64"}'
        self.upload(repo, config)
        self.upload(repo, layer)
        text = manifest(config, [layer])
        status, _, body = self('PUT', f'/v2/{repo}/manifests/{tag}', text, Content_Type=MANIFEST)
        assert status == 201, body
        return sha(text)


@pytest.fixture
def web(server):
    return Http(server)


def sha(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def describe(media, data, **more):
    return {'mediaType': media, 'digest': sha(data), 'size': len(data), **more}


def manifest(config, layers):
    return json.dumps({'schemaVersion': 2, 'mediaType': MANIFEST,
                       'config': describe(CONFIG, config),
                       'layers': [describe(LAYER, x) for x in layers]}).encode()


def layer_of(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode='w') as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue(), gzip.compress(raw.getvalue(), mtime=0)


class Layout:
    """An OCI layout on disk."""

    def __init__(self, path):
        self.path = path
        os.makedirs(f'{path}/blobs/sha256')
        with open(f'{path}/oci-layout', 'w') as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data):
        with open(f'{self.path}/blobs/{sha(data).replace(":", "/")}', 'wb') as f:
            f.write(data)
        return data

    def image(self, architecture='amd64', size=200_000):
        seed = random.Random(architecture)
        pairs = [layer_of({f'file{i}': seed.randbytes(size)}) for i in range(2)]
        config = self.blob(json.dumps({
            'os': 'linux', 'architecture': architecture, 'config': {'Cmd': ['/file0']},
            'rootfs': {'type': 'layers', 'diff_ids': [sha(raw) for raw, _ in pairs]}}).encode())
        return self.blob(manifest(config, [self.blob(packed) for _, packed in pairs]))

    def tag(self, data, media=MANIFEST):
        entry = describe(media, data, annotations={'org.opencontainers.image.ref.name': 'latest'})
        with open(f'{self.path}/index.json', 'w') as f:
            json.dump({'schemaVersion': 2, 'manifests': [entry]}, f)
        return f'oci:{self.path}:latest'

    def blobs(self):
        return sorted(os.listdir(f'{self.path}/blobs/sha256'))


def run(*command, ok=True, **more):
    r = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
    if ok:
        assert r.returncode == 0, f'{command}\n{r.stdout}\n{r.stderr}'
    return r


def skopeo(auth, verb, *args, ok=True):
    tls = {'copy': ['--src-tls-verify=false', '--dest-tls-verify=false'],
           'inspect': ['--tls-verify=false'], 'list-tags': ['--tls-verify=false'],
           'delete': ['--tls-verify=false']}[verb]
    return run('skopeo', '--insecure-policy', verb, '--authfile', auth, *tls, *args, ok=ok)


def pages(web, path, member):
    seen = []
    while path:
        status, headers, body = web('GET', path)
        assert status == 200, body
        seen.append(json.loads(body)[member])
        path = headers['Link'] and headers['Link'][1:headers['Link'].index('>')]
    return seen
