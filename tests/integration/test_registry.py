"""The registry and the ECR API, with the clients that people use: skopeo, podman, buildah, docker's
client, aws, boto3, and HTTP by hand. Needs the server alone, no node."""
import base64
import concurrent.futures
import contextlib
import gzip
import hashlib
import hmac
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time

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


# -- clients --

def test_skopeo_round_trip_keeps_every_digest(server, repo, auth, tmp_path):
    there, back = Layout(f'{tmp_path}/there'), f'{tmp_path}/back'
    image = there.image()
    skopeo(auth, 'copy', there.tag(image), f'docker://{server.host}/{repo}:v1')
    seen = json.loads(skopeo(auth, 'inspect', f'docker://{server.host}/{repo}:v1').stdout)
    assert seen['Digest'] == sha(image) and seen['RepoTags'] == ['v1']
    skopeo(auth, 'copy', f'docker://{server.host}/{repo}@{sha(image)}', f'oci:{back}:latest')
    assert sorted(os.listdir(f'{back}/blobs/sha256')) == there.blobs()
    skopeo(auth, 'delete', f'docker://{server.host}/{repo}:v1')
    assert skopeo(auth, 'inspect', f'docker://{server.host}/{repo}:v1', ok=False).returncode != 0


def test_index_with_all_its_platforms(server, repo, auth, tmp_path):
    there, back = Layout(f'{tmp_path}/there'), f'{tmp_path}/back'
    images = {a: there.image(a) for a in ('amd64', 'arm64')}
    index = there.blob(json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        describe(MANIFEST, m, platform={'os': 'linux', 'architecture': a})
        for a, m in images.items()]}).encode())
    skopeo(auth, 'copy', '--all', there.tag(index, INDEX), f'docker://{server.host}/{repo}:multi')
    skopeo(auth, 'copy', '--all', f'docker://{server.host}/{repo}:multi', f'oci:{back}:latest')
    assert sorted(os.listdir(f'{back}/blobs/sha256')) == there.blobs()
    found = server.ecr().describe_images(repositoryName=repo, imageIds=[{'imageTag': 'multi'}])
    assert found['imageDetails'][0]['imageManifestMediaType'] == INDEX
    # its manifests are needed
    child = {'imageDigest': sha(images['arm64'])}
    r = server.ecr().batch_delete_image(repositoryName=repo, imageIds=[child])
    assert r['failures'][0]['failureCode'] == 'ImageReferencedByManifestList'


