"""A gantry-server of its own, without agent or link, and requests signed by hand."""
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from conftest import BIN, free_port, wait_for


class Server:
    def __init__(self, *options, descriptors=None, state=None):
        self.dir = tempfile.mkdtemp(prefix='gantry-server-', dir='/var/tmp')
        self.options = options
        self.descriptors = descriptors  # (soft, hard) limit
        self.port = free_port()
        self.endpoint = f'http://127.0.0.1:{self.port}'
        self.state = state or os.path.join(self.dir, 'state')
        self.start()

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.process = subprocess.Popen(
            [os.path.join(BIN, 'gantry-server'), '--state', self.state,
             '--listen', f'127.0.0.1:{self.port}', *self.options],
            stdout=self.log, stderr=self.log, preexec_fn=self._limit)
        wait_for(self._answers, 20)
        with open(os.path.join(self.state, 'root.key')) as f:
            key = json.load(f)
        self.credentials = Credentials(key['accessKeyId'], key['secretAccessKey'])

    def _limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, self.descriptors)

    def _answers(self):
        assert self.process.poll() is None, self.read_log()
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def read_log(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()

    def client(self, service, endpoint=None):
        return boto3.client(service, endpoint_url=endpoint or self.endpoint, region_name='us-east-1',
                            aws_access_key_id=self.credentials.access_key,
                            aws_secret_access_key=self.credentials.secret_key,
                            config=Config(retries={'max_attempts': 0}, inject_host_prefix=False))

    def env(self):
        return dict(os.environ, AWS_ACCESS_KEY_ID=self.credentials.access_key,
                    AWS_SECRET_ACCESS_KEY=self.credentials.secret_key,
                    AWS_DEFAULT_REGION='us-east-1', AWS_PAGER='')

    def sign(self, body=b'', target=None, service='ecs', path='/', headers=None, credentials=None):
        """The headers of a signed POST, Host and Content-Length included."""
        h = {'Content-Type': 'application/x-amz-json-1.1', **(headers or {})}
        if target:
            h['X-Amz-Target'] = target
        r = AWSRequest('POST', self.endpoint + path, data=body, headers=h)
        SigV4Auth(credentials or self.credentials, service, 'us-east-1').add_auth(r)
        return {'Host': f'127.0.0.1:{self.port}', 'Content-Length': str(len(body)),
                **dict(r.headers)}

    def raw(self, text, timeout=10):
        """Sends bytes on a connection of their own, and reads until it is closed or one answer is
        there. (status, headers, body)"""
        with socket.create_connection(('127.0.0.1', self.port), timeout) as s:
            s.sendall(text)
            return read_answer(s)

    def post(self, body=b'', headers=None, path='/', **more):
        h = self.sign(body, path=path, headers=headers, **more)
        head = f'POST {path} HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in h.items())
        return self.raw(head.encode() + b'\r\n' + body)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def end(self):
        self.kill()
        shutil.rmtree(self.dir)


def read_answer(s):
    data = b''
    while b'\r\n\r\n' not in data:
        more = s.recv(65536)
        if not more:
            return 0, {}, data
        data += more
    head, body = data.split(b'\r\n\r\n', 1)
    lines = head.decode().split('\r\n')
    headers = {}
    for line in lines[1:]:
        name, value = line.split(': ', 1)
        headers.setdefault(name.lower(), []).append(value)
    want = int(headers.get('content-length', ['0'])[0])
    while len(body) < want:
        more = s.recv(65536)
        if not more:
            break
        body += more
    return int(lines[0].split()[1]), headers, body
