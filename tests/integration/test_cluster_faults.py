"""Links that fail, hosts that die, processes that are killed: with a server and agents on hosts of their
own. What is acknowledged happens, nothing runs twice for long, and what runs goes on meanwhile."""
import glob
import json
import os
import shutil
import signal
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cluster import Cluster
from conftest import own_clock, wait_for
from tasks import (container, describe, make_group, output, register, run, stop, wait_status,
                   with_logs)

NODES = {'n1', 'n2', 'n3'}
LOST = 40  # seconds until a silent node counts as lost, on a slow machine


@pytest.fixture(scope='module')
def image(cluster, busybox_layout):
    make_group(cluster)
    return cluster.push(busybox_layout, 'busybox:1')


@pytest.fixture(autouse=True)
def healed(cluster):
    yield
    cluster.switch.heal()
    cluster.wait_connected(*NODES, seconds=60)


def on(node):
    return [{'type': 'memberOf', 'expression': f'attribute:host == {node}'}]


def sleeper(cluster, image, family, **more):
    return register(cluster, family, container(
        image, command=['sh', '-c', 'trap exit TERM; sleep 1000 & wait'], stopTimeout=2, **more))


class Service:
    def __init__(self, cluster, name, definition, count, **more):
        self.cluster, self.name, self.count = cluster, name, count
        self.ecs = cluster.client('ecs')
        self.ecs.create_service(serviceName=name, taskDefinition=definition, desiredCount=count, **more)
        wait_for(lambda: len(self.running()) == count, 60)

    def running(self):
        """Task id -> its description, of those that are RUNNING."""
        arns = self.ecs.list_tasks(serviceName=self.name)['taskArns']
        tasks = self.ecs.describe_tasks(tasks=arns)['tasks'] if arns else []
        return {t['taskArn'].split('/')[-1]: t for t in tasks if t['lastStatus'] == 'RUNNING'}

    def nodes(self):
        return sorted(self.cluster.node_of(t) for t in self.running().values())

    def end(self):
        self.ecs.delete_service(service=self.name, force=True)
        wait_for(lambda: not self.ecs.list_tasks(serviceName=self.name)['taskArns'], 40)



def live(host):
    """Ids of the tasks that have something in /run on a host."""
    return set(host.sh('ls /run/gantry/tasks 2>/dev/null || true').split())


def test_a_partition_and_its_end(cluster, image):
    """The tasks of a node that is cut off are replaced and run on there; when it is back they end, and
    every port is held once."""
    definition = sleeper(cluster, image, 'parted', portMappings=[
        {'containerPort': 80, 'hostPort': 8080}])
    service = Service(cluster, 'parted', definition, 2, placementStrategy=[
        {'type': 'spread', 'field': 'instanceId'}])
    node = service.nodes()[0]
    host = cluster.nodes[node]
    old = next(i for i, t in service.running().items() if cluster.node_of(t) == node)
    host.link.cut()
    wait_for(lambda: len(service.running()) == 2 and node not in service.nodes(), LOST)
    assert old in live(host), 'what runs goes on'
    assert describe(cluster, old)['stopCode'] == 'TerminationNotice'
    host.link.heal()
    wait_for(lambda: old not in live(host), 30)
    cluster.wait_connected(*NODES)
    service.ecs.update_service(service='parted', desiredCount=3)
    wait_for(lambda: service.nodes() == sorted(NODES), 30)
    held = {name: live(h) for name, h in cluster.nodes.items()}
    assert {n: len(ids) for n, ids in held.items()} == dict.fromkeys(NODES, 1), held
    service.end()


def test_one_way(cluster, image):
    """A node that hears and is not heard: it is lost all the same."""
    service = Service(cluster, 'oneway', sleeper(cluster, image, 'oneway'), 1)
    node = service.nodes()[0]
    cluster.nodes[node].link.cut('out')
    wait_for(lambda: service.nodes() not in ([], [node]), LOST)
    cluster.nodes[node].link.heal()
    wait_for(lambda: not live(cluster.nodes[node]), 30)
    service.end()