def test_docker_schema_2(server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    skopeo(auth, 'copy', '--format', 'v2s2', there.tag(there.image()),
           f'docker://{server.host}/{repo}:d')
    raw = skopeo(auth, 'inspect', '--raw', f'docker://{server.host}/{repo}:d').stdout
    assert json.loads(raw)['mediaType'] == 'application/vnd.docker.distribution.manifest.v2+json'


@contextlib.contextmanager
def storage(tool):
    """podman or buildah with a store of its own, which is gone afterwards."""
    where = tempfile.mkdtemp(prefix='gt-', dir='/var/tmp')  # podman wants it short
    options = ['--root', f'{where}/root', '--runroot', f'{where}/run', '--storage-driver', 'vfs']
    if tool == 'podman':
        options += ['--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
    environment = dict(os.environ, TMPDIR=where)
    try:
        yield lambda *args: run(tool, *options, *args, env=environment)
    finally:
        run(tool, *options, 'rmi', '--all', '--force', env=environment, ok=False)
        shutil.rmtree(where)


@pytest.mark.parametrize('tool', ['podman', 'buildah'])
def test_pull_and_push_with(tool, server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    image = there.image()
    name = f'{server.host}/{repo}'
    skopeo(auth, 'copy', there.tag(image), f'docker://{name}:v1')
    with storage(tool) as call:
        call('login', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', '-u', 'AWS',
             '-p', server.password(), server.host)
        call('pull', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', f'{name}:v1')
        call('tag', f'{name}:v1', f'{name}:{tool}')
        call('push', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', f'{name}:{tool}')
    seen = json.loads(skopeo(auth, 'inspect', f'docker://{name}:{tool}').stdout)
    config = json.loads(skopeo(auth, 'inspect', '--raw', f'docker://{name}:{tool}').stdout)['config']
    assert config['digest'] == json.loads(image)['config']['digest']
    assert seen['Architecture'] == 'amd64'


def test_umoci_image_after_a_round_trip(server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    skopeo(auth, 'copy', there.tag(there.image()), f'docker://{server.host}/{repo}:v1')
    skopeo(auth, 'copy', f'docker://{server.host}/{repo}:v1', f'oci:{tmp_path}/back:latest')
    run('umoci', 'raw', 'unpack', '--image', f'{tmp_path}/back:latest', f'{tmp_path}/unpacked')
    assert os.path.getsize(f'{tmp_path}/unpacked/file1') == 200_000


def test_docker_client_reads_manifests(server, repo, auth, web, tmp_path):
    if not shutil.which('docker'):
        pytest.skip('no docker client')
    docker = 'application/vnd.docker.'
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, config)
    text = json.dumps({'schemaVersion': 2, 'mediaType': docker + 'distribution.manifest.v2+json',
                       'config': describe(docker + 'container.image.v1+json', config),
                       'layers': []}).encode()
    assert web('PUT', f'/v2/{repo}/manifests/v1', text)[0] == 201
    os.makedirs(f'{tmp_path}/docker')
    shutil.copy(auth, f'{tmp_path}/docker/config.json')
    # It tries TLS first, and gives up when a plain port does not answer that with 400 but closes:
    # which of the two happens hangs on the random bytes of its handshake.
    for attempt in range(6):
        r = run('docker', '--config', f'{tmp_path}/docker', 'manifest', 'inspect', '--insecure',
                f'{server.host}/{repo}@{sha(text)}', ok=attempt == 5)
        if r.returncode == 0:
            break
    assert json.loads(r.stdout)['config']['digest'] == sha(config)


def test_aws_cli_logs_in(server, repo):
    key = server.key()
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=key['accessKeyId'],
                       AWS_SECRET_ACCESS_KEY=key['secretAccessKey'],
                       AWS_DEFAULT_REGION='us-east-1', AWS_PAGER='')
    r = run('/usr/bin/aws', '--endpoint-url', f'http://{server.host}', 'ecr', 'get-login-password',
            env=environment)
    assert Http(server, r.stdout.strip())('GET', '/v2/')[0] == 200


# -- who may --

def forged(server, **change):
    """A token as the server makes them, with parts of our own."""
    with open(os.path.join(server.state, 'server', 'secret'), 'rb') as f:
        secret = change.get('secret', f.read())
    text = '|'.join([str(change.get('expires', int(time.time() * 1000) + 60_000)),
                     change.get('key', server.key()['accessKeyId']), '000000000000',
                     'us-east-1']).encode()
    mac = hmac.new(secret, b'gantry-ecr-token-1\n' + text, hashlib.sha256).digest()
    return base64.b64encode(text + mac).decode()


@pytest.mark.parametrize('what, password', [
    ('nothing', lambda s: None),
    ('no token', lambda s: 'secret'),
    ('a root key', lambda s: s.key()['secretAccessKey']),
    ('an old token', lambda s: forged(s, expires=int(time.time() * 1000) - 1)),
    ('the token of a key that is gone', lambda s: forged(s, key='AKIAGONE')),
    ('a token under another secret', lambda s: forged(s, secret=b'x' * 32)),
])
def test_strangers_are_refused(server, repo, what, password):
    word = password(server)
    for method, path in (('GET', '/v2/'), ('GET', f'/v2/{repo}/tags/list'),
                         ('POST', f'/v2/{repo}/blobs/uploads/'),
                         ('PUT', f'/v2/{repo}/manifests/x')):
        web = Http(server, word or 'x')
        if word is None:
            web.login = {}
        status, headers, body = web(method, path, b'x' * 100_000 if method == 'PUT' else None)
        assert status == 401, what
        assert json.loads(body)['errors'][0]['code'] == 'UNAUTHORIZED'
        assert headers['WWW-Authenticate'].startswith('Basic realm="http://')
    assert Http(server, forged(server))('GET', '/v2/')[0] == 200
    assert Http(server, forged(server), user='root')('GET', '/v2/')[0] == 401


def test_a_token_is_for_one_region(server, repo):
    web = Http(server, server.password('eu-central-1'))
    status, _, body = web('GET', f'/v2/{repo}/tags/list')
    assert status == 404 and json.loads(body)['errors'][0]['code'] == 'NAME_UNKNOWN'
    server.ecr('eu-central-1').create_repository(repositoryName=repo)
    assert web('GET', f'/v2/{repo}/tags/list')[0] == 200
    server.ecr('eu-central-1').delete_repository(repositoryName=repo)


# -- by hand --

def test_chunks_in_order(web, repo):
    data = random.Random(1).randbytes(300_000)
    status, headers, _ = web('POST', f'/v2/{repo}/blobs/uploads/')
    assert status == 202
    at = headers['Location']
    for first in range(0, 300_000, 100_000):
        chunk = data[first:first + 100_000]
        status, headers, _ = web('PATCH', at, chunk,
                                 Content_Range=f'{first}-{first + len(chunk) - 1}')
        assert status == 202 and headers['Range'] == f'0-{first + len(chunk) - 1}'
        again = web('PATCH', at, chunk, Content_Range=f'{first}-{first + len(chunk) - 1}')
        assert again[0] == 416 and again[1]['Range'] == headers['Range']
    assert web('GET', at)[0] == 204
    status, headers, _ = web('PUT', f'{at}?digest={sha(data)}')
    assert status == 201 and headers['Docker-Content-Digest'] == sha(data)
    status, headers, body = web('GET', headers['Location'])
    assert body == data
    status, headers, body = web('GET', f'/v2/{repo}/blobs/{sha(data)}', Range='bytes=299990-')
    assert status == 206 and body == data[-10:]
    status, headers, body = web('HEAD', f'/v2/{repo}/blobs/{sha(data)}')
    assert status == 200 and headers['Content-Length'] == '300000' and body == b''


def test_a_body_of_unknown_length(web, repo):
    data = b'piece' * 1000
    at = web('POST', f'/v2/{repo}/blobs/uploads/')[1]['Location']
    assert web('PATCH', at, iter([data[:7], data[7:]]))[0] == 202
    assert web('PUT', f'{at}?digest={sha(data)}')[0] == 201
    assert web('GET', f'/v2/{repo}/blobs/{sha(data)}')[2] == data


def test_an_upload_that_breaks_off_goes_on(server, web, repo):
    data = random.Random(2).randbytes(2_000_000)
    at = web('POST', f'/v2/{repo}/blobs/uploads/')[1]['Location']
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        head = [f'PATCH {at} HTTP/1.1', f'Host: {server.host}', 'Content-Length: 2000000',
                f'Authorization: {web.login["Authorization"]}', '', '']
        s.sendall('\r\n'.join(head).encode() + data[:1_000_000])
        time.sleep(0.3)

    def size():
        status, headers, _ = web('GET', at)
        return status == 204 and int(headers['Range'].split('-')[1]) + 1
    have = wait_for(size)
    assert 0 < have <= 1_000_000
    assert web('PATCH', at, data[have:], Content_Range=f'{have}-{len(data) - 1}')[0] == 202
    assert web('PUT', f'{at}?digest={sha(data)}')[0] == 201


def test_mount_from_another_repository(server, web, repo):
    other = repo + '-other'
    server.ecr().create_repository(repositoryName=other)
    digest = web.upload(repo, b'shared')
    path = f'/v2/{other}/blobs/uploads/?mount={digest}&from='
    assert web('HEAD', f'/v2/{other}/blobs/{digest}')[0] == 404
    assert web('POST', path + 'nope')[0] == 202
    status, headers, _ = web('POST', path + repo)
    assert status == 201 and headers['Location'] == f'/v2/{other}/blobs/{digest}'
    server.ecr().delete_repository(repositoryName=repo)
    assert web('GET', f'/v2/{other}/blobs/{digest}')[2] == b'shared'
    server.ecr().delete_repository(repositoryName=other)


@pytest.mark.parametrize('method, path, body, status, code', [
    ('GET', '/v2/no/such/tags/list', None, 404, 'NAME_UNKNOWN'),
    ('POST', '/v2/no/such/blobs/uploads/', None, 404, 'NAME_UNKNOWN'),
    ('GET', '/v2/Bad/tags/list', None, 400, 'NAME_INVALID'),
    ('GET', '/v2/a/..%2f..%2fb/tags/list', None, 400, 'NAME_INVALID'),
    ('GET', '/v2/_nothing', None, 404, 'NOT_FOUND'),
    ('GET', '/v2/_catalog?n=x', None, 400, 'PAGINATION_NUMBER_INVALID'),
    ('GET', '/v2/{repo}/tags/list?n=-1', None, 400, 'PAGINATION_NUMBER_INVALID'),
    ('GET', '/v2/{repo}/referrers/latest', None, 400, 'DIGEST_INVALID'),
    ('GET', '/v2/no/such/referrers/sha256:' + 64 * '0', None, 404, 'NAME_UNKNOWN'),
    ('GET', '/v2/{repo}/manifests/none', None, 404, 'MANIFEST_UNKNOWN'),
    ('GET', '/v2/{repo}/blobs/sha256:' + 64 * '0', None, 404, 'BLOB_UNKNOWN'),
    ('GET', '/v2/{repo}/blobs/sha256:..', None, 400, 'DIGEST_INVALID'),
    ('GET', '/v2/{repo}/blobs/md5:' + 32 * '0', None, 400, 'DIGEST_INVALID'),
    ('PATCH', '/v2/{repo}/blobs/uploads/' + 32 * '0', b'x', 404, 'BLOB_UPLOAD_UNKNOWN'),
    ('PUT', '/v2/{repo}/blobs/uploads/../../x?digest=sha256:' + 64 * '0', b'x', 404, 'NOT_FOUND'),
    ('POST', '/v2/{repo}/blobs/uploads/?digest=sha256:' + 64 * '0', b'x', 400, 'DIGEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', b'', 400, 'MANIFEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', b'{', 400, 'MANIFEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', b'[' * 100_000, 400, 'MANIFEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', b'{"schemaVersion":2,"manifests":[' + b'0,' * 1_000_000 +
     b'0]}', 400, 'MANIFEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', b'{"schemaVersion":1}', 400, 'MANIFEST_INVALID'),
    ('PUT', '/v2/{repo}/manifests/-v', b'{}', 400, 'TAG_INVALID'),
    ('PUT', '/v2/{repo}/manifests/v', manifest(b'absent', []), 400, 'MANIFEST_BLOB_UNKNOWN'),
    ('PUT', '/v2/{repo}/manifests/sha256:' + 64 * '0', manifest(b'x', []), 400, 'DIGEST_INVALID'),
    ('PUT', '/v2/{repo}/tags/list', b'', 405, 'UNSUPPORTED'),
])
def test_bad_requests(web, repo, method, path, body, status, code):
    have, _, answer = web(method, path.format(repo=repo), body)
    assert (have, json.loads(answer)['errors'][0]['code']) == (status, code)
    assert web('GET', '/v2/')[0] == 200


@pytest.mark.parametrize('length', ['Content-Length: 5000000', 'Content-Length: 99999999999999',
                                    'Transfer-Encoding: chunked'])
def test_a_manifest_that_is_too_large(server, web, repo, length):
    """Refused when the head says so, and when it turns out so."""
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        s.settimeout(20)
        head = [f'PUT /v2/{repo}/manifests/v HTTP/1.1', f'Host: {server.host}', length,
                f'Authorization: {web.login["Authorization"]}', '', '']
        s.sendall('\r\n'.join(head).encode())
        if 'chunked' in length:
            with contextlib.suppress(OSError):
                for _ in range(50):
                    s.sendall(b'186a0\r\n' + b' ' * 100_000 + b'\r\n')
                s.sendall(b'0\r\n\r\n')
        assert s.recv(100).startswith(b'HTTP/1.1 413 ')
    assert web('GET', '/v2/')[0] == 200


def test_content_with_another_digest_is_not_kept(web, repo):
    at = web('POST', f'/v2/{repo}/blobs/uploads/')[1]['Location']
    assert web('PATCH', at, b'one')[0] == 202
    status, _, body = web('PUT', f'{at}?digest={sha(b"two")}')
    assert status == 400 and json.loads(body)['errors'][0]['code'] == 'DIGEST_INVALID'
    for text in (b'one', b'two'):
        assert web('HEAD', f'/v2/{repo}/blobs/{sha(text)}')[0] == 404
    assert web('GET', at)[0] == 404


def test_tags_in_pages(web, repo):
    for tag in ('b', 'a', 'd', 'c', 'A'):
        web.push(repo, tag, b'layer')
    seen, path = [], f'/v2/{repo}/tags/list?n=2'
    while path:
        _, headers, body = web('GET', path)
        seen.append(json.loads(body)['tags'])
        link = headers['Link']
        path = link and link[1:link.index('>')]
    assert seen == [['A', 'a'], ['b', 'c'], ['d']]


def test_conditional_requests(web, repo):
    digest = web.push(repo, 'v1', b'layer')
    for path in (f'/v2/{repo}/manifests/v1', f'/v2/{repo}/blobs/{sha(b"layer")}'):
        etag = web('HEAD', path)[1]['ETag']
        assert web('GET', path, If_None_Match=etag)[0] == 304
        assert web('GET', path, If_None_Match='"x"')[0] == 200
    assert web('HEAD', f'/v2/{repo}/manifests/v1')[1]['Docker-Content-Digest'] == digest


# -- the ECR API --

def test_repositories(server):
    ecr = server.ecr()
    made = ecr.create_repository(repositoryName='api/one', imageTagMutability='IMMUTABLE',
                                 tags=[{'Key': 'k', 'Value': 'v'}])['repository']
    assert made['repositoryArn'] == 'arn:aws:ecr:us-east-1:000000000000:repository/api/one'
    assert made['repositoryUri'] == f'{server.host}/api/one'
    assert made['imageTagMutability'] == 'IMMUTABLE'
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName='api/one')
    for i in range(5):
        ecr.create_repository(repositoryName=f'api/page{i}')
    pages = list(ecr.get_paginator('describe_repositories').paginate(
        PaginationConfig={'PageSize': 2}))
    names = [r['repositoryName'] for p in pages for r in p['repositories']]
    assert len(pages) >= 3 and names == sorted(names) and 'api/one' in names
    arn = made['repositoryArn']
    ecr.tag_resource(resourceArn=arn, tags=[{'Key': 'k', 'Value': 'w'}, {'Key': 'l', 'Value': ''}])
    ecr.untag_resource(resourceArn=arn, tagKeys=['nope'])
    assert ecr.list_tags_for_resource(resourceArn=arn)['tags'] == [
        {'Key': 'k', 'Value': 'w'}, {'Key': 'l', 'Value': ''}]
    with pytest.raises(ecr.exceptions.InvalidTagParameterException):
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': 'aws:x', 'Value': ''}])
    with pytest.raises(ecr.exceptions.TooManyTagsException):
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': f'k{i}', 'Value': ''} for i in range(51)])
    for name in ['api/one'] + [f'api/page{i}' for i in range(5)]:
        ecr.delete_repository(repositoryName=name)
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as e:
        ecr.describe_repositories(repositoryNames=['api/one'])
    assert e.value.response['Error']['Message'] == (
        "The repository with name 'api/one' does not exist in the registry with id '000000000000'")


@pytest.mark.parametrize('call, more, code', [
    ('create_repository', {'repositoryName': 'Upper'}, 'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'a' * 300}, 'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'x/y', 'imageTagMutability': 'SOMETIMES'},
     'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'x/y', 'encryptionConfiguration':
                           {'encryptionType': 'KMS'}}, 'UnsupportedOperationException'),
    ('create_repository', {'repositoryName': 'x/y', 'imageScanningConfiguration':
                           {'scanOnPush': True}}, 'UnsupportedOperationException'),
    ('delete_repository', {'repositoryName': 'x/y'}, 'RepositoryNotFoundException'),
    ('list_images', {'repositoryName': 'x/y'}, 'RepositoryNotFoundException'),
    ('batch_get_image', {'repositoryName': 'x/y', 'imageIds': [{'imageTag': 'v'}]},
     'RepositoryNotFoundException'),
    ('list_tags_for_resource', {'resourceArn': 'arn:aws:s3:::x'}, 'InvalidParameterException'),
    ('put_lifecycle_policy', {'repositoryName': 'x/y', 'lifecyclePolicyText': '{' + 100 * ' '},
     'UnsupportedOperationException'),
])
def test_refused_calls(server, call, more, code):
    with pytest.raises(ClientError) as e:
        getattr(server.ecr(), call)(**more)
    assert e.value.response['Error']['Code'] == code


def test_images(server, web, repo):
    ecr = server.ecr()
    one = web.push(repo, 'v1', b'layer one')
    web.push(repo, 'v2', b'layer one')
    two = web.push(repo, 'w', b'layer two')
    web.push(repo, 'w', b'layer three')
    listed = [i for p in ecr.get_paginator('list_images').paginate(
        repositoryName=repo, PaginationConfig={'PageSize': 1}) for i in p['imageIds']]
    assert len(listed) == 4 and {'imageDigest': two} in listed
    assert {'imageDigest': one, 'imageTag': 'v2'} in listed
    untagged = ecr.list_images(repositoryName=repo, filter={'tagStatus': 'UNTAGGED'})['imageIds']
    assert untagged == [{'imageDigest': two}]
    details = [d for p in ecr.get_paginator('describe_images').paginate(
        repositoryName=repo, PaginationConfig={'PageSize': 2}) for d in p['imageDetails']]
    assert len(details) == 3
    mine = next(d for d in details if d['imageDigest'] == one)
    assert mine['imageTags'] == ['v1', 'v2'] and mine['imageManifestMediaType'] == MANIFEST
    assert mine['imageSizeInBytes'] == len(b'layer one') + 37
    assert abs(mine['imagePushedAt'].timestamp() - time.time()) < 60
    got = ecr.batch_get_image(repositoryName=repo, imageIds=[
        {'imageTag': 'v1'}, {'imageTag': 'none'}, {'imageTag': 'v1', 'imageDigest': two}])
    assert sha(got['images'][0]['imageManifest'].encode()) == one
    assert [f['failureCode'] for f in got['failures']] == ['ImageNotFound',
                                                           'ImageTagDoesNotMatchDigest']
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repo, imageIds=[{'imageTag': 'none'}])
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName=repo)
    for call in (ecr.list_images, ecr.describe_images):
        with pytest.raises(ecr.exceptions.InvalidParameterException):
            call(repositoryName=repo, nextToken='forged')
    gone = ecr.batch_delete_image(repositoryName=repo, imageIds=[{'imageTag': 'v1'}])
    assert gone['imageIds'] == [{'imageDigest': one, 'imageTag': 'v1'}]
    gone = ecr.batch_delete_image(repositoryName=repo, imageIds=[{'imageDigest': one}])
    assert gone['imageIds'] == [{'imageDigest': one, 'imageTag': 'v2'}]
    ecr.delete_repository(repositoryName=repo, force=True)
    ecr.create_repository(repositoryName=repo)
    assert ecr.list_images(repositoryName=repo)['imageIds'] == []
    assert web('HEAD', f'/v2/{repo}/blobs/{sha(b"layer one")}')[0] == 404


