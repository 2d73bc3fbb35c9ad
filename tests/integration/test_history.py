"""Concurrent clients while the server is killed and links are cut: what they saw is one order of calls.

Each client stands on a host of its own and talks to the server over a link that can be cut. Every call
is recorded with the time it was made and the time its answer came; one without an answer may have taken
effect at any later time. The history of each object must be linearizable (linearizability.py)."""
import os
import random
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from cluster import Cluster, Door
from linearizability import UNKNOWN, History, check, counter, register

SECONDS = float(os.environ.get('GANTRY_HISTORY_SECONDS', '20'))
SEED = int(os.environ.get('GANTRY_HISTORY_SEED', time.time()))
CLIENTS, OBJECTS = 4, 3


@pytest.fixture(scope='module')
def cluster():
    c = Cluster(agents=0)
    try:
        yield c.start()
    finally:
        c.end()


def presence(state, name, argument):
    """A cluster with a tag: None, or the tag that it was made with. While it is there it can be made
    again only as it is."""
    if name == 'create':
        return (argument, argument) if state in (None, argument) else (state, 'differs')
    if name == 'delete':
        return None, 'ok' if state is not None else 'none'
    return state, state


presence.idle = lambda call, calls: call.name == 'read'


class Client(threading.Thread):
    def __init__(self, cluster, history, number, until):
        super().__init__(name=f'client {number}')
        self.host = cluster.hosts.add(f'c{number}')
        self.door = Door(self.host, 4566, cluster.server.address)
        self.ecs = cluster.client('ecs', timeout=1,
                                  endpoint=f'https://127.0.0.1:{self.door.port}')
        self.history, self.until = history, until
        self.rng = random.Random(f'{SEED} {number}')
        self.value = number  # no two clients write the same
        self.failed = None

    def run(self):
        actions = [self.write, self.read, self.read, self.add, self.number, self.create, self.delete,
                   self.look, self.look]
        try:
            while time.monotonic() < self.until:
                self.rng.choice(actions)(self.rng.randrange(OBJECTS))
        except Exception as e:
            self.failed = e

    def call(self, key, name, argument, work):
        def attempt():
            try:
                return work()
            except ClientError as e:
                status = e.response['ResponseMetadata']['HTTPStatusCode']
                assert status >= 500 or e.response['Error']['Code'] == 'ThrottlingException', e
            except (BotoCoreError, ResponseParserError, KeyError):
                pass  # the latter two: an answer that was cut off, which urllib3 does not notice
            time.sleep(0.05)
            return UNKNOWN
        return self.history.call(key, name, argument, attempt)

    def write(self, i):
        self.value += CLIENTS
        value = self.value
        self.call(f'service/{i}', 'write', value, lambda: self.ecs.update_service(
            service=f's{i}', desiredCount=value)['service']['desiredCount'] == value and 'ok')

    def read(self, i):
        self.call(f'service/{i}', 'read', None, lambda: self.ecs.describe_services(
            services=[f's{i}'])['services'][0]['desiredCount'])

    def add(self, i):
        self.call(f'family/{i}', 'add', None, lambda: self.ecs.register_task_definition(
            family=f'f{i}', containerDefinitions=[{'name': 'c', 'image': 'i', 'memory': 8}])[
                'taskDefinition']['revision'])

    def number(self, i):
        self.call(f'family/{i}', 'read', None, lambda: self.ecs.describe_task_definition(
            taskDefinition=f'f{i}')['taskDefinition']['revision'])

    def create(self, i):
        tag = self.rng.choice('abc')

        def work():
            try:
                return self.ecs.create_cluster(clusterName=f'k{i}', tags=[
                    {'key': 't', 'value': tag}])['cluster']['tags'][0]['value']
            except self.ecs.exceptions.InvalidParameterException:
                return 'differs'
        self.call(f'cluster/{i}', 'create', tag, work)

    def delete(self, i):
        def work():
            try:
                self.ecs.delete_cluster(cluster=f'k{i}')
                return 'ok'
            except self.ecs.exceptions.ClusterNotFoundException:
                return 'none'
        self.call(f'cluster/{i}', 'delete', None, work)

    def look(self, i):
        def work():
            found = [c for c in self.ecs.describe_clusters(
                clusters=[f'k{i}'], include=['TAGS'])['clusters'] if c['status'] == 'ACTIVE']
            return found[0]['tags'][0]['value'] if found else None
        self.call(f'cluster/{i}', 'read', None, work)


def disturb(cluster, clients, until):
    """Kills the server at moments that nobody expects, and cuts and slows links meanwhile."""
    rng, kills = random.Random(SEED), 0
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.2, 1.2))
        link = rng.choice(clients).host.link
        what = rng.choice(['cut', 'cut', 'in', 'loss'])
        link.loss(30) if what == 'loss' else link.cut('in' if what == 'in' else 'both')
        time.sleep(rng.uniform(0, 0.5))
        if rng.random() < 0.7:
            cluster.kill('server', 'gantry-server')
            kills += 1
            time.sleep(rng.uniform(0, 0.3))
            cluster.start_server()
        link.heal()
    return kills


def test_what_clients_saw_is_one_order_of_calls(cluster):
    print(f'GANTRY_HISTORY_SEED={SEED}')
    ecs = cluster.client('ecs')
    for i in range(OBJECTS):
        ecs.register_task_definition(family=f'f{i}', containerDefinitions=[
            {'name': 'c', 'image': 'i', 'memory': 8}])
        ecs.create_service(serviceName=f's{i}', taskDefinition=f'f{i}', desiredCount=0)
    history, until = History(), time.monotonic() + SECONDS
    clients = [Client(cluster, history, n, until) for n in range(CLIENTS)]
    for c in clients:
        c.start()
    try:
        kills = disturb(cluster, clients, until)
    finally:
        for c in clients:
            c.join()
            c.door.end()
    assert not any(c.failed for c in clients), [c.failed for c in clients]
    unknown = sum(c.answer is UNKNOWN for c in history.calls)
    print(f'{len(history.calls)} calls, {unknown} without an answer, {kills} kills')
    assert len(history.calls) > 200 and unknown > 0 and kills > 0
    check(history, {'service/': (0, register), 'family/': (1, counter), 'cluster/': (None, presence)})
