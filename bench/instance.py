"""A private Gantry of the release build, and calls to it without an SDK's own time."""
import os
import shutil
import socket
import sys
import time

from place import BUILD, ROOT, program

os.environ['GANTRY_BUILD'] = BUILD
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration'))

from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from conftest import Gantry, wait_for  # noqa: E402,F401
from image import make  # noqa: E402

NETWORK = {'awsvpcConfiguration': {'subnets': ['subnet-1']}}


class Wire:
    """One kept connection, requests made and signed before the clock starts."""

    def __init__(self, gantry):
        key = gantry.key()
        self.host = f'127.0.0.1:{gantry.port}'
        self.credentials = Credentials(key['accessKeyId'], key['secretAccessKey'])
        self.sock = socket.create_connection(('127.0.0.1', gantry.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def prepare(self, service, target, body):
        rq = AWSRequest('POST', f'http://{self.host}/', data=body, headers={
            'Host': self.host, 'Content-Type': 'application/x-amz-json-1.1',
            'X-Amz-Target': target})
        SigV4Auth(self.credentials, service, 'us-east-1').add_auth(rq)
        head = ''.join(f'{k}: {v}\r\n' for k, v in rq.headers.items())
        return (f'POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}').encode()

    def call(self, raw):
        """(ns when it was sent, ns when it was answered)"""
        begin = time.time_ns()
        self.sock.sendall(raw)
        answer = self.sock.recv(65536)
        end = time.time_ns()
        head, _, body = answer.partition(b'\r\n\r\n')
        if not head.startswith(b'HTTP/1.1 200'):
            raise RuntimeError(answer.decode())
        length = [w for w in head.split(b'\r\n') if w.lower().startswith(b'content-length')]
        while len(body) < int(length[0].split(b':')[1]):
            body += self.sock.recv(65536)
        return begin, end


class Bench:
    """A running Gantry with the probe's image, definitions and a folder that it writes to."""

    def __init__(self):
        self.gantry = Gantry().start()
        self.dir = self.gantry.dir
        self.out = os.path.join(self.dir, 'out')
        os.makedirs(self.out)
        self.layout = make(os.path.join(self.dir, 'layout'), self.program('probe'))
        self.image = self.gantry.push(self.layout, 'probe:1')
        self.ecs = self.gantry.client('ecs')

    program = staticmethod(program)

    def define(self, family, command, mode='awsvpc', log=None):
        container = {'name': 'main', 'image': self.image, 'command': command, 'memory': 64,
                     'mountPoints': [{'sourceVolume': 'out', 'containerPath': '/out'}]}
        if log:
            container['logConfiguration'] = log
        self.ecs.register_task_definition(
            family=family, networkMode=mode, containerDefinitions=[container],
            volumes=[{'name': 'out', 'host': {'sourcePath': self.out}}])

    def run(self, family, count=1, wait='tasks_running'):
        arns = []
        while len(arns) < count:
            r = self.ecs.run_task(taskDefinition=family, count=min(10, count - len(arns)),
                                  networkConfiguration=NETWORK)
            if r['failures']:
                raise RuntimeError(r['failures'])
            arns += [t['taskArn'] for t in r['tasks']]
        if wait:
            self.ecs.get_waiter(wait).wait(tasks=arns, WaiterConfig={'Delay': 1})
        return arns

    def close(self):
        self.gantry.down()
        if os.environ.get('GANTRY_BENCH_KEEP'):
            print(self.dir, file=sys.stderr)
            return
        self.gantry.remove()
        shutil.rmtree(self.dir, ignore_errors=True)
