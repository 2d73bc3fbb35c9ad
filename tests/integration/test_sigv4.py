"""Signatures as a client makes them that lies, is late, or is careless."""
import json
import re
import socket
import urllib.request

import pytest

from server import Server
from sigv4 import head_of, presigned, request, stamp

CLUSTERS = 'AmazonEC2ContainerServiceV20141113.ListClusters'
FORM = ('Content-Type', 'application/x-www-form-urlencoded')
ASK = b'Action=GetCallerIdentity&Version=2011-06-15'
QUERY = [('Action', 'GetCallerIdentity'), ('Version', '2011-06-15')]


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    assert s.process.poll() is None
    s.end()


def json_call(server, **more):
    return server.raw(request(server, target=CLUSTERS, **more))


def xml_call(server, more=(), **rest):
    return server.raw(request(server, ASK, service='sts', more=[FORM, *more], **rest))


def refused(answer, code, *words):
    """In JSON with status 400; or in XML, whose names are others, with 403 or 400."""
    status, headers, body = answer
    if headers['content-type'][0] == 'text/xml':
        text = body.decode()
        assert f'<Code>{code}</Code>' in text, text
        assert status == (400 if code in ('IncompleteSignature', 'MalformedInput') else 403)
    else:
        got = json.loads(body)
        text = got['message']
        assert status == 400 and got['__type'] == code == headers['x-amzn-errortype'][0], body
    for w in words:
        assert w in text, text


def test_both_protocols_are_answered(server):
    assert json_call(server)[0] == 200
    assert b'<Arn>arn:aws:iam::000000000000:root</Arn>' in xml_call(server)[2]


@pytest.mark.parametrize('what,json_code,xml_code', [
    ({'key': 'AKIANOBODY'}, 'UnrecognizedClientException', 'InvalidClientTokenId'),
    ({'more': [('X-Amz-Security-Token', 'x')]}, 'UnrecognizedClientException',
     'InvalidClientTokenId'),
    ({'secret': 'x'}, 'InvalidSignatureException', 'SignatureDoesNotMatch'),
    ({'authorization': 'Bearer x'}, 'IncompleteSignatureException', 'IncompleteSignature'),
    ({'authorization': 'AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c'},
     'IncompleteSignatureException', 'IncompleteSignature'),
    ({'authorization': 'AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request'},
     'IncompleteSignatureException', 'IncompleteSignature'),
    ({'scope': '20200101/us-east-1/ecs/aws4_request'}, 'InvalidSignatureException',
     'SignatureDoesNotMatch'),
    ({'scope': stamp()[:8] + '/us-east-1/logs/aws4_request'}, 'InvalidSignatureException',
     'SignatureDoesNotMatch'),
    ({'scope': stamp()[:8] + '/us-east-1/ecs/aws4'}, 'IncompleteSignatureException',
     'IncompleteSignature')],
    ids=['key', 'token', 'secret', 'scheme', 'credential', 'parts', 'date', 'service', 'end'])
def test_each_protocol_has_its_words(server, what, json_code, xml_code):
    refused(json_call(server, **what), json_code)
    refused(xml_call(server, **what), xml_code)


def test_the_clocks_may_differ_by_five_minutes(server):
    for offset in (-280, 280):
        assert json_call(server, date=stamp(offset))[0] == 200
    time = r'\d{8}T\d{6}Z'
    late, early = json_call(server, date=stamp(-320)), json_call(server, date=stamp(320))
    refused(late, 'InvalidSignatureException')
    refused(early, 'InvalidSignatureException')
    assert re.fullmatch(rf'Signature expired: {time} is now earlier than {time} \({time} - 5 min\.\)',
                        json.loads(late[2])['message'])
    assert re.fullmatch(rf'Signature not yet current: {time} is still later than {time} '
                        rf'\({time} \+ 5 min\.\)', json.loads(early[2])['message'])
    refused(xml_call(server, date=stamp(-320)), 'SignatureDoesNotMatch', 'Signature expired')


