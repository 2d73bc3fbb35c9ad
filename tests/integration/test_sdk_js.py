"""The AWS SDK for JavaScript, whose names are the newest, against every operation."""
import os
import shutil
import subprocess

import pytest

from conftest import BUILD
from fake_node import FakeNode
from server import Server

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'js')
OLDEST = 20  # what the SDK wants


def node_version():
    if not shutil.which('node') or not shutil.which('npm'):
        return 0
    text = subprocess.run(['node', '--version'], capture_output=True, text=True).stdout
    return int(text.lstrip('v').split('.')[0] or 0)


@pytest.fixture(scope='module')
def sdk():
    """A folder with the script, and the packages that its lock names."""
    if node_version() < OLDEST:
        pytest.skip(f'needs npm and Node.js {OLDEST}, which Debian 12 does not have')
    folder = os.path.join(BUILD, 'js')
    os.makedirs(folder, exist_ok=True)
    changed = False
    for name in ('package.json', 'package-lock.json', 'operations.mjs'):
        here, there = os.path.join(HERE, name), os.path.join(folder, name)
        if not os.path.exists(there) or open(here).read() != open(there).read():
            shutil.copy(here, there)
            changed = changed or name.startswith('package')
    if changed or not os.path.isdir(os.path.join(folder, 'node_modules')):
        r = subprocess.run(['npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts'],
                           cwd=folder, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stdout + r.stderr
    return folder


def test_every_operation(sdk):
    server = Server()
    node = FakeNode(server.endpoint,
                    (server.credentials.access_key, server.credentials.secret_key))
    try:
        r = subprocess.run(['node', 'operations.mjs'], cwd=sdk, timeout=100, text=True,
                           capture_output=True, env=dict(server.env(), ENDPOINT=server.endpoint))
        assert (r.returncode, r.stdout) == (0, 'ok\n'), r.stdout + r.stderr + server.read_log()
    finally:
        node.end()
        server.end()
