"""What strangers and broken clients send: each gets its error, and disturbs nobody else."""
import datetime
import gzip
import json
import resource
import socket
import ssl
import subprocess
import time

import pytest
from botocore.credentials import Credentials

from conftest import free_port, wait_for
from server import Server, read_answer

ECS = 'AmazonEC2ContainerServiceV20141113'


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.client('sts').get_caller_identity()  # still well after all this
    assert s.process.poll() is None
    s.end()


def error(answer):
    return json.loads(answer[2])['__type'].split('#')[-1]


def test_an_answer_has_one_date_and_an_id(server):
    status, headers, body = server.post(b'{}', target=ECS + '.ListClusters')
    assert status == 200 and 'clusterArns' in json.loads(body)
    assert len(headers['date']) == 1 and len(headers['x-amzn-requestid']) == 1


@pytest.mark.parametrize('extra', [
    'Content-Length: 2\r\nContent-Length: 2\r\n',
    'Content-Length: 2\r\nContent-Length: 3\r\n',
    'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Content-Length: +2\r\n',
    'Content-Length : 2\r\n',
    'Content-Length: 2\r\nHost: other\r\n',
])
def test_ambiguous_framing_is_refused_and_the_connection_closed(server, extra):
    with socket.create_connection(('127.0.0.1', server.port), 10) as s:
        s.sendall(f'POST / HTTP/1.1\r\nHost: a\r\n{extra}\r\n{{}}'.encode() +
                  b'GET /_gantry/health HTTP/1.1\r\nHost: a\r\n\r\n')
        status, headers, body = read_answer(s)
        assert status == 400
        rest = b''
        try:
            while more := s.recv(65536):
                rest += more
        except ConnectionResetError:
            pass
        assert b'200 OK' not in rest  # what came behind was not taken for a request


def test_not_http_at_all(server):
    status, _, _ = server.raw(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n')
    assert status in (0, 400)


def test_headers_without_end(server):
    status, _, _ = server.raw(b'GET / HTTP/1.1\r\nHost: a\r\n' +
                              b''.join(b'x-%d: %s\r\n' % (i, b'v' * 1000) for i in range(100)) + b'\r\n')
    assert status in (400, 413, 431)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    head = server.sign(b'{}', target=ECS + '.ListClusters')
    head['Content-Length'] = str(1 << 40)
    text = 'POST / HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in head.items()) + '\r\n'
    status, _, body = server.raw(text.encode())
    assert status == 413 and b'RequestEntityTooLarge' in body


def test_a_strangers_large_body_is_not_waited_for(server):
    """Nothing of the body is ever sent: the answer is there all the same."""
    def head(framing, more=''):
        return f'POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n{more}\r\n'.encode()
    large, form = 'Content-Length: 9000000', 'Content-Type: application/x-www-form-urlencoded\r\n'
    target = f'X-Amz-Target: {ECS}.ListClusters\r\n'
    for framing in (large, 'Transfer-Encoding: chunked'):
        answer = server.raw(head(framing, target))
        assert answer[0] == 400 and error(answer) == 'MissingAuthenticationTokenException'
        status, _, body = server.raw(head(framing, form))
        assert status == 403 and b'<Code>MissingAuthenticationToken</Code>' in body
    h = server.sign(b'{}', target=ECS + '.ListClusters', credentials=Credentials('AKIANOBODY', 'x'))
    h['Content-Length'] = '9000000'
    answer = server.raw(('POST / HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in h.items()) +
                         '\r\n').encode())
    assert answer[0] == 400 and error(answer) == 'UnrecognizedClientException'
    # known keys may: the body is read, and its signature looked at
    body = json.dumps({'nextToken': 'x' * 200000}).encode()
    assert error(server.post(body, target=ECS + '.ListClusters')) == 'InvalidParameterException'


@pytest.fixture
def many_sockets():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8000, before[1]), before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize('hard,silent', [(8000, 4300), (1024, 1500)], ids=['many', 'few'])
def test_silent_connections_keep_nobody_out(many_sockets, hard, silent):
    """More of them than the server takes, each in the middle of a head that never ends. The soft
    limit is the usual one."""
    if many_sockets < silent + 500:
        pytest.skip('this machine does not give a process so many descriptors')
    server, sockets = Server(descriptors=(1024, hard)), []
    try:
        for _ in range(silent):
            s = socket.create_connection(('127.0.0.1', server.port), 10)
            s.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nX-A: ')
            sockets.append(s)
        began = time.monotonic()
        for _ in range(3):
            server.client('sts').get_caller_identity()
            server.client('ecs').create_cluster(clusterName='c')  # writes
            server.client('logs').describe_log_groups()
        assert time.monotonic() - began < 10
        with open(f'/proc/{server.process.pid}/status') as f:
            rss = next(int(x.split()[1]) for x in f if x.startswith('VmRSS'))
        assert rss < 400 * 1024  # with the sanitizers' own
    finally:
        for s in sockets:
            s.close()
        server.end()