def test_what_steers_a_request_is_signed(server):
    refused(json_call(server, signed=['x-amz-date', 'x-amz-target']), 'InvalidSignatureException',
            'Host')
    refused(server.raw(request(server, unsigned=[('X-Amz-Target', CLUSTERS)])),
            'InvalidSignatureException', 'x-amz-target')
    refused(json_call(server, unsigned=[('X-Amz-Security-Token', 'x')]),
            'InvalidSignatureException', 'x-amz-security-token')
    assert json_call(server, unsigned=[('User-Agent', 'x'), ('X-Amzn-Trace-Id', 'y')])[0] == 200


@pytest.mark.parametrize('name', ['Authorization', 'X-Amz-Date', 'X-Amz-Target', 'Host'])
def test_repeated_headers(server, name):
    value = CLUSTERS if name == 'X-Amz-Target' else stamp()
    status, _, body = json_call(server, unsigned=[(name, value)])
    assert status == 400 and b'is repeated' in body


def test_the_body_is_signed(server):
    sha = 'X-Amz-Content-Sha256'
    for text in ('UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '0' * 64):
        refused(json_call(server, payload=text, more=[(sha, text)]), 'InvalidSignatureException')
    whole = request(server, target=CLUSTERS)
    refused(server.raw(whole[:-2] + b'[]'), 'InvalidSignatureException', 'does not match')


def test_a_body_in_chunks(server):
    whole = request(server, target=CLUSTERS, length=False,
                    unsigned=[('Transfer-Encoding', 'chunked')])
    assert whole.endswith(b'{}')
    assert server.raw(whole[:-2] + b'1\r\n{\r\n1\r\n}\r\n0\r\n\r\n')[0] == 200
    refused(server.raw(whole[:-2] + b'1\r\n{\r\n2\r\n }\r\n0\r\n\r\n'),
            'InvalidSignatureException')


def test_presigned(server):
    for method in ('GET', 'POST'):
        more = [('Content-Length', '0')] if method == 'POST' else []
        assert server.raw(presigned(server, QUERY, method=method, more=more))[0] == 200
    # as the clients of Vault and of Kubernetes do
    url = server.client('sts').generate_presigned_url('get_caller_identity', HttpMethod='GET',
                                                      ExpiresIn=60)
    assert 'root' in urllib.request.urlopen(url, timeout=10).read().decode()


def test_presigned_has_its_time(server):
    assert server.raw(presigned(server, QUERY, date=stamp(-900), expires='1000'))[0] == 200
    refused(server.raw(presigned(server, QUERY, date=stamp(-100))), 'SignatureDoesNotMatch',
            'Signature expired')
    refused(server.raw(presigned(server, QUERY, date=stamp(320))), 'SignatureDoesNotMatch',
            'not yet current')
    assert server.raw(presigned(server, QUERY, expires='604800'))[0] == 200
    for expires in ('0', '-1', '604801', 'x', '', '1' * 30, None):
        refused(server.raw(presigned(server, QUERY, expires=expires)), 'IncompleteSignature',
                'X-Amz-Expires')


def test_presigned_and_changed(server):
    def ask(code, *words, **more):
        refused(server.raw(presigned(server, QUERY, **more)), code, *words)
    ask('SignatureDoesNotMatch', change=lambda q: [*q, ('Action', 'AssumeRole')])
    ask('SignatureDoesNotMatch', change=lambda q: [(k, v.replace('Get', 'got')) for k, v in q])
    ask('IncompleteSignature', change=lambda q: [*q, ('X-Amz-Signature', '0' * 64)])
    ask('IncompleteSignature', change=lambda q: [x for x in q if x[0] != 'X-Amz-Date'])
    ask('IncompleteSignature', more=[('Authorization', 'x')])
    ask('SignatureDoesNotMatch', 'x-amz-more', more=[('x-amz-more', 'x')])
    ask('InvalidClientTokenId', token='x')
    # signed so, but which one is meant?
    refused(server.raw(presigned(server, [*QUERY, ('Action', 'AssumeRole')])), 'MalformedInput')


def test_unsigned(server):
    host = ('Host', 'a')
    for method in ('GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'BREW'):
        refused(server.raw(head_of(server, method, [], [host, ('Content-Length', '0')])),
                'MissingAuthenticationTokenException', 'Missing Authentication Token')
    refused(server.raw(head_of(server, 'POST', [], [host, FORM, ('Content-Length', str(len(ASK)))],
                               ASK)), 'MissingAuthenticationToken')
    with socket.create_connection(('127.0.0.1', server.port), 10) as s:
        s.sendall(head_of(server, 'HEAD', [], [host]) + head_of(server, 'GET', [], [host]))
        text = s.recv(65536)
        while text.count(b'HTTP/1.1 400') < 2:  # the first one has no body
            more = s.recv(65536)
            assert more
            text += more
        assert text.split(b'\r\n\r\n')[1].startswith(b'HTTP/1.1 400')


def test_other_methods_ask_for_nothing(server):
    for method in ('GET', 'PUT', 'DELETE', 'PATCH'):
        refused(json_call(server, method=method), 'UnknownOperationException')
    status, _, body = server.raw(request(server, ASK, service='sts', more=[FORM], method='PUT'))
    assert status == 400 and b'<Code>InvalidAction</Code>' in body


def test_unknown_operations_in_xml(server):
    for body, code in ((b'Action=Nope&Version=2011-06-15', 'InvalidAction'),
                       (b'Action=GetCallerIdentity', 'InvalidAction'),
                       (b'Action=GetCallerIdentity&Version=2009-05-08', 'InvalidAction'),
                       (b'Version=2011-06-15', 'MissingAction'), (b'', 'MissingAction'),
                       (b'Action=GetSessionToken&Version=2011-06-15', 'UnsupportedOperation'),
                       (ASK + b'&a=%zz', 'MalformedInput'), (ASK + b'&Version=x', 'MalformedInput')):
        status, headers, text = server.raw(request(server, body, service='sts', more=[FORM]))
        assert status == 400 and f'<Code>{code}</Code>'.encode() in text, text
        assert b'<RequestId>' + headers['x-amzn-requestid'][0].encode() + b'<' in text


def test_unknown_members_are_ignored_and_told(server):
    body = b'{"maxResults": 1, "newer": {"deep": [1, {"x": null}]}, "other": 1}'
    assert server.raw(request(server, body, target=CLUSTERS))[0] == 200
    assert "ecs.ListClusters: 2 members that the model does not know were ignored, the first is " \
           "'newer'" in server.read_log()
    assert server.raw(request(server, ASK + b'&Newer=1', service='sts', more=[FORM]))[0] == 200
    assert "sts.GetCallerIdentity: 1 members" in server.read_log()


def test_numbers_and_names(server):
    def ask(body):
        status, _, text = server.raw(request(server, body, target=CLUSTERS))
        return status if status == 200 else json.loads(text)['__type']
    assert [ask(b'{"maxResults":%s}' % n) for n in (b'1', b'1.0', b'1e1', b'null')] == [200] * 4
    for n in (b'1.5', b'99999999999', b'9' * 40, b'1e999', b'"1"', b'true', b'[]', b'-', b'01'):
        assert ask(b'{"maxResults":%s}' % n) == 'SerializationException', n
    for body in (b'null', b'{} x', b'\xef\xbb\xbf{}', b'{"x":' + b'[' * 70 + b']' * 70 + b'}',
                 b'{"nextToken":"a\\u0000b"}', b'{"nextToken":"\xff"}'):
        assert ask(body) == 'SerializationException', body
    for n in (b'0', b'101', b'-1'):
        assert ask(b'{"maxResults":%s}' % n) == 'InvalidParameterException', n


def test_the_target_decides_whatever_the_content_type(server):
    for sent, back in (('application/x-amz-json-1.1', '1.1'), ('application/x-amz-json-1.0', '1.0'),
                       ('application/json', '1.1'), ('text/xml', '1.1'), (FORM[1], '1.1')):
        status, headers, body = json_call(server, more=[('Content-Type', sent)])
        assert (status, headers['content-type'][0]) == (200, 'application/x-amz-json-' + back)
        assert json.loads(body) == {'clusterArns': []}
    # a form with a target is no form; and without one nothing is asked for
    status, _, body = server.raw(request(server, ASK, service='ecs', target=CLUSTERS, more=[FORM]))
    assert status == 400 and json.loads(body)['__type'] == 'SerializationException'
    status, _, body = server.raw(request(server, more=[('Content-Type', 'text/xml')]))
    assert status == 400 and json.loads(body)['__type'] == 'UnknownOperationException'