def test_a_slow_link_that_loses(cluster, image, busybox_layout):
    """An image, a task and its output over a link with a delay of 50 ms, 5 % loss each way, 4 Mbit."""
    other = cluster.push(busybox_layout, 'slow:1')
    host = cluster.nodes['n2']
    host.link.delay(50)
    host.link.loss(5)
    host.link.rate(4000)
    definition = register(cluster, 'slow', with_logs(container(
        other, command=['sh', '-c', 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done'])))
    arn = run(cluster, definition, placementConstraints=on('n2'))
    t = wait_status(cluster, arn, 'STOPPED', 60)
    assert t['containers'][0]['exitCode'] == 0, t
    wait_for(lambda: output(cluster, t) == [f'line {i}' for i in range(200)], 40)
    assert 'n2' in cluster.connected()


@pytest.mark.parametrize('program', ['gantry-agent', 'gantry-link', 'gantry-server'])
def test_killed(cluster, image, program):
    """The task is the same before and after, and can be stopped."""
    arn = run(cluster, sleeper(cluster, image, 'killed'), placementConstraints=on('n1'))
    before = wait_status(cluster, arn, 'RUNNING')
    if program == 'gantry-server':
        cluster.kill('server', program)
        cluster.start_server()
    else:
        assert cluster.kill('n1', program) == 1
        if program == 'gantry-agent':
            cluster.start_agent('n1')
        wait_for(lambda: cluster.nodes['n1'].pids(program), 20)
    cluster.wait_connected(*NODES)
    after = describe(cluster, arn)
    assert after['lastStatus'] == 'RUNNING' and after['startedAt'] == before['startedAt']
    assert after['containers'][0]['runtimeId'] == before['containers'][0]['runtimeId']
    assert stop(cluster, arn)['containers'][0]['exitCode'] == 143


def test_a_killed_shim(cluster, image):
    """Its task ends with it and says so; the service has another."""
    service = Service(cluster, 'shims', sleeper(cluster, image, 'shims'), 2)
    victim, task = next(iter(service.running().items()))
    host = cluster.nodes[cluster.node_of(task)]
    cgroup = host.sh(f'cat /run/gantry/tasks/{victim}/cgroup').strip()
    shims = [pid for pid, words in host.processes().items()
             if words[0] == 'gantry-shim' and cgroup in words]
    assert shims
    for pid in shims:
        os.kill(pid, signal.SIGKILL)
    t = wait_status(cluster, victim, 'STOPPED', 20)
    assert 'shim' in t['stoppedReason'], t
    wait_for(lambda: len(service.running()) == 2, 20)
    service.end()


def test_power_is_cut(cluster, image):
    """A host that comes back has nothing of what ran there, and gets work again."""
    service = Service(cluster, 'power', sleeper(cluster, image, 'power'), 3, placementStrategy=[
        {'type': 'spread', 'field': 'instanceId'}])
    cluster.unplug('n3')
    wait_for(lambda: len(service.running()) == 3 and 'n3' not in service.nodes(), LOST)
    cluster.boot('n3')
    cluster.wait_connected(*NODES)
    arn = run(cluster, sleeper(cluster, image, 'again'), placementConstraints=on('n3'))
    wait_status(cluster, arn, 'RUNNING')
    stop(cluster, arn)
    service.end()


def test_the_server_dies_while_tasks_are_asked_for(cluster, image):
    """Whoever asks again with the same token gets the same tasks; each runs, once."""
    definition = sleeper(cluster, image, 'burst', memory=16)
    ecs, started, token = cluster.client('ecs', timeout=3), {}, ''

    def add_token(params, **more):  # Debian's botocore does not know it
        params['body'] = json.dumps(dict(json.loads(params['body']), clientToken=token)).encode()
    ecs.meta.events.register('before-call.ecs.RunTask', add_token)
    for i in range(12):
        token = f'token-{i}'
        if i % 4 == 1:
            cluster.kill('server', 'gantry-server')
        for attempt in range(30):
            try:
                r = ecs.run_task(taskDefinition=definition, count=2)
                assert not r['failures'], r
                started[i] = {t['taskArn'] for t in r['tasks']}
                break
            except (BotoCoreError, ClientError):
                if cluster.programs['server'].poll() is not None:
                    cluster.start_server()
                time.sleep(0.1)
    assert len(started) == 12 and len(set.union(*started.values())) == 24
    there = set()
    for page in ecs.get_paginator('list_tasks').paginate(family='burst'):
        there.update(page['taskArns'])
    assert there == set.union(*started.values())
    for arn in there:
        wait_status(cluster, arn, 'RUNNING', 60)
    ids = [i for h in cluster.nodes.values() for i in live(h)]
    assert sorted(ids) == sorted(arn.split('/')[-1] for arn in there)
    for arn in there:
        ecs.stop_task(task=arn)
    for arn in there:
        wait_status(cluster, arn, 'STOPPED', 60)


def test_a_full_disk(cluster, image):
    """Its tasks say why they do not start, others run elsewhere, and the node stays."""
    host = cluster.hosts.add('n4')
    host.sh('mount -t tmpfs -o size=64m tmpfs /var/lib')
    cluster.nodes['n4'] = host
    try:
        host.sh('head -c 63M /dev/zero > /var/lib/fill')
        cluster.start_agent('n4')
        wait_for(lambda: host.sh('cat /var/lib/gantry/agent/node.json', check=False).stdout, 20)
        wait_for(lambda: len(cluster.instances()) == 4, 20)
        definition = sleeper(cluster, image, 'full')
        arn = run(cluster, definition, placementConstraints=on('n4'))
        t = wait_status(cluster, arn, 'STOPPED')
        assert t['stopCode'] == 'TaskFailedToStart', t
        said = t['stoppedReason'] + str(t['containers'])
        assert 'CannotPullContainerError' in said and ('disk' in said or 'space' in said), said
        elsewhere = run(cluster, definition, placementConstraints=on('n2'))
        wait_status(cluster, elsewhere, 'RUNNING')
        stop(cluster, elsewhere)
        assert cluster.programs['n4'].poll() is None
        assert all(i['agentConnected'] for i in cluster.instances().values())
    finally:
        cluster.unplug('n4')
        cluster.hosts.hosts.pop('n4')
        cluster.nodes.pop('n4')
        cluster.switch.links.remove(host.link)


def test_a_clock_that_steps(cluster, image):
    """An hour ahead, then an hour behind, while the agent runs and when it starts: the node stays, its
    tasks run, its output comes, and it reports times of the server's."""
    host, step = cluster.nodes['n3'], os.path.join(cluster.nodes['n3'].disk, 'step')
    wrong = ['env', *(f'{k}={v}' for k, v in own_clock('/var/lib/step').items())]

    def set_clock(seconds):
        with open(step, 'w') as f:
            f.write(str(seconds))

    definition = register(cluster, 'clock', with_logs(container(
        image, command=['sh', '-c', 'echo what time is it'])))
    set_clock(0)
    cluster.kill('n3', 'gantry-agent')
    cluster.start_agent('n3', before=wrong)
    cluster.wait_connected(*NODES)
    for seconds, again in ((3600, False), (-3600, False), (3600, True), (-3600, True)):
        set_clock(seconds)
        if again:
            cluster.kill('n3', 'gantry-agent')
            cluster.start_agent('n3', before=wrong)
        began = time.time()
        arn = run(cluster, definition, placementConstraints=on('n3'))
        t = wait_status(cluster, arn, 'STOPPED', 60)
        assert t['containers'][0]['exitCode'] == 0, t
        wait_for(lambda: output(cluster, t) == ['what time is it'], 40)
        assert 'n3' in cluster.connected()
        # What the agent itself takes the time of: shims, which are static, keep the machine's clock.
        for moment in ('pullStartedAt', 'pullStoppedAt'):
            assert abs(t[moment].timestamp() - began) < 120, (seconds, again, moment, t[moment])
    cluster.kill('n3', 'gantry-agent')
    cluster.start_agent('n3')


def test_a_cloned_node(cluster, image):
    """Two hosts with one identity: the newest acts, the other keeps what it has and starts nothing."""
    arn = run(cluster, sleeper(cluster, image, 'cloned'), placementConstraints=on('n1'))
    wait_status(cluster, arn, 'RUNNING')
    clone = cluster.hosts.add('clone')
    cluster.nodes['clone'] = clone
    try:
        state = os.path.join(clone.disk, 'gantry', 'agent')
        os.makedirs(state)
        for file in glob.glob(os.path.join(cluster.nodes['n1'].disk, 'gantry', 'agent', '*.*')):
            shutil.copy(file, state)
        cluster.start_agent('clone', label='n1')
        wait_for(lambda: 'another agent, on host' in cluster.read_log(), 20)
        arns = [run(cluster, sleeper(cluster, image, f'clone{i}'), placementConstraints=on('n1'))
                for i in range(3)]
        started = [wait_status(cluster, a, 'RUNNING', 40)['startedAt'] for a in arns]
        ids = {a.split('/')[-1] for a in arns}
        time.sleep(3)
        assert live(clone) == ids and live(cluster.nodes['n1']) == {arn.split('/')[-1]}
        assert [describe(cluster, a)['startedAt'] for a in arns] == started
        for a in arns:
            stop(cluster, a)
    finally:
        cluster.unplug('clone')
        cluster.hosts.hosts.pop('clone')
        cluster.nodes.pop('clone')
        cluster.switch.links.remove(clone.link)
    # The clone is lost, though the first still asks. Started again, that is the newest, and what is not
    # its own any more ends.
    wait_for(lambda: 'n1' not in cluster.connected(), LOST)
    cluster.kill('n1', 'gantry-agent')
    cluster.start_agent('n1')
    wait_for(lambda: not live(cluster.nodes['n1']), LOST)
    cluster.wait_connected(*NODES)