def test_expect_continue(server):
    body = b'{}'
    head = server.sign(body, target=ECS + '.ListClusters')
    head['Expect'] = '100-continue'
    with socket.create_connection(('127.0.0.1', server.port), 10) as s:
        s.sendall(('POST / HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in head.items()) +
                   '\r\n').encode())
        assert s.recv(1000).startswith(b'HTTP/1.1 100')
        s.sendall(body)
        assert read_answer(s)[0] == 200


def test_gzip_bodies_and_bombs(server):
    # A client signs what it sends: the compressed bytes are what the hash is of.
    body = gzip.compress(b'{"maxResults": 1}')
    answer = server.post(body, target=ECS + '.ListClusters', headers={'Content-Encoding': 'gzip'})
    assert answer[0] == 200, answer
    bomb = gzip.compress(b' ' * (200 << 20))
    answer = server.post(bomb, target=ECS + '.ListClusters', headers={'Content-Encoding': 'gzip'})
    assert answer[0] == 413
    answer = server.post(b'not gzip', target=ECS + '.ListClusters',
                         headers={'Content-Encoding': 'gzip'})
    assert answer[0] == 400
    answer = server.post(b'x', target=ECS + '.ListClusters', headers={'Content-Encoding': 'br'})
    assert answer[0] == 415


@pytest.mark.parametrize('body', [
    b'{', b'[]', b'"x"', b'{"cluster": }', b'{"cluster": "a",}', b'{"cluster": "\xff"}', b'nul',
    b'{"a":' * 5000, b'{"clusters": "not a list"}', b'{"clusters": [1]}',
])
def test_malformed_json(server, body):
    answer = server.post(body, target=ECS + '.DescribeClusters')
    assert answer[0] == 400
    assert error(answer) in ('SerializationException', 'InvalidParameterException')


def test_unknown_operations(server):
    assert error(server.post(b'{}', target=ECS + '.MakeCoffee')) == 'UnknownOperationException'
    assert error(server.post(b'{}', target='NoService_1.Do')) == 'UnknownOperationException'
    answer = server.post(b'{}', target=ECS + '.CreateCapacityProvider')
    assert answer[0] == 400 and error(answer)  # in the model, not in Gantry


def test_signatures(server):
    def refused(answer, name):
        assert answer[0] in (400, 403) and error(answer) == name, answer

    body, target = b'{}', ECS + '.ListClusters'
    head = f'POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: {target}\r\nContent-Length: 2\r\n'
    refused(server.raw(head.encode() + b'\r\n{}'), 'MissingAuthenticationTokenException')
    refused(server.raw(head.encode() + b'Authorization: AWS4-HMAC-SHA256 x\r\n\r\n{}'),
            'IncompleteSignatureException')
    key = server.credentials
    refused(server.post(body, target=target, credentials=Credentials('AKIANOBODY', 'x')),
            'UnrecognizedClientException')
    refused(server.post(body, target=target, credentials=Credentials(key.access_key, 'wrong')),
            'InvalidSignatureException')
    refused(server.post(body, target=target, service='logs'), 'InvalidSignatureException')
    # another body than the signed one
    h = server.sign(body, target=target)
    text = 'POST / HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in h.items()) + '\r\n[]'
    refused(server.raw(text.encode()), 'InvalidSignatureException')
    # signed ten minutes ago
    from unittest import mock
    import botocore.auth
    old = datetime.datetime.utcnow() - datetime.timedelta(minutes=10)
    with mock.patch.object(botocore.auth, 'datetime') as fake:
        fake.datetime.utcnow.return_value = old
        h = server.sign(body, target=target)
    text = 'POST / HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in h.items()) + '\r\n{}'
    refused(server.raw(text.encode()), 'InvalidSignatureException')


