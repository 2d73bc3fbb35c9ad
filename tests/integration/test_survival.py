"""Processes of Gantry are killed, in any order and under load: containers do not notice."""
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import BIN, Gantry, wait_for
from tasks import container, describe, exit_codes, register, run, stop, wait_status

PARTS = ['gantry-server', 'gantry-agent', 'gantry-link']
COUNT = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i > /c/n.new; mv /c/n.new /c/n; '
         'sleep 0.05; done']


class Counter:
    """A task that counts in a file of the host; it is one and the same process throughout."""

    def __init__(self, gantry, busybox, folder, **more):
        self.gantry, self.file = gantry, os.path.join(folder, 'n')
        os.makedirs(folder, exist_ok=True)
        definition = register(
            gantry, 'count', container(busybox, command=COUNT, stopTimeout=2, **dict({
                'mountPoints': [{'sourceVolume': 'c', 'containerPath': '/c'}]}, **more)),
            volumes=[{'name': 'c', 'host': {'sourcePath': str(folder)}}])
        self.arn = run(gantry, definition)
        wait_status(gantry, self.arn, 'RUNNING')
        wait_for(lambda: self.value() > 0, 10)
        self.first = self.process()
        self.last = self.value()

    def value(self):
        try:
            with open(self.file) as f:
                return int(f.read() or 0)
        except OSError:
            return 0

    def process(self):
        """When the counter began, and its pid."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/mountinfo') as f:
                    mine = os.path.dirname(self.file) + ' /c ' in f.read()
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    mine = mine and b'/c/n.new' in f.read()
                with open(f'/proc/{pid}/stat') as f:
                    born = f.read().rsplit(')', 1)[1].split()[19]
            except OSError:
                continue
            if mine:
                found.append((int(born), int(pid)))
        if not found:
            raise AssertionError('the counter is gone')
        return min(found)  # others are its children on their way to exec

    def assert_untouched(self):
        assert self.process() == self.first
        before = self.value()
        assert before >= self.last
        self.last = wait_for(lambda: self.value() > before and self.value(), 10)

    def assert_adopted(self):
        self.assert_untouched()
        t = self.gantry.cli('exec', self.arn.split('/')[-1], 'cat', '/c/n')
        assert int(t.stdout) >= self.last
        assert describe(self.gantry, self.arn)['lastStatus'] == 'RUNNING'


def kill(gantry, name):
    pid = gantry.pid_of(name)
    if pid:
        os.kill(pid, signal.SIGKILL)
    return pid


def answers(gantry):
    """Server and node are there again."""
    try:
        nodes = gantry.client('ecs').list_container_instances()['containerInstanceArns']
        return nodes and all(gantry.pid_of(p) for p in PARTS)
    except Exception:
        return False


def settle(gantry, task):
    """Until the whole way to a container works again."""
    wait_for(lambda: answers(gantry), 30)
    wait_for(lambda: gantry.cli('exec', task.split('/')[-1], 'true', check=False).returncode == 0,
             30, 0.2)


@pytest.fixture(scope='module')
def counter(gantry, busybox, tmp_path_factory):
    c = Counter(gantry, busybox, tmp_path_factory.mktemp('counter'))
    yield c
    stop(gantry, c.arn)


@pytest.mark.parametrize('victims', [[p] for p in PARTS] + [
    PARTS, PARTS[::-1], ['gantry-agent', 'gantry-server']], ids=lambda v: '+'.join(v))
def test_container_is_untouched_and_adopted(gantry, counter, victims):
    old = {v: kill(gantry, v) for v in victims}
    assert all(old.values()), old
    counter.assert_untouched()
    for v in victims:
        wait_for(lambda: gantry.pid_of(v) not in (None, old[v]), 20)
    settle(gantry, counter.arn)
    counter.assert_adopted()


def up_again(gantry):
    """A new `gantry up` after the old one was killed."""
    gantry.up.wait(10)
    gantry.log.close()
    os.rename(os.path.join(gantry.dir, 'log'), os.path.join(gantry.dir, f'log.{time.time()}'))
    gantry.start()


def test_killed_gantry_up(gantry, counter):
    gantry.up.kill()
    up_again(gantry)
    settle(gantry, counter.arn)
    counter.assert_adopted()


def test_everything_killed_at_once(gantry, counter):
    gantry.up.kill()
    for p in PARTS:
        kill(gantry, p)
    counter.assert_untouched()
    up_again(gantry)
    settle(gantry, counter.arn)
    counter.assert_adopted()


def test_exit_while_the_agent_was_dead_is_reported_truly(gantry, busybox, tmp_path):
    task = {'volumes': [{'name': 'v', 'host': {'sourcePath': str(tmp_path)}}]}
    arns = {}
    for code in (0, 23, 137):
        d = register(gantry, 'later', container(
            busybox, stopTimeout=2, mountPoints=[{'sourceVolume': 'v', 'containerPath': '/v'}],
            command=['sh', '-c', f'while ! test -e /v/go; do sleep 0.05; done; '
                     f'touch /v/{code}; exit {code}']), **task)
        arns[code] = run(gantry, d)
    for arn in arns.values():
        wait_status(gantry, arn, 'RUNNING')
    agent = gantry.pid_of('gantry-agent')
    gantry.up.send_signal(signal.SIGSTOP)  # nobody starts it again meanwhile
    try:
        os.kill(agent, signal.SIGKILL)
        (tmp_path / 'go').touch()
        wait_for(lambda: all((tmp_path / str(c)).exists() for c in arns), 10)
        time.sleep(0.3)
    finally:
        gantry.up.send_signal(signal.SIGCONT)
    for code, arn in arns.items():
        t = wait_status(gantry, arn, 'STOPPED')
        assert exit_codes(t) == {'main': code}
        assert t['stopCode'] == 'EssentialContainerExited'


def test_exit_that_was_not_yet_reported_when_the_agent_died(gantry, busybox, tmp_path):
    """The task is over and cleaned up; only the server has not heard of it."""
    d = register(gantry, 'unheard', container(
        busybox, mountPoints=[{'sourceVolume': 'v', 'containerPath': '/v'}],
        command=['sh', '-c', 'while ! test -e /v/go; do sleep 0.05; done; exit 23']),
        volumes=[{'name': 'v', 'host': {'sourcePath': str(tmp_path)}}])
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    server, agent = gantry.pid_of('gantry-server'), gantry.pid_of('gantry-agent')
    gantry.up.send_signal(signal.SIGSTOP)
    os.kill(server, signal.SIGSTOP)
    try:
        (tmp_path / 'go').touch()
        wait_for(lambda: f'task {arn.split("/")[-1]} stopped' in gantry.read_log(), 20)
        os.kill(agent, signal.SIGKILL)
    finally:
        os.kill(server, signal.SIGKILL)  # with what the agent has sent it
        gantry.up.send_signal(signal.SIGCONT)
    wait_for(lambda: gantry.pid_of('gantry-server') not in (None, server) and answers(gantry), 30)
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 23}
    assert t['stopCode'] == 'EssentialContainerExited'
    assert t['stoppedReason'] == 'Essential container in task exited'
    assert t['startedAt'] <= t['executionStoppedAt'] <= t['stoppedAt']


def test_exit_while_the_agent_slept_past_its_tick(gantry, busybox):
    """The tick asks the shim something; the exit that comes before its reply counts, too."""
    arn = run(gantry, register(gantry, 'slept', container(busybox, command=['sleep', '3'])))
    wait_status(gantry, arn, 'RUNNING')
    agent = gantry.pid_of('gantry-agent')
    os.kill(agent, signal.SIGSTOP)
    try:
        time.sleep(4)
    finally:
        os.kill(agent, signal.SIGCONT)
    t = wait_status(gantry, arn, 'STOPPED', 15)
    assert exit_codes(t) == {'main': 0}


def test_stop_asked_while_the_agent_was_dead(gantry, busybox):
    d = register(gantry, 'asked', container(busybox, stopTimeout=2, command=[
        'sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.1; done']))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    time.sleep(0.3)
    agent = gantry.pid_of('gantry-agent')
    gantry.up.send_signal(signal.SIGSTOP)
    try:
        os.kill(agent, signal.SIGKILL)
        gantry.client('ecs').stop_task(task=arn, reason='meanwhile')
        other = run(gantry, d)
    finally:
        gantry.up.send_signal(signal.SIGCONT)
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 9} and t['stoppedReason'] == 'meanwhile'
    wait_status(gantry, other, 'RUNNING')
    stop(gantry, other)


def shim_of(gantry, arn):
    with open(os.path.join(gantry.run_dir, 'tasks', arn.split('/')[-1], 'cgroup')) as f:
        group = f.read().strip()
    for hierarchy in ('unified', 'memory', 'pids', ''):
        try:
            with open(f'/sys/fs/cgroup/{hierarchy}{group}/shim/cgroup.procs') as f:
                return int(f.read().split()[0])
        except (OSError, IndexError):
            pass
    raise AssertionError('no shim in ' + group)


@pytest.mark.parametrize('agent_too', [False, True])
def test_killed_shim_stops_its_task_and_the_service_replaces_it(gantry, busybox, agent_too):
    ecs = gantry.client('ecs')
    d = register(gantry, 'shim', container(busybox, command=['sleep', '1000'], stopTimeout=1))
    name = f'shim{int(agent_too)}'
    ecs.create_service(serviceName=name, taskDefinition=d, desiredCount=1)
    tasks = wait_for(lambda: running(gantry, name, 1), 30)
    if agent_too:
        kill(gantry, 'gantry-agent')
    os.kill(shim_of(gantry, tasks[0]), signal.SIGKILL)
    t = wait_status(gantry, tasks[0], 'STOPPED')
    assert 'gantry-shim' in t['stoppedReason'], t
    again = wait_for(lambda: running(gantry, name, 1), 30)
    assert again != tasks
    ecs.delete_service(service=name, force=True)


def test_stuck_shim_does_not_keep_its_task(gantry, busybox):
    arn = run(gantry, register(gantry, 'stuck', container(busybox, command=['sleep', '1000'],
                                                          stopTimeout=2)))
    wait_status(gantry, arn, 'RUNNING')
    other = run(gantry, register(gantry, 'other', container(busybox, command=['sleep', '1000'],
                                                            stopTimeout=2)))
    wait_status(gantry, other, 'RUNNING')
    shim = shim_of(gantry, arn)
    os.kill(shim, signal.SIGSTOP)
    gantry.client('ecs').stop_task(task=arn)
    stop(gantry, other)  # nobody else has to wait
    assert describe(gantry, arn)['lastStatus'] != 'STOPPED'
    t = wait_status(gantry, arn, 'STOPPED', 25)
    assert t['containers'][0]['exitCode'] == 137
    wait_for(lambda: not os.path.exists(f'/proc/{shim}'), 10)


@pytest.mark.parametrize('end', ['shim', 'container'])
def test_exec_ends_with_its_task(gantry, busybox, end):
    """However the task ends, whoever runs a command in it is told, and does not wait for ever."""
    arn = run(gantry, register(gantry, 'exec-end', container(
        busybox, stopTimeout=2, command=['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done'])))
    wait_status(gantry, arn, 'RUNNING')
    p = subprocess.Popen([os.path.join(BIN, 'gantry'), 'exec', arn.split('/')[-1], 'sh', '-c',
                          'echo in; exec sleep 1000'], env=gantry.env(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == 'in\n'
    if end == 'shim':
        os.kill(shim_of(gantry, arn), signal.SIGKILL)
    else:
        gantry.client('ecs').stop_task(task=arn)
    try:
        assert p.wait(20) == 137
    finally:
        p.kill()
        p.stdout.close()
    wait_status(gantry, arn, 'STOPPED')


def running(gantry, service, count):
    ecs = gantry.client('ecs')
    arns = ecs.list_tasks(serviceName=service)['taskArns']
    s = ecs.describe_services(services=[service])['services'][0]
    if len(arns) != count or s['runningCount'] != count or s['pendingCount']:
        return None
    up = ecs.describe_tasks(tasks=arns)['tasks'] if arns else []
    return sorted(arns) if all(t['lastStatus'] == 'RUNNING' for t in up) else None


class Load(threading.Thread):
    """Runs and stops tasks and changes a service, and remembers what was acknowledged."""

    def __init__(self, gantry, definition, service, seed):
        super().__init__()
        self.gantry, self.definition, self.service = gantry, definition, service
        self.random, self.over = random.Random(seed), threading.Event()
        self.started, self.stopped, self.families, self.count = set(), set(), set(), 1
        self.asked = set()  # to stop; whether the server has heard it is another matter
        self.calls = self.failed = 0

    def step(self, ecs):
        what = self.random.random()
        if what < 0.4:
            r = ecs.run_task(taskDefinition=self.definition)
            self.started.update(t['taskArn'] for t in r['tasks'])
        elif what < 0.7:
            left = sorted(self.started - self.stopped)
            if left:
                arn = self.random.choice(left)
                self.asked.add(arn)
                ecs.stop_task(task=arn, reason='load')
                self.stopped.add(arn)
        elif what < 0.85:
            count = self.random.randint(1, 3)
            self.unsure = True
            ecs.update_service(service=self.service, desiredCount=count)
            self.count, self.unsure = count, False
        else:
            family = f'made-{len(self.families)}'
            register(self.gantry, family, container('none:1'))
            self.families.add(family)

    def run(self):
        ecs = self.gantry.client('ecs')
        self.unsure = False
        while not self.over.is_set():
            try:
                self.calls += 1
                self.step(ecs)
            except Exception:
                self.failed += 1
                time.sleep(0.05)
            time.sleep(0.02)


def test_killed_in_a_loop_under_load(gantry, busybox, counter):
    seed = int(os.environ.get('GANTRY_SEED', '1'))
    ecs, choice = gantry.client('ecs'), random.Random(seed)
    d = register(gantry, 'load', container(busybox, command=['sleep', '1000'], memory=16,
                                           stopTimeout=2))
    ecs.create_service(serviceName='load', taskDefinition=d, desiredCount=1)
    load = Load(gantry, d, 'load', seed)
    load.start()
    try:
        for _ in range(10):
            for victim in choice.sample(PARTS, choice.randint(1, 3)):
                kill(gantry, victim)
                time.sleep(choice.random() * 0.1)
            time.sleep(0.3 + choice.random() * 0.7)
            counter.assert_untouched()
    finally:
        load.over.set()
        load.join()
    settle(gantry, counter.arn)
    counter.assert_adopted()
    assert load.calls - load.failed > 20, (load.calls, load.failed)
    known = ecs.list_task_definition_families()['families']
    assert load.families <= set(known)
    if load.unsure:
        load.count = ecs.describe_services(services=['load'])['services'][0]['desiredCount']
    for arn in sorted(load.stopped):
        t = wait_status(gantry, arn, 'STOPPED')
        assert t['stoppedReason'] == 'load'
    for arn in sorted(load.started - load.asked):
        assert wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: running(gantry, 'load', load.count), 60)
    ecs.delete_service(service='load', force=True)
    # A call without an answer may have been carried out all the same.
    for arn in ecs.list_tasks(family='load')['taskArns']:
        ecs.stop_task(task=arn)
    wait_for(lambda: not ecs.list_tasks(family='load')['taskArns'], 60)


# --- leaks and reboot, with a Gantry of their own

def traces(name, folder):
    """What of an instance there is in the kernel."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                words = f.read()
            with open(f'/proc/{pid}/cgroup') as f:
                groups = f.read()
            with open(f'/proc/{pid}/stat') as f:
                state = f.read().rsplit(')', 1)[1].split()[0]
        except OSError:
            continue
        if state in 'ZX':  # dead; whether init has noticed is not our matter
            continue
        if name.encode() in words or folder.encode() in words or f':/{name}' in groups:
            found.append(f'process {pid} {words}')
    with open('/proc/self/mountinfo') as f:
        found += ['mount ' + line for line in f if name in line or folder in line]
    for path, folders, _ in os.walk('/sys/fs/cgroup'):
        found += [f'cgroup {path}/{d}' for d in folders if d == name]
    found += ['link ' + line for line in links() if name in line]
    tables = subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True).stdout
    found += ['nftables ' + line for line in tables.splitlines() if name in line]
    return found


