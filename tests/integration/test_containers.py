"""The fields of a container definition, looked at from inside a container."""
import json
import os
import time
import urllib.request

import pytest

from conftest import wait_for
from tasks import (container, describe, exit_codes, output, register, run, say, stop, make_group,
                   wait_status, with_logs)


def volume(name, path=None):
    return {'name': name, 'host': {'sourcePath': path} if path else {}}


# --- process

def test_entry_point_and_command_are_joined(gantry, busybox):
    assert say(gantry, busybox, 'unused', entryPoint=['echo', 'a b'],
               command=['c', '$HOME']) == ['a b c $HOME']


def test_environment(gantry, busybox):
    lines = say(gantry, busybox, 'echo "$A|$B"', environment=[
        {'name': 'A', 'value': 'x=y z'}, {'name': 'B', 'value': 'ü"\\'}])
    assert lines == ['x=y z|ü"\\']


def test_override_of_command_and_environment(gantry, busybox):
    make_group(gantry)
    d = register(gantry, 'over', with_logs(container(
        busybox, command=['false'], environment=[{'name': 'A', 'value': '1'}])))
    arn = run(gantry, d, overrides={'containerOverrides': [{
        'name': 'main', 'command': ['sh', '-c', 'echo $A'],
        'environment': [{'name': 'A', 'value': '2'}]}]})
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 0}
    assert output(gantry, t) == ['2']


def test_working_directory(gantry, busybox):
    assert say(gantry, busybox, 'pwd', workingDirectory='/etc') == ['/etc']


@pytest.mark.parametrize('user,expected', [
    ('33', '33 '), ('www-data', '33 33'), ('33:7', '33 7'), ('www-data:nogroup', '33 65534')])
def test_user(gantry, busybox, user, expected):
    line, = say(gantry, busybox, 'echo $(id -u) $(id -g)', user=user)
    assert line.startswith(expected)


def test_cpu_and_memory_reach_the_cgroup(gantry, busybox):
    d = register(gantry, 'limits', container(busybox, command=['sleep', '1000'], cpu=256,
                                             memory=48, memoryReservation=32, stopTimeout=2))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    inside = cgroups_of(gantry, arn)
    limits = {name: read_any(inside, name) for name in (
        'memory.limit_in_bytes', 'memory.max', 'cpu.shares', 'cpu.weight',
        'memory.soft_limit_in_bytes', 'memory.low')}
    stop(gantry, arn)
    assert str(48 << 20) in (limits['memory.limit_in_bytes'], limits['memory.max']), limits
    assert str(32 << 20) in (limits['memory.soft_limit_in_bytes'], limits['memory.low']), limits
    assert limits['cpu.shares'] == '256' or limits['cpu.weight'], limits


def cgroups_of(gantry, arn):
    """The folders of the task's first container, in every hierarchy."""
    with open(os.path.join(gantry.run_dir, 'tasks', arn.split('/')[-1], 'cgroup')) as f:
        own = f.read().strip() + '/task/c0'
    return ['/sys/fs/cgroup' + own] + [f'/sys/fs/cgroup/{h}{own}' for h in os.listdir(
        '/sys/fs/cgroup')]


def read_any(paths, name):
    for path in paths:
        try:
            with open(os.path.join(path, name)) as f:
                return f.read().strip()
        except OSError:
            pass
    return None


def test_ulimits(gantry, busybox):
    assert say(gantry, busybox, 'ulimit -Sn; ulimit -Hn', ulimits=[
        {'name': 'nofile', 'softLimit': 321, 'hardLimit': 654}]) == ['321', '654']


def test_ulimit_beyond_the_hosts_is_clamped(gantry, busybox):
    line, = say(gantry, busybox, 'ulimit -Hn', ulimits=[
        {'name': 'nofile', 'softLimit': 1000, 'hardLimit': 1 << 30}])
    assert line == 'unlimited' or int(line) >= 1000


def test_init_process_is_number_one_and_reaps(gantry, busybox):
    lines = say(gantry, busybox, 'echo $$; (sleep 0.1 &); sleep 0.4; '
                'grep -h State /proc/[0-9]*/status | grep -c zombie || true',
                linuxParameters={'initProcessEnabled': True})
    assert int(lines[0]) > 1 and lines[1] == '0'
    assert say(gantry, busybox, 'echo $$') == ['1']


# --- security

def test_read_only_root(gantry, busybox):
    assert say(gantry, busybox, 'touch /x 2>&1 || echo no; touch /dev/shm/x && echo yes',
               readonlyRootFilesystem=True)[-2:] == ['no', 'yes']


