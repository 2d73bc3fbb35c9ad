"""gantry backup and restore: of a server that works meanwhile; complete, or refused."""
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import urllib.request

import pytest

from conftest import BIN
from server import Server
from test_replay import tool, work


@pytest.fixture(scope='module')
def server():
    s = Server()
    work(s)
    yield s
    s.end()


@pytest.fixture(scope='module')
def backup(server):
    path = os.path.join(server.dir, 'backup')
    r = tool(server, 'backup', path)
    assert r.returncode == 0, r.stderr
    return path


def push_blob(server, data):
    """A blob and a manifest by it; its digest."""
    user = server.client('ecr').get_authorization_token()['authorizationData'][0]
    auth = {'Authorization': 'Basic ' + user['authorizationToken']}

    def send(method, path, body=b'', **headers):
        return urllib.request.urlopen(urllib.request.Request(
            server.endpoint + path, body, {**auth, **headers}, method=method))

    def blob(content):
        digest = 'sha256:' + hashlib.sha256(content).hexdigest()
        at = send('POST', '/v2/repo/blobs/uploads/').headers['Location'].replace(server.endpoint, '')
        send('PUT', f'{at}{"&" if "?" in at else "?"}digest={digest}', content,
             **{'Content-Type': 'application/octet-stream'})
        return dict(digest=digest, size=len(content))
    config, layer = blob(b'{}' + data), blob(data)
    manifest = json.dumps(dict(
        schemaVersion=2, mediaType='application/vnd.oci.image.manifest.v1+json',
        config=dict(config, mediaType='application/vnd.oci.image.config.v1+json'),
        layers=[dict(layer, mediaType='application/vnd.oci.image.layer.v1.tar')])).encode()
    send('PUT', '/v2/repo/manifests/' + hashlib.sha256(data).hexdigest()[:8], manifest,
         **{'Content-Type': 'application/vnd.oci.image.manifest.v1+json'})
    return layer['digest'].split(':')[1]


def blob_path(backup, digest):
    return os.path.join(backup, 'server/blobs/sha256', digest[:2], digest)


def test_a_backup_is_whole_and_restores(server, backup, tmp_path):
    assert os.stat(backup).st_mode & 0o777 == 0o700
    r = tool(server, 'backup', '--check', backup)
    assert r.returncode == 0 and 'complete' in r.stdout
    state = str(tmp_path / 'state')
    r = tool(server, 'restore', '--state', state, backup)
    assert r.returncode == 0, r.stderr
    assert 'gantry adopt' in r.stdout
    assert tool(server, 'replay', '--state', state).returncode == 0
    again = tool(server, 'restore', '--state', state, backup)
    assert again.returncode == 1 and 'move server/ and root.key away' in again.stderr
    other = Server(state=state)
    try:
        assert 'replayed' in str(other.client('ecs').list_clusters())
        assert other.client('ecr').describe_repositories()['repositories']
        assert tool(other, 'replay', '--state', state).returncode == 0
    finally:
        other.end()


def test_the_next_one_links_what_the_first_has(server, tmp_path):
    first, second = os.path.join(server.dir, 'one'), os.path.join(server.dir, 'two')
    old = push_blob(server, b'old')
    assert tool(server, 'backup', first).returncode == 0
    new = push_blob(server, b'new')
    r = tool(server, 'backup', '--base', first, second)
    assert r.returncode == 0, r.stderr
    assert os.path.samefile(blob_path(first, old), blob_path(second, old))
    assert not os.path.exists(blob_path(first, new)) and os.path.exists(blob_path(second, new))
    shutil.rmtree(first)
    assert tool(server, 'backup', '--check', second).returncode == 0
    assert tool(server, 'backup', second).returncode == 1  # not empty


def damage(path, how):
    if how == 'gone':
        os.unlink(path)
    elif how == 'cut':
        os.truncate(path, os.path.getsize(path) - 1)
    else:
        with open(path, 'r+b') as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)[0]
            f.seek(-1, 1)
            f.write(bytes([byte ^ 1]))


@pytest.mark.parametrize('how', ['gone', 'cut', 'flipped'])
@pytest.mark.parametrize('name', ['MANIFEST', 'root.key', 'server/core.db', 'server/secret',
                                  'server/registry.db', 'server/logs/streams.db'])
def test_what_is_not_whole_is_refused(server, backup, tmp_path, name, how):
    copy, state = str(tmp_path / 'copy'), str(tmp_path / 'state')
    shutil.copytree(backup, copy)
    damage(os.path.join(copy, name), how)
    r = tool(server, 'restore', '--state', state, copy)
    assert r.returncode == 1, r.stdout
    assert 'take another' in r.stderr
    assert not os.path.exists(os.path.join(state, 'server'))
    assert not os.path.exists(os.path.join(state, 'root.key'))
    assert tool(server, 'backup', '--check', copy).returncode == 1


def test_under_load_it_is_one_cut(server, tmp_path):
    """Clusters are made all the while, each after the one before it: none may be missing before
    another."""
    ecs = server.client('ecs')
    path = str(tmp_path / 'busy')
    p = subprocess.Popen([os.path.join(BIN, 'gantry'), 'backup', '--state', server.state,
                          path], stdout=subprocess.DEVNULL)
    n = 0
    while p.poll() is None:
        ecs.create_cluster(clusterName=f'busy-{n:06}')
        n += 1
    assert p.returncode == 0
    state = str(tmp_path / 'state')
    assert tool(server, 'restore', '--state', state, path).returncode == 0
    assert tool(server, 'replay', '--state', state).returncode == 0
    other = Server(state=state)
    try:
        got = sorted(a.split('/')[-1] for page in other.client('ecs').get_paginator('list_clusters').paginate()
                     for a in page['clusterArns'] if 'busy-' in a)
        assert got == [f'busy-{i:06}' for i in range(len(got))]
    finally:
        other.end()


def test_a_newer_journal_is_refused(server, backup, tmp_path):
    copy = str(tmp_path / 'newer')
    shutil.copytree(backup, copy)
    db = sqlite3.connect(os.path.join(copy, 'server/core.db'))
    db.execute('PRAGMA user_version = 2')
    db.commit()
    db.close()
    r = tool(server, 'replay', '--journal', os.path.join(copy, 'server/core.db'))
    assert r.returncode == 1
    assert 'of a newer release' in r.stderr and 'start the release that wrote it' in r.stderr
