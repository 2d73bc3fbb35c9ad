"""Signature Version 4 by hand, so that a test can leave out or falsify any part of it."""
import datetime
import hashlib
import hmac
from urllib.parse import quote

EMPTY = hashlib.sha256(b'').hexdigest()


def stamp(offset=0):
    """Now, or that many seconds later, as X-Amz-Date has it."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)
    return when.strftime('%Y%m%dT%H%M%SZ')


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(secret, date, scope, canonical):
    key = ('AWS4' + secret).encode()
    for part in scope.split('/'):
        key = _hmac(key, part)
    text = '\n'.join(['AWS4-HMAC-SHA256', date, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    return _hmac(key, text).hex()


def canonical(method, query, headers, signed, payload):
    """`headers` and `query` are lists of pairs; a repeated header is joined by commas."""
    pairs = sorted((quote(k, safe='-_.~'), quote(v, safe='-_.~')) for k, v in query)
    lines = [f'{n}:' + ','.join(v.strip() for k, v in headers if k.lower() == n) for n in signed]
    return '\n'.join([method, '/', '&'.join(f'{k}={v}' for k, v in pairs), *lines, '',
                      ';'.join(signed), payload])


def head_of(server, method, query, headers, body=b''):
    path = '/' + ('?' + '&'.join(f'{quote(k, safe="-_.~")}={quote(v, safe="-_.~")}'
                                 for k, v in query) if query else '')
    lines = [f'{method} {path} HTTP/1.1', *(f'{k}: {v}' for k, v in headers)]
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


def request(server, body=b'{}', method='POST', service='ecs', target=None, date=None, signed=None,
            payload=None, key=None, secret=None, more=(), unsigned=(), length=True, scope=None,
            authorization=None, query=()):
    """The bytes of a request whose signature is in the Authorization header. `more` are headers
    that are signed, `unsigned` are not."""
    date = date or stamp()
    scope = scope or f'{date[:8]}/us-east-1/{service}/aws4_request'
    headers = [('Host', f'127.0.0.1:{server.port}'), ('X-Amz-Date', date), *more]
    if target:
        headers.append(('X-Amz-Target', target))
    names = signed or sorted({k.lower() for k, _ in headers})
    text = canonical(method, query, headers, names, payload or hashlib.sha256(body).hexdigest())
    value = signature(secret or server.credentials.secret_key, date, scope, text)
    key = key or server.credentials.access_key
    headers += [('Authorization', authorization or
                 f'AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={";".join(names)}, '
                 f'Signature={value}'), *unsigned]
    if length:
        headers.append(('Content-Length', str(len(body))))
    return head_of(server, method, query, headers, body)


def presigned(server, query, service='sts', method='GET', date=None, expires='60', more=(),
              change=lambda q: q, token=None, headers=()):
    """The bytes of a request whose signature is in its query. `change` gets the signed query."""
    date = date or stamp()
    scope = f'{date[:8]}/us-east-1/{service}/aws4_request'
    query = [*query, ('X-Amz-Algorithm', 'AWS4-HMAC-SHA256'),
             ('X-Amz-Credential', f'{server.credentials.access_key}/{scope}'),
             ('X-Amz-Date', date), ('X-Amz-SignedHeaders', 'host')]
    query += [('X-Amz-Expires', expires)] if expires is not None else []
    query += [('X-Amz-Security-Token', token)] if token else []
    sent = [('Host', f'127.0.0.1:{server.port}'), *headers]
    text = canonical(method, query, sent, ['host'], EMPTY)
    query.append(('X-Amz-Signature', signature(server.credentials.secret_key, date, scope, text)))
    return head_of(server, method, change(query), [*sent, *more])