CAPS = "grep CapEff /proc/self/status | cut -f2"


def test_default_capabilities_are_docker_s(gantry, busybox):
    assert say(gantry, busybox, CAPS) == ['00000000a80425fb']


def test_capabilities_dropped_and_added(gantry, busybox):
    assert say(gantry, busybox, CAPS, linuxParameters={'capabilities': {
        'drop': ['ALL'], 'add': ['CHOWN', 'NET_ADMIN']}}) == [f'{1 | 1 << 12:016x}']


def test_privileged(gantry, busybox):
    mount = 'mount -t tmpfs t /tmp && echo mounted || echo refused'
    lines = say(gantry, busybox, CAPS + ';' + mount, privileged=True)
    assert int(lines[0], 16) & (1 << 21) and lines[-1] == 'mounted'
    assert 'refused' in say(gantry, busybox, mount)


# --- files

def test_tmpfs(gantry, busybox):
    lines = say(gantry, busybox, "grep ' /scratch ' /proc/mounts; df -k /scratch | tail -1",
                linuxParameters={'tmpfs': [{'containerPath': '/scratch', 'size': 3,
                                            'mountOptions': ['noexec', 'mode=1777']}]})
    assert 'tmpfs' in lines[0] and 'noexec' in lines[0]
    assert lines[1].split()[1] == '3072'


def test_shared_memory_size(gantry, busybox):
    line = say(gantry, busybox, 'df -k /dev/shm | tail -1', linuxParameters={'sharedMemorySize': 5})
    assert line[0].split()[1] == '5120'


def test_host_volume(gantry, busybox, tmp_path):
    (tmp_path / 'in').write_text('hello')
    task = {'volumes': [volume('data', str(tmp_path))]}
    mount = {'sourceVolume': 'data', 'containerPath': '/data'}
    assert say(gantry, busybox, 'cat /data/in; echo; echo out > /data/out', task,
               mountPoints=[mount]) == ['hello']
    assert (tmp_path / 'out').read_text() == 'out\n'
    lines = say(gantry, busybox, 'touch /data/no 2>&1 || echo refused', task,
                mountPoints=[dict(mount, readOnly=True)])
    assert lines[-1] == 'refused' and not (tmp_path / 'no').exists()


def test_host_volume_that_is_a_file_or_not_there(gantry, busybox, tmp_path):
    (tmp_path / 'file').write_text('one')
    task = {'volumes': [volume('f', str(tmp_path / 'file')), volume('n', str(tmp_path / 'a/b'))]}
    assert say(gantry, busybox, 'cat /etc/one; echo; touch /new/x', task, mountPoints=[
        {'sourceVolume': 'f', 'containerPath': '/etc/one'},
        {'sourceVolume': 'n', 'containerPath': '/new'}]) == ['one']
    assert (tmp_path / 'a/b/x').exists()


def test_volume_of_the_task_is_shared_by_its_containers(gantry, busybox):
    mount = [{'sourceVolume': 'v', 'containerPath': '/v'}]
    d = register(gantry, 'share',
                 container(busybox, name='w', essential=False, mountPoints=mount,
                           command=['sh', '-c', 'echo hi > /v/f']),
                 container(busybox, mountPoints=mount, command=['grep', 'hi', '/v/f'],
                           dependsOn=[{'containerName': 'w', 'condition': 'SUCCESS'}]),
                 volumes=[volume('v')])
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert exit_codes(t) == {'w': 0, 'main': 0}


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../x'])
def test_volume_names_are_no_paths(gantry, busybox, name):
    ecs = gantry.client('ecs')
    with pytest.raises(ecs.exceptions.ClientException, match='Volume'):
        register(gantry, 'vol', container(busybox), volumes=[volume(name)])


# --- order

def depends(name, condition):
    return [{'containerName': name, 'condition': condition}]


def test_depends_on_start(gantry, busybox):
    d = register(gantry, 'start',
                 container(busybox, name='a', command=['sleep', '1000'], essential=False,
                           stopTimeout=1),
                 container(busybox, command=['true'], dependsOn=depends('a', 'START')))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert exit_codes(t)['main'] == 0


def test_depends_on_complete_takes_any_code(gantry, busybox):
    d = register(gantry, 'complete',
                 container(busybox, name='a', command=['sh', '-c', 'sleep 0.3; exit 4'],
                           essential=False),
                 container(busybox, command=['true'], dependsOn=depends('a', 'COMPLETE')))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert exit_codes(t) == {'a': 4, 'main': 0}


