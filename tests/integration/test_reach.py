"""Who reaches whom, with real tasks: from this machine, from another one (a namespace and a veth of
the test's own play it), from task to task, and what a task learns of itself. The parts, with every
wrong turn, are in test_net.py."""
import json
import socket
import subprocess
import uuid

import pytest

from conftest import free_port, wait_for
from tasks import (container, exit_codes, make_group, output, register, run, stop, wait_status,
                   with_logs)

HERE, THERE = '198.51.100.1', '198.51.100.2'
VPC = {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}}

ASK = '''
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((address, port))
if kind == "udp": s.send(b"x")
print(s.recv(100).decode().strip())
'''


def answer(kind, address, port, ns=None):
    line = (['ip', 'netns', 'exec', ns] if ns else []) + [
        '/usr/bin/python3', '-c', ASK, kind, address, str(port)]
    r = subprocess.run(line, capture_output=True, text=True, timeout=20)
    return r.stdout.strip() or None


@pytest.fixture(scope='module')
def other_machine():
    name = 'gtr' + uuid.uuid4().hex[:6]

    def ip(*args):
        subprocess.run(['ip', *args], check=True)
    ip('netns', 'add', name)
    try:
        ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
        ip('addr', 'add', f'{HERE}/30', 'dev', name)
        ip('link', 'set', name, 'up')
        ip('-n', name, 'addr', 'add', f'{THERE}/30', 'dev', 'eth0')
        ip('-n', name, 'link', 'set', 'eth0', 'up')
        ip('-n', name, 'link', 'set', 'lo', 'up')
        yield name
    finally:
        subprocess.run(['ip', 'link', 'del', name])
        ip('netns', 'del', name)


# busybox has no server that answers over UDP: serve KIND PORT WORD
SERVE = r"""
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int udp = strcmp(argv[1], "udp") == 0, one = 1;
    int s = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) < 0 || (!udp && listen(s, 16) < 0)) { perror("bind"); return 1; }
    for (;;) {
        char b[64];
        socklen_t n = sizeof a;
        if (udp) {
            if (recvfrom(s, b, sizeof b, 0, (void *)&a, &n) > 0)
                sendto(s, argv[3], strlen(argv[3]), 0, (void *)&a, n);
        } else {
            int c = accept(s, NULL, NULL);
            if (write(c, argv[3], strlen(argv[3])) > 0) close(c);
        }
    }
}
"""
MOUNT = [{'sourceVolume': 's', 'containerPath': '/s', 'readOnly': True}]


@pytest.fixture(scope='module')
def tools(tmp_path_factory):
    folder = tmp_path_factory.mktemp('serve')
    folder.chmod(0o755)
    (folder / 'serve.c').write_text(SERVE)
    subprocess.run(['musl-gcc', '-static', '-O', '-o', folder / 'serve', folder / 'serve.c'],
                   check=True)
    return {'volumes': [{'name': 's', 'host': {'sourcePath': str(folder)}}]}


def server(image, word, kind='tcp', port=7, **more):
    return container(image, command=['/s/serve', kind, str(port), word], mountPoints=MOUNT,
                     stopTimeout=1, **more)


@pytest.mark.parametrize('kind', ['tcp', 'udp'])
def test_a_mapped_port_from_everywhere(gantry, busybox, tools, other_machine, kind):
    fixed = free_port()
    d = register(gantry, 'reach',
                 server(busybox, 'hi', kind, portMappings=[
                     {'containerPort': 7, 'hostPort': fixed, 'protocol': kind}]),
                 server(busybox, 'dyn', kind, name='b', portMappings=[
                     {'containerPort': 7, 'protocol': kind}]), **tools)
    arn = run(gantry, d)
    t = wait_status(gantry, arn, 'RUNNING')
    bound = {c['name']: c['networkBindings'][0] for c in t['containers']}
    assert bound['main'] == {'bindIP': '0.0.0.0', 'containerPort': 7, 'hostPort': fixed,
                             'protocol': kind}
    dynamic = bound['b']['hostPort']
    for address, ns in (('127.0.0.1', None), (HERE, None), (HERE, other_machine)):
        assert wait_for(lambda: answer(kind, address, fixed, ns), 10) == 'hi', (address, ns)
        assert wait_for(lambda: answer(kind, address, dynamic, ns), 10) == 'dyn', (address, ns)
    stop(gantry, arn)
    assert answer(kind, '127.0.0.1', fixed) is None
    assert answer(kind, HERE, fixed, other_machine) is None


def test_host_mode_from_another_machine(gantry, busybox, tools, other_machine):
    port = free_port()
    arn = run(gantry, register(gantry, 'host', server(busybox, 'host', port=port, portMappings=[
        {'containerPort': port}]), networkMode='host', **tools))
    wait_status(gantry, arn, 'RUNNING')
    assert wait_for(lambda: answer('tcp', HERE, port, other_machine), 10) == 'host'
    stop(gantry, arn)


