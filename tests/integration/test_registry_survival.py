"""The registry when its server is killed, and on a full disk. Needs the server alone, no node."""
import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import threading
import time

from registry import Http, Server, run, sha


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