def test_immutable_tags(server, web, repo):
    digest = web.push(repo, 'v1', b'layer one')
    server.ecr().put_image_tag_mutability(repositoryName=repo, imageTagMutability='IMMUTABLE')
    assert web.push(repo, 'v1', b'layer one') == digest
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, b'layer two')
    text = manifest(config, [b'layer two'])
    status, _, body = web('PUT', f'/v2/{repo}/manifests/v1', text)
    assert status == 400 and json.loads(body)['errors'][0]['code'] == 'TAG_INVALID'
    assert web('PUT', f'/v2/{repo}/manifests/v2', text)[0] == 201


# -- survival --

class Pusher(threading.Thread):
    """Pushes one image after the other and remembers which were acknowledged."""

    def __init__(self, server, repo, n):
        super().__init__(daemon=True)
        self.server, self.repo, self.n = server, repo, n
        self.password = server.password()
        self.done, self.ended = {}, threading.Event()

    def run(self):
        i = 0
        while not self.ended.is_set():
            i += 1
            layer = random.Random(self.n * 1_000_000 + i).randbytes(random.randrange(1, 300_000))
            try:
                tag = f't{self.n}-{i}'
                self.done[tag] = Http(self.server, self.password).push(self.repo, tag, layer)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)


def test_kill_in_the_middle_of_pushes(tmp_path):
    server = Server().start()
    try:
        server.ecr().create_repository(repositoryName='kk')
        pushers = [Pusher(server, 'kk', n) for n in range(3)]
        for p in pushers:
            p.start()
        for _ in range(5):
            time.sleep(random.uniform(0.2, 0.8))
            server.kill()
            server.start()
        for p in pushers:
            p.ended.set()
            p.join(60)
        web = Http(server)
        acknowledged = {t: d for p in pushers for t, d in p.done.items()}
        assert len(acknowledged) > 10
        for tag, digest in acknowledged.items():
            status, _, text = web('GET', f'/v2/kk/manifests/{tag}')
            assert status == 200 and sha(text) == digest
            for part in json.loads(text)['layers']:
                assert sha(web('GET', f'/v2/kk/blobs/{part["digest"]}')[2]) == part['digest']
        # whatever has a name is whole
        root = os.path.join(server.state, 'server', 'blobs', 'sha256')
        for where, _, files in os.walk(root):
            for name in files:
                with open(os.path.join(where, name), 'rb') as f:
                    assert hashlib.sha256(f.read()).hexdigest() == name
        assert server.stop() == 0
    finally:
        with contextlib.suppress(Exception):
            os.kill(server.process.pid, signal.SIGKILL)
        shutil.rmtree(server.dir)