def links():
    return subprocess.run(['ip', '-o', 'link'], capture_output=True, text=True).stdout.splitlines()


def netns():
    return subprocess.run(['lsns', '-t', 'net', '-n', '-o', 'NS,PID,COMMAND,NSFS'],
                          capture_output=True, text=True).stdout


@pytest.fixture
def fresh(busybox_layout):
    g = Gantry()
    g.start()
    yield g
    g.down()
    g.remove()


def services_of_all_modes(g, image):
    ecs = g.client('ecs')
    vpc = {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}}
    for mode, more in (('bridge', {}), ('host', {}), ('none', {}), ('awsvpc', vpc)):
        d = register(g, mode, container(image, command=['sleep', '1000'], stopTimeout=1,
                                        memory=16), networkMode=mode)
        ecs.create_service(serviceName=mode, taskDefinition=d, desiredCount=1, **more)
    return ['bridge', 'host', 'none', 'awsvpc']


def test_nothing_is_left_after_down(fresh, busybox_layout):
    image = fresh.push(busybox_layout, 'busybox:1')
    for service in services_of_all_modes(fresh, image):
        wait_for(lambda: running(fresh, service, 1), 30)
    for p in PARTS:
        kill(fresh, p)
    wait_for(lambda: answers(fresh), 30)
    assert traces(fresh.name, fresh.dir)
    fresh.down()
    assert traces(fresh.name, fresh.dir) == []
    assert not os.path.exists(fresh.run_dir)