def test_signed_routes_check_the_hash_that_was_declared(server):
    server.client('logs').create_log_group(logGroupName='routes')
    path = '/_gantry/logs?group=routes&offset=0&stream=s'
    h = server.sign(b'', service='gantry', path=path,
                    headers={'X-Amz-Content-SHA256': '0' * 64})
    h['Content-Length'] = '3'
    text = f'POST {path} HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in h.items())
    answer = server.raw(text.encode() + b'\r\nabc')
    assert answer[0] in (400, 403)
    answer = server.raw(b'POST /_gantry/logs?group=routes&offset=0&stream=s HTTP/1.1\r\nHost: a\r\n'
                        b'Content-Length: 3\r\n\r\nabc')
    assert answer[0] == 403


def test_a_stalled_client_stalls_nobody(server):
    stalled = []
    for i in range(100):
        s = socket.create_connection(('127.0.0.1', server.port), 10)
        s.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{')
        stalled.append(s)
    sts = server.client('sts')
    for i in range(20):
        sts.get_caller_identity()
    for s in stalled:
        s.close()


def test_not_loopback_without_tls(tmp_path):
    """Elsewhere than on loopback there is TLS, with an authority of the server's own if need be."""
    from conftest import BIN
    port = free_port()
    p = subprocess.Popen([BIN + '/gantry-server', '--listen', f'0.0.0.0:{port}', '--state', str(tmp_path)],
                         stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (tmp_path / 'ca.pem').exists() and answers(port, str(tmp_path / 'ca.pem')))
        with socket.create_connection(('127.0.0.1', port), 5) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            try:
                assert not s.recv(100).startswith(b'HTTP/')
            except ConnectionResetError:
                pass
    finally:
        p.terminate()
        p.wait()


def answers(port, ca):
    try:
        with socket.create_connection(('127.0.0.1', port), 5) as s:
            ssl.create_default_context(cafile=ca).wrap_socket(s, server_hostname='localhost').close()
        return True
    except ConnectionRefusedError:
        return False


def test_listen_wants_host_and_port(tmp_path):
    from conftest import BIN
    r = subprocess.run([BIN + '/gantry-server', '--listen', '4872', '--state', str(tmp_path)],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and 'HOST:PORT' in r.stderr, r.stderr


def test_tls(tmp_path):
    cert, key = str(tmp_path / 'cert.pem'), str(tmp_path / 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-nodes', '-days', '1', '-subj', '/CN=127.0.0.1', '-addext',
                    'subjectAltName=IP:127.0.0.1', '-out', cert, '-keyout', key],
                   check=True, capture_output=True)
    s = Server('--tls-cert', cert, '--tls-key', key)
    try:
        s.endpoint = s.endpoint.replace('http:', 'https:')
        import boto3
        sts = boto3.client('sts', endpoint_url=s.endpoint, region_name='us-east-1', verify=cert,
                           aws_access_key_id=s.credentials.access_key,
                           aws_secret_access_key=s.credentials.secret_key)
        assert sts.get_caller_identity()['Account'] == '000000000000'
    finally:
        s.end()


def test_it_stops_at_once_when_told_and_comes_back_with_the_same_key():
    s = Server()
    try:
        key = s.credentials.access_key
        idle = socket.create_connection(('127.0.0.1', s.port), 10)
        s.client('sts').get_caller_identity()
        s.process.terminate()
        assert s.process.wait(10) == 0
        idle.close()
        s.start()
        assert s.credentials.access_key == key
        s.client('sts').get_caller_identity()
    finally:
        s.end()


def test_it_stops_in_order_under_load():
    import threading
    s = Server()
    s.client('logs').create_log_group(logGroupName='g')
    s.client('logs').create_log_stream(logGroupName='g', logStreamName='s')
    stop = threading.Event()

    def call(name):
        c = s.client(name)
        while not stop.is_set():
            try:
                if name == 'logs':
                    c.put_log_events(logGroupName='g', logStreamName='s', logEvents=[
                        {'timestamp': int(time.time() * 1000), 'message': 'x'}])
                elif name == 'ecs':
                    c.register_task_definition(family='f', containerDefinitions=[
                        {'name': 'a', 'image': 'x', 'memory': 8}])
                else:
                    c.describe_repositories()
            except Exception:
                if s.process.poll() is not None:
                    return

    threads = [threading.Thread(target=call, args=(n,)) for n in ('logs', 'ecs', 'ecr', 'ecs', 'logs')]
    try:
        for t in threads:
            t.start()
        time.sleep(0.7)
        s.process.terminate()
        assert s.process.wait(15) == 0, s.read_log()
        assert 'Sanitizer' not in s.read_log()
    finally:
        stop.set()
        for t in threads:
            t.join()
        s.end()
