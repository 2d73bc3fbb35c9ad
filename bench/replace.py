"""How soon something runs again: a service's container that was killed, and the tasks of a node that
is lost. Real containers; the lost node is a real one for the server alone (tests' FakeNode)."""
import datetime
import functools
import os
import re
import signal
import time

from instance import Bench, wait_for
from report import Figure, spread

from fake_node import FakeNode  # tests/integration: instance.py puts it on the path

TASKS = 20  # on the node that is lost
until = functools.partial(wait_for, seconds=60, step=0.005)
OF_NODE = 'node lost is not heard and counts as lost'


def service(b, name, count):
    b.ecs.create_service(serviceName=name, taskDefinition='stay', desiredCount=count)
    until(lambda: len(tasks(b, name)) == count)


def tasks(b, name):
    """Those that run: id -> since when, ns since 1970"""
    arns = b.ecs.list_tasks(serviceName=name)['taskArns']
    return {t['taskArn']: t['startedAt'].timestamp() * 1e9 for t in b.ecs.describe_tasks(tasks=arns)['tasks']
            if t['lastStatus'] == 'RUNNING'} if arns else {}


def inside(b, arn):
    """The process that a task runs, by its cgroup."""
    with open(os.path.join(b.gantry.run_dir, 'tasks', arn.split('/')[-1], 'cgroup')) as f:
        group = f.read().strip()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cgroup') as f, open(f'/proc/{pid}/comm') as c:
                if group in f.read() and c.read() == 'probe\n':
                    return int(pid)
        except OSError:
            pass
    raise RuntimeError(f'no process in {group}')


def killed(b):
    """ms from the kill until another is running, by the API."""
    (old,) = tasks(b, 'killed')
    pid = inside(b, old)
    begin = time.time_ns()
    os.kill(pid, signal.SIGKILL)
    until(lambda: any(t != old for t in tasks(b, 'killed')))
    return (time.time_ns() - begin) / 1e6


def declared_lost(b):
    """When the server said so, ns; None: not yet."""
    with open(os.path.join(b.dir, 'log')) as f:
        said = re.findall(r'(\S+)Z warn +server: ' + OF_NODE, f.read())
    return datetime.datetime.fromisoformat(said[-1] + '+00:00').timestamp() * 1e9 if said else None


def lost(b):
    """ms from when a node with TASKS tasks is declared lost until all of them run elsewhere."""
    key = b.gantry.key()
    node = FakeNode(b.gantry.endpoint, (key['accessKeyId'], key['secretAccessKey']), name='lost',
                    own_key=True, cpu=10 ** 6, memory=10 ** 6)
    (real,) = (i for i in b.ecs.list_container_instances()['containerInstanceArns'] if not i.endswith('/lost'))
    b.ecs.update_container_instances_state(containerInstances=[real], status='DRAINING')
    service(b, 'lost', TASKS)
    before = set(tasks(b, 'lost'))
    b.ecs.update_container_instances_state(containerInstances=[real], status='ACTIVE')
    node.end()
    until(lambda: declared_lost(b), step=0.05)
    until(lambda: len(set(tasks(b, 'lost')) - before) == TASKS)
    took = (max(at for t, at in tasks(b, 'lost').items() if t not in before) - declared_lost(b)) / 1e6
    return took


def main(rounds, peers_too=True):
    b = Bench()
    try:
        b.define('stay', ['--wait'], mode='bridge')
        service(b, 'killed', 1)
        again = []
        for i in range(rounds + 1):
            time.sleep(11)  # what ends sooner has failed to start, and is tried again with a pause
            again.append(killed(b))
        took = lost(b)
    finally:
        b.close()
    kill = spread(again[1:])
    return [Figure('recover: a killed container of a service runs again', 'ms', kill, goal='<= 1,000 ms',
                   met=kill['p99'] <= 1000),
            Figure(f'recover: {TASKS} tasks of a lost node run elsewhere', 'ms', took, goal='<= 2,000 ms',
                   met=took <= 2000, note='from when the server declares it lost')]