def test_an_upload_goes_on_after_a_kill(tmp_path):
    server = Server().start()
    try:
        server.ecr().create_repository(repositoryName='kk')
        web = Http(server)
        at = web('POST', '/v2/kk/blobs/uploads/')[1]['Location']
        assert web('PATCH', at, b'hello, ')[0] == 202
        server.kill()
        server.start()
        web = Http(server)
        status, headers, _ = web('GET', at)
        assert status == 204 and headers['Range'] == '0-6'
        assert web('PUT', f'{at}?digest={sha(b"hello, world")}', b'world')[0] == 201
        assert web('GET', f'/v2/kk/blobs/{sha(b"hello, world")}')[2] == b'hello, world'
        assert server.stop() == 0
    finally:
        with contextlib.suppress(Exception):
            os.kill(server.process.pid, signal.SIGKILL)
        shutil.rmtree(server.dir)


def test_a_full_disk_refuses_the_push_and_serves_pulls(tmp_path):
    """The state on a file system of its own, with little room beyond what the core keeps free."""
    server = Server()
    os.makedirs(server.state)
    run('mount', '-t', 'tmpfs', '-o', 'size=96m', 'gantry-test', server.state)
    try:
        server.start()
        server.ecr().create_repository(repositoryName='ff')
        web = Http(server)
        small = web.upload('ff', b'small')
        big = random.Random(3).randbytes(110_000_000)
        at = web('POST', '/v2/ff/blobs/uploads/')[1]['Location']
        status, _, body = web('PATCH', at, big)
        assert status == 507 and json.loads(body)['errors'][0]['code'] == 'DISK_FULL'
        assert web('GET', f'/v2/ff/blobs/{small}')[2] == b'small'
        assert web('DELETE', at)[0] == 204
        web.upload('ff', b'another')
        assert server.stop() == 0
    finally:
        with contextlib.suppress(Exception):
            os.kill(server.process.pid, signal.SIGKILL)
        run('umount', '--lazy', server.state)
        shutil.rmtree(server.dir)


