"""The journal seen from outside: what is kept of the past, and what it says."""
import os
import subprocess

import pytest
from botocore.credentials import Credentials

import admin
from conftest import BIN, wait_for
from fake_node import FakeNode
from server import Server


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.end()


def test_only_root_asks_about_the_journal(server):
    key = server.credentials
    node = FakeNode(server.endpoint, (key.access_key, key.secret_key), name='n0', own_key=True,
                    silent=True)
    node = Credentials(*node.key)
    with pytest.raises(admin.Refused) as e:
        admin.call(server, 'DescribeJournal', credentials=node)
    assert e.value.kind == 'AccessDeniedException'
    server.client('ecs').create_cluster(clusterName='a')
    journal = admin.call(server, 'DescribeJournal')
    assert journal['revision'] >= journal['firstRevision'] == 1
    assert journal['time'] >= journal['firstTime'] > 0


def tool(server, *args):
    return subprocess.run([os.path.join(BIN, 'gantry'), *args], text=True, capture_output=True,
                          env=dict(os.environ, GANTRY_STATE=server.state), timeout=120)


def work(server):
    """Some of everything that writes: calls, controllers, a node, stores that ask the core."""
    ecs = server.client('ecs')
    ecs.create_cluster(clusterName='replayed')
    ecs.register_task_definition(family='f', containerDefinitions=[
        dict(name='main', image='busybox', memory=16)])
    key = server.credentials
    node = FakeNode(server.endpoint, (key.access_key, key.secret_key), name='n1',
                    cluster='replayed')
    ecs.create_service(cluster='replayed', serviceName='s', taskDefinition='f', desiredCount=3)
    wait_for(lambda: ecs.describe_services(cluster='replayed', services=['s'])['services'][0][
        'runningCount'] == 3)
    ecs.update_service(cluster='replayed', service='s', desiredCount=1)
    server.client('ecr').create_repository(repositoryName='repo')
    server.client('logs').create_log_group(logGroupName='g')
    server.client('logs').delete_log_group(logGroupName='g')
    node.end()
    return ecs


def test_the_journal_run_once_more_gives_the_same(server):
    work(server)
    r = tool(server, 'replay')
    assert r.returncode == 0, r.stdout + r.stderr
    assert 'the same, byte for byte' in r.stdout
    assert ' 0 of other builds' in r.stdout
