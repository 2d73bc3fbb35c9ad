"""Calls of the operators' service: GantryAdmin has no client but Gantry's own."""
import json
import urllib.error
import urllib.request


class Refused(Exception):
    def __init__(self, kind, message):
        super().__init__(f'{kind}: {message}')
        self.kind = kind


def call(server, operation, path='/', credentials=None, **members):
    """`server`: a server.Server. The answer, or Refused."""
    body = json.dumps(members).encode()
    headers = server.sign(body, f'GantryAdmin_20261101.{operation}', service='gantry', path=path,
                          credentials=credentials)
    try:
        with urllib.request.urlopen(urllib.request.Request(server.endpoint + path, body,
                                                           headers)) as r:
            return json.load(r)
    except urllib.error.HTTPError as e:
        said = json.load(e)
        raise Refused(said['__type'].split('#')[-1], said.get('message', '')) from None