# -- lists --

def pages(web, path, member):
    seen = []
    while path:
        status, headers, body = web('GET', path)
        assert status == 200, body
        seen.append(json.loads(body)[member])
        path = headers['Link'] and headers['Link'][1:headers['Link'].index('>')]
    return seen


def test_catalog(server):
    """The repositories of the token's region."""
    ecr = server.ecr('ap-south-1')
    names = [f'cat/{i}' for i in range(5)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    web = Http(server, server.password('ap-south-1'))
    assert json.loads(web('GET', '/v2/_catalog')[2]) == {'repositories': names}
    assert pages(web, '/v2/_catalog?n=2', 'repositories') == [names[:2], names[2:4], names[4:]]
    assert pages(web, '/v2/_catalog?last=cat/3', 'repositories') == [names[4:]]
    assert pages(web, '/v2/_catalog?n=0', 'repositories') == [[]]
    for name in names:
        ecr.delete_repository(repositoryName=name)


def test_referrers(server, web, repo):
    subject = web.push(repo, 'v1', b'layer')
    path = f'/v2/{repo}/referrers/{subject}'
    status, headers, body = web('GET', path)
    assert (status, headers['Content-Type'], json.loads(body)['manifests']) == (200, INDEX, [])
    config = b'{"os":"linux","architecture":"amd64"}'
    made = {}
    for i, kind in enumerate(['application/x.sbom+json', 'application/x.sig', 'application/x.sig']):
        document = {'schemaVersion': 2, 'mediaType': MANIFEST, 'artifactType': kind,
                    'config': describe(CONFIG, config), 'layers': [],
                    'subject': {'mediaType': MANIFEST, 'digest': subject, 'size': 1},
                    'annotations': {'n': f'"{i}" ü'}}
        text = json.dumps(document).encode()
        status, headers, body = web('PUT', f'/v2/{repo}/manifests/{sha(text)}', text,
                                    Content_Type=MANIFEST)
        assert status == 201 and headers['OCI-Subject'] == subject, body
        made[sha(text)] = describe(MANIFEST, text, artifactType=kind,
                                   annotations=document['annotations'])
    found = pages(web, path + '?n=1', 'manifests')
    assert [p[0] for p in found] == [made[d] for d in sorted(made)]
    status, headers, body = web('GET', path + '?artifactType=application/x.sbom%2Bjson')
    assert headers['OCI-Filters-Applied'] == 'artifactType'
    assert [m['artifactType'] for m in json.loads(body)['manifests']] == ['application/x.sbom+json']
    found = pages(web, path + '?n=1&artifactType=application/x.sig', 'manifests')
    assert sum(len(p) for p in found) == 2
    for digest in made:  # goes with the manifest that refers
        assert web('DELETE', f'/v2/{repo}/manifests/{digest}')[0] == 202
    assert pages(web, path, 'manifests') == [[]]


def test_sizes_that_a_manifest_lies_about(web, repo):
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, config)
    web.upload(repo, b'layer')
    document = json.loads(manifest(config, [b'layer']))
    document['layers'][0]['size'] += 1
    status, _, body = web('PUT', f'/v2/{repo}/manifests/v', json.dumps(document).encode())
    assert status == 400 and json.loads(body)['errors'][0]['code'] == 'SIZE_INVALID'
    assert web('GET', f'/v2/{repo}/manifests/v')[0] == 404


