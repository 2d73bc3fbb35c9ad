"""A node that is not heard any more, and one that is heard again."""
import pytest

from conftest import wait_for
from fake_node import FakeNode
from server import Server

LOST = 25  # seconds until it is noticed, on a slow machine


@pytest.fixture
def server():
    s = Server()
    yield s
    s.end()


def silent_node(server):
    c = server.credentials
    return FakeNode(server.endpoint, (c.access_key, c.secret_key), silent=True, own_key=True, cpu=10 ** 8,
                    memory=10 ** 8)


def connected(server):
    ecs = server.client('ecs')
    arns = ecs.list_container_instances()['containerInstanceArns']
    return ecs.describe_container_instances(containerInstances=arns)['containerInstances'][0][
        'agentConnected']


def test_a_node_that_was_lost_is_back_though_the_server_started_anew(server):
    """Its session is still good: it does not register again."""
    node = silent_node(server)
    wait_for(lambda: not connected(server), LOST)
    server.kill()
    server.start()
    assert not connected(server)
    node.call('Heartbeat', {'session': node.session})
    wait_for(lambda: connected(server), 5)
    wait_for(lambda: not connected(server), LOST)
    node.call('Heartbeat', {'session': node.session})
    wait_for(lambda: connected(server), 5)


def test_thousands_of_tasks_are_lost_with_their_node(server):
    ecs, count = server.client('ecs'), 3000
    ecs.register_task_definition(family='f', containerDefinitions=[
        dict(name='c', image='busybox', memory=8, environment=[dict(name='e', value='x' * 4000)])])
    node = silent_node(server)
    for _ in range(count // 10):
        assert not ecs.run_task(taskDefinition='f', count=10)['failures']
        node.call('Heartbeat', {'session': node.session})
    told, more = set(), {}
    while True:
        got = node.call('Poll', dict(session=node.session, revision=0, **more))
        told |= {t['id'] for t in got['tasks']}
        if 'more' not in got:
            break
        more = {'more': got['more']}
    assert got['full'] and len(told) == count

    def stopped():
        return sum(len(page['taskArns']) for page in ecs.get_paginator('list_tasks').paginate(
            desiredStatus='STOPPED'))
    wait_for(lambda: stopped() == count, LOST, 0.5)
    reasons = {t['stopCode'] for t in ecs.describe_tasks(tasks=[*told][:100])['tasks']}
    assert reasons == {'TerminationNotice'}
    news = node.call('Poll', dict(session=node.session, revision=got['revision'], waitMs=1000))
    assert {t['desiredStatus'] for t in news['tasks']} == {'STOPPED'} and news['more']