def test_depends_on_success_that_fails(gantry, busybox):
    d = register(gantry, 'success',
                 container(busybox, name='a', command=['false'], essential=False),
                 container(busybox, command=['true'], dependsOn=depends('a', 'SUCCESS')))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart' and 'a' in t['stoppedReason']
    assert exit_codes(t) == {'a': 1, 'main': None}


def test_depends_on_healthy_and_health_is_shown(gantry, busybox):
    check = {'command': ['CMD-SHELL', 'test -e /tmp/ok'], 'interval': 5, 'retries': 2,
             'timeout': 2}
    d = register(gantry, 'healthy',
                 container(busybox, name='a', healthCheck=check, essential=False, stopTimeout=1,
                           command=['sh', '-c', 'touch /tmp/ok; exec sleep 1000']),
                 container(busybox, command=['sleep', '1000'], stopTimeout=1,
                           dependsOn=depends('a', 'HEALTHY')))
    arn = run(gantry, d)
    t = wait_status(gantry, arn, 'RUNNING')
    assert {c['name']: c['healthStatus'] for c in t['containers']}['a'] == 'HEALTHY'
    stop(gantry, arn)


def test_start_timeout(gantry, busybox):
    d = register(gantry, 'late',
                 container(busybox, name='a', command=['sleep', '1000'], essential=False,
                           startTimeout=2, stopTimeout=2),
                 container(busybox, command=['true'], dependsOn=depends('a', 'COMPLETE')))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert exit_codes(t)['main'] is None


def test_stop_timeout_kills(gantry, busybox):
    d = register(gantry, 'deaf', container(
        busybox, command=['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'], stopTimeout=2))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    time.sleep(0.3)
    began = time.monotonic()
    t = stop(gantry, arn)
    assert exit_codes(t) == {'main': 137}
    assert 1.9 < time.monotonic() - began < 10


def test_not_essential_container_may_end(gantry, busybox):
    d = register(gantry, 'side', container(busybox, name='a', command=['false'], essential=False),
                 container(busybox, command=['sleep', '1000'], stopTimeout=1))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: exit_codes(describe(gantry, arn))['a'] == 1, 10)
    assert describe(gantry, arn)['lastStatus'] == 'RUNNING'
    stop(gantry, arn)


# --- network

def interfaces(lines):
    return {line.split(':')[0].strip() for line in lines if ':' in line}


LINKS = 'tail -n +3 /proc/net/dev'


def test_network_none(gantry, busybox):
    assert interfaces(say(gantry, busybox, LINKS, {'networkMode': 'none'})) == {'lo'}


def test_network_host(gantry, busybox):
    with open('/proc/net/dev') as f:
        here = interfaces(f.read().splitlines()[2:])
    inside = interfaces(say(gantry, busybox, LINKS, {'networkMode': 'host'}))
    assert 'lo' in inside and len(inside) >= min(2, len(here))
    assert os.readlink('/proc/self/ns/net') in say(
        gantry, busybox, 'readlink /proc/self/ns/net', {'networkMode': 'host'})


def page(url):
    try:
        return urllib.request.urlopen(url, timeout=2).read().decode()
    except OSError:
        return None


SERVE = ['sh', '-c', 'mkdir /w; echo $WORD > /w/index.html; exec httpd -f -p 8080 -h /w']


def free_port():
    from conftest import free_port as f
    return f()


def test_bridge_ports_fixed_and_dynamic(gantry, busybox):
    port = free_port()
    d = register(gantry, 'ports',
                 container(busybox, name='a', command=SERVE, stopTimeout=1,
                           environment=[{'name': 'WORD', 'value': 'fixed'}],
                           portMappings=[{'containerPort': 8080, 'hostPort': port}]),
                 container(busybox, name='b', command=SERVE, stopTimeout=1,
                           environment=[{'name': 'WORD', 'value': 'dynamic'}],
                           portMappings=[{'containerPort': 8080}]))
    arn = run(gantry, d)
    t = wait_status(gantry, arn, 'RUNNING')
    bound = {c['name']: c['networkBindings'][0] for c in t['containers']}
    assert bound['a']['hostPort'] == port
    assert bound['a']['containerPort'] == 8080 and bound['a']['protocol'] == 'tcp'
    assert bound['b']['hostPort'] >= 32768
    assert wait_for(lambda: page(f'http://127.0.0.1:{port}/'), 10) == 'fixed\n'
    assert wait_for(lambda: page(f'http://127.0.0.1:{bound["b"]["hostPort"]}/'), 10) == 'dynamic\n'
    stop(gantry, arn)
    assert page(f'http://127.0.0.1:{port}/') is None