def test_what_a_path_takes_is_said(web, repo):
    status, headers, _ = web('POST', f'/v2/{repo}/manifests/v', b'')
    assert status == 405 and headers['Allow'] == 'GET, HEAD, PUT, DELETE'
    assert web('DELETE', '/v2/_catalog')[1]['Allow'] == 'GET'


# -- many at once --

def at_once(n, work):
    """work(i) on n threads; what they returned."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(n)))


def test_twenty_push_and_pull_the_same(server, repo):
    password = server.password()
    layer = random.Random(7).randbytes(2_000_000)
    digests = at_once(20, lambda i: Http(server, password).push(repo, 'same', layer))
    assert len(set(digests)) == 1

    def pull(i):
        web = Http(server, password)
        text = web('GET', f'/v2/{repo}/manifests/same')[2]
        return sha(web('GET', f'/v2/{repo}/blobs/{json.loads(text)["layers"][0]["digest"]}')[2])
    assert set(at_once(20, pull)) == {sha(layer)}
    assert len(server.ecr().describe_images(repositoryName=repo)['imageDetails']) == 1


def test_twenty_push_what_is_theirs_and_move_one_tag(server, repo):
    password = server.password()

    def push(i):
        web = Http(server, password)
        layer = random.Random(i).randbytes(300_000)
        web.push(repo, f'own{i}', layer)
        return web.push(repo, 'latest', layer)
    digests = at_once(20, push)
    assert len(set(digests)) == 20
    web = Http(server, password)
    for i, digest in enumerate(digests):
        assert sha(web('GET', f'/v2/{repo}/manifests/own{i}')[2]) == digest
    assert sha(web('GET', f'/v2/{repo}/manifests/latest')[2]) in digests


def test_an_upload_is_written_by_one_at_a_time(server, web, repo):
    """Twenty chunks for one place: one gets it, the others are told where the upload ends."""
    at = web('POST', f'/v2/{repo}/blobs/uploads/')[1]['Location']
    password = server.password()
    chunk = b'x' * 200_000
    answers = at_once(20, lambda i: Http(server, password)(
        'PATCH', at, chunk, Content_Range=f'0-{len(chunk) - 1}'))
    assert sorted(a[0] for a in answers) == [202] + 19 * [416]
    assert web('PUT', f'{at}?digest={sha(chunk)}')[0] == 201
    assert web('GET', f'/v2/{repo}/blobs/{sha(chunk)}')[2] == chunk
