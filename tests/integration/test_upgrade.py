"""State folders of every release, kept in tests/state: each later one opens them and goes on."""
import glob
import os
import tarfile

import pytest

from conftest import ROOT, wait_for
from fake_node import FakeNode
from server import Server
from test_replay import tool

KEPT = sorted(glob.glob(os.path.join(ROOT, 'tests', 'state', '*.tar.gz')))


@pytest.fixture(params=KEPT, ids=[os.path.basename(p)[:-7] for p in KEPT])
def server(request, tmp_path):
    state = str(tmp_path / 'state')
    with tarfile.open(request.param) as tar:
        tar.extractall(state)
    s = Server(state=state)
    yield s
    s.end()


def test_there_is_one():
    assert KEPT


def test_what_was_there_is_there_and_goes_on(server):
    ecs = server.client('ecs')
    service = ecs.describe_services(cluster='replayed', services=['s'])['services'][0]
    assert (service['status'], service['desiredCount']) == ('ACTIVE', 1)
    tasks = ecs.list_tasks(cluster='replayed', serviceName='s')['taskArns']
    assert len(tasks) == 1
    assert ecs.describe_task_definition(taskDefinition='f')['taskDefinition']['revision'] == 1
    images = server.client('ecr').describe_images(repositoryName='repo')['imageDetails']
    assert len(images) == 1
    events = server.client('logs').get_log_events(logGroupName='kept', logStreamName='s')['events']
    assert [e['message'] for e in events] == ['hello']
    key = server.credentials
    node = FakeNode(server.endpoint, (key.access_key, key.secret_key), name='n1', cluster='replayed')
    try:
        wait_for(lambda: [t.split('/')[-1] for t in tasks][0] in node.tasks)
        ecs.update_service(cluster='replayed', service='s', desiredCount=2)
        wait_for(lambda: ecs.describe_services(cluster='replayed', services=['s'])['services'][0][
            'runningCount'] == 2)
        assert tasks[0] in ecs.list_tasks(cluster='replayed', serviceName='s')['taskArns']
    finally:
        node.end()
    r = tool(server, 'replay')
    assert r.returncode == 0, r.stdout + r.stderr
    assert 'the same, byte for byte' in r.stdout