def address_of(t):
    return t['containers'][0]['networkInterfaces'][0]['privateIpv4Address']


def test_tasks_with_addresses_of_their_own(gantry, busybox, tools, other_machine):
    """Two on the same port, each of them reaches the other, nobody from outside reaches either."""
    tasks = []
    for word in ('one', 'two'):
        d = register(gantry, word, server(busybox, word, portMappings=[{'containerPort': 7}]),
                     networkMode='awsvpc', **tools)
        tasks.append(run(gantry, d, **VPC))
    a, b = [address_of(wait_status(gantry, arn, 'RUNNING')) for arn in tasks]
    assert a != b
    assert wait_for(lambda: answer('tcp', a, 7), 10) == 'one'
    assert wait_for(lambda: answer('tcp', b, 7), 10) == 'two'
    for mine, other, word in ((tasks[0], b, 'two'), (tasks[1], a, 'one')):
        r = gantry.cli('exec', mine.split('/')[-1], 'nc', '-w', '2', other, '7')
        assert r.stdout == word
    subprocess.run(['ip', '-n', other_machine, 'route', 'add', f'{a}/32', 'via', HERE], check=True)
    assert answer('tcp', a, 7, other_machine) is None
    for arn in tasks:
        stop(gantry, arn)


def test_containers_of_a_task_share_its_address(gantry, busybox, tools):
    make_group(gantry)
    d = register(gantry, 'pair',
                 server(busybox, 'local', name='web', essential=False),
                 with_logs(container(busybox, command=[
                     'sh', '-c', 'until sleep 0.3 | nc 127.0.0.1 7 | grep local; do :; done'],
                     dependsOn=[{'containerName': 'web', 'condition': 'START'}])),
                 networkMode='awsvpc', **tools)
    t = wait_status(gantry, run(gantry, d, **VPC), 'STOPPED')
    assert exit_codes(t)['main'] == 0 and output(gantry, t)[-1] == 'local'
    assert len({c['networkInterfaces'][0]['privateIpv4Address'] for c in t['containers']}) == 1


@pytest.mark.parametrize('mode', ['bridge', 'awsvpc'])
def test_this_machines_loopback_is_out_of_reach(gantry, busybox, mode):
    make_group(gantry)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        script = (f'for a in 127.0.0.1 {HERE} $(ip route | sed -n "s/^default via \\([0-9.]*\\).*/'
                  f'\\1/p"); do nc -w 1 $a {port} </dev/null 2>/dev/null && echo reached $a; done; '
                  'echo end')
        d = register(gantry, 'loop', with_logs(container(busybox, command=['sh', '-c', script])),
                     networkMode=mode)
        t = wait_status(gantry, run(gantry, d, **(VPC if mode == 'awsvpc' else {})), 'STOPPED')
        assert output(gantry, t) == ['end']


@pytest.mark.parametrize('mode', ['bridge', 'awsvpc'])
def test_what_a_task_learns_of_itself(gantry, busybox, mode):
    """Metadata v4: the container, the task, its stats; and names are resolved by gantry-link."""
    make_group(gantry)
    get = 'wget -qO- $ECS_CONTAINER_METADATA_URI_V4%s; echo;'
    script = 'sleep 0.5;' + ''.join(get % p for p in ('', '/task', '/stats', '/task/stats'))
    script += 'nslookup localhost 2>&1 | grep -q 169.254.170.2 && echo resolved'
    d = register(gantry, 'learn', with_logs(container(
        busybox, cpu=128, command=['sh', '-c', script],
        portMappings=[{'containerPort': 7}])), networkMode=mode)
    arn = run(gantry, d, **(VPC if mode == 'awsvpc' else {}))
    t = wait_status(gantry, arn, 'STOPPED')
    lines = [line for line in output(gantry, t) if line]
    assert len(lines) >= 4, lines
    me, task, stats, all_stats = map(json.loads, lines[:4])
    assert (me['Name'], me['Image'], me['KnownStatus']) == ('main', busybox, 'RUNNING')
    assert me['Limits']['CPU'] == 128 and me['Limits']['Memory'] == 64
    assert me['ContainerARN'] == t['containers'][0]['containerArn']
    network, = me['Networks']
    assert network['NetworkMode'] == mode
    if mode == 'awsvpc':
        assert network['IPv4Addresses'] == [address_of(t)]
    assert task['TaskARN'] == arn and task['Family'] == 'learn' and task['LaunchType'] == 'EC2'
    assert [c['Name'] for c in task['Containers']] == ['main']
    assert stats['memory_stats']['usage'] > 0 and stats['pids_stats']['current'] >= 1
    assert stats['cpu_stats']['cpu_usage']['total_usage'] > 0
    assert list(all_stats) == [me['DockerId']] or me['DockerId'] in all_stats
    assert lines[-1] == 'resolved', lines