def test_awsvpc_has_an_address_of_its_own(gantry, busybox):
    d = register(gantry, 'vpc', container(busybox, command=SERVE, stopTimeout=1,
                                          portMappings=[{'containerPort': 8080}],
                                          environment=[{'name': 'WORD', 'value': 'vpc'}]),
                 networkMode='awsvpc')
    arn = run(gantry, d, networkConfiguration={'awsvpcConfiguration': {'subnets': ['subnet-1']}})
    t = wait_status(gantry, arn, 'RUNNING')
    interface = t['containers'][0]['networkInterfaces'][0]
    address = interface['privateIpv4Address']
    details = {x['name']: x['value'] for a in t['attachments'] for x in a['details']}
    assert details['privateIPv4Address'] == address
    assert wait_for(lambda: page(f'http://{address}:8080/'), 10) == 'vpc\n'
    stop(gantry, arn)


def routes_to_link():
    with open('/proc/net/route') as f:
        return sum(line.split()[1] == '02AAFEA9' for line in f)


@pytest.mark.parametrize('mode', ['bridge', 'awsvpc', 'host'])
def test_metadata_of_the_task_from_inside(gantry, busybox, mode):
    if mode == 'host' and routes_to_link() > 1:
        pytest.skip('another Gantry on this host has the route to 169.254.170.2')
    make_group(gantry)
    d = register(gantry, 'meta', with_logs(container(
        busybox, command=['sh', '-c', 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task; echo; '
                          'wget -qO- $ECS_CONTAINER_METADATA_URI_V4; echo'])), networkMode=mode)
    more = {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}}
    arn = run(gantry, d, **(more if mode == 'awsvpc' else {}))
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 0}, output(gantry, t)
    task, self_ = [json.loads(line) for line in output(gantry, t) if line]
    assert task['TaskARN'] == arn and task['Family'] == 'meta'
    assert [c['Name'] for c in task['Containers']] == ['main']
    assert self_['Name'] == 'main' and self_['Image'] == busybox
    assert self_['Labels']['com.amazonaws.ecs.task-arn'] == arn


@pytest.mark.parametrize('mode', ['bridge', 'awsvpc', 'host'])
def test_metadata_goes_with_its_task(gantry, busybox, mode):
    """Its address is another's soon, who would be answered in its place."""
    d = register(gantry, 'gone', container(busybox, command=['sleep', '1000'], stopTimeout=1),
                 container(busybox, name='b', command=['sleep', '1000'], stopTimeout=1),
                 networkMode=mode)
    more = {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}}
    arn = run(gantry, d, **(more if mode == 'awsvpc' else {}))
    wait_status(gantry, arn, 'RUNNING')

    def files():
        return [f for f in os.listdir(os.path.join(gantry.run_dir, 'link', 'tasks'))
                if f.startswith(arn.split('/')[-1])]
    assert files()
    stop(gantry, arn)
    assert files() == []


@pytest.mark.parametrize('field', [
    {'dnsServers': ['192.0.2.7']}, {'dnsSearchDomains': ['a.test']}, {'hostname': 'named'},
    {'extraHosts': [{'hostname': 'other', 'ipAddress': '192.0.2.9'}]}], ids=lambda f: list(f)[0])
def test_what_is_not_done_yet_is_refused_by_name(gantry, busybox, field):
    """The day one of these is done, look at it from inside instead."""
    with pytest.raises(gantry.client('ecs').exceptions.ClientException, match=list(field)[0]):
        register(gantry, 'dns', container(busybox, **field))


def test_the_resolver_is_gantry_link(gantry, busybox):
    assert say(gantry, busybox, 'cat /etc/resolv.conf') == ['nameserver 169.254.170.2']
    lines = say(gantry, busybox, 'nslookup localhost 2>&1; cat /etc/hosts')
    assert any('169.254.170.2' in line for line in lines), lines


def test_host_mode_has_the_hosts_resolver(gantry, busybox):
    with open('/etc/resolv.conf') as f:
        servers = [line.split() for line in f if line.startswith('nameserver')]
    lines = say(gantry, busybox, 'cat /etc/resolv.conf', {'networkMode': 'host'})
    assert [line.split() for line in lines if line.startswith('nameserver')] == servers
