"""The registry's protocol by hand: who may, uploads, what is refused. Needs the server alone, no
node."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import socket
import time

import pytest

from conftest import wait_for
from registry import Http, manifest, repo, server, sha, web  # noqa: F401: fixtures


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


def test_conditional_requests(web, repo):
    digest = web.push(repo, 'v1', b'layer')
    for path in (f'/v2/{repo}/manifests/v1', f'/v2/{repo}/blobs/{sha(b"layer")}'):
        etag = web('HEAD', path)[1]['ETag']
        assert web('GET', path, If_None_Match=etag)[0] == 304
        assert web('GET', path, If_None_Match='"x"')[0] == 200
    assert web('HEAD', f'/v2/{repo}/manifests/v1')[1]['Docker-Content-Digest'] == digest