def kill_everything(g):
    """What a reboot leaves of processes, mounts, cgroups, networks and /run: nothing."""
    g.up.kill()
    g.up.wait(10)
    for _ in range(100):
        pids = set(g.children())
        for path, _, files in os.walk('/sys/fs/cgroup'):
            if f'/{g.name}' in path and 'cgroup.procs' in files:
                try:
                    with open(os.path.join(path, 'cgroup.procs')) as f:
                        pids.update(int(x) for x in f.read().split())
                except OSError:
                    pass
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    with open('/proc/self/mountinfo') as f:
        mounts = [line.split()[4] for line in f if g.name in line or g.dir in line]
    for m in reversed(mounts):
        subprocess.run(['umount', '-l', m], check=True)
    for path, folders, _ in os.walk('/sys/fs/cgroup', topdown=False):
        if f'/{g.name}' in path:
            try:
                os.rmdir(path)
            except OSError:
                pass
    for line in links():
        if g.name in line:
            name = line.split(': ')[1].split('@')[0]
            subprocess.run(['ip', 'link', 'del', name], capture_output=True)
    tables = subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True).stdout
    for line in tables.splitlines():
        if g.name in line:
            subprocess.run(['nft', 'delete', *line.split()], check=True)
    shutil.rmtree(g.run_dir, ignore_errors=True)


def test_reboot_brings_services_back(fresh, busybox_layout):
    image = fresh.push(busybox_layout, 'busybox:1')
    names = services_of_all_modes(fresh, image)
    before = {s: wait_for(lambda: running(fresh, s, 1), 30) for s in names}
    single = run(fresh, register(fresh, 'single', container(image, command=['sleep', '1000'])))
    wait_status(fresh, single, 'RUNNING')
    kill_everything(fresh)
    assert traces(fresh.name, 'no such folder') == []
    fresh.log.close()
    os.rename(os.path.join(fresh.dir, 'log'), os.path.join(fresh.dir, 'log.1'))
    fresh.start()
    for s in names:
        again = wait_for(lambda: (lambda x: x if x and x != before[s] else None)(
            running(fresh, s, 1)), 40)
        old = describe(fresh, before[s][0])
        assert again and old['lastStatus'] == 'STOPPED'
        assert old['stoppedReason'] == 'The host was restarted'
    assert wait_status(fresh, single, 'STOPPED')['stoppedReason'] == 'The host was restarted'
    assert fresh.cli('exec', again[0].split('/')[-1], 'true', check=False).returncode == 0
