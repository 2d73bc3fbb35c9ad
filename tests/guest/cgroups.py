"""What must hold with every kind of cgroups; test_v2.py and its like say which of it they run.

The tests of containers' fields, of tasks and of networks in tests/integration need no more than the
API, so they run here as they are; what looks at the machine itself is below.
"""
import json
import time
import urllib.request

from conftest import wait_for
from tasks import (container, describe, exit_codes, make_group, output, register, run, say, stop,
                   wait_status, with_logs)

V2 = {'memory.max': str(48 << 20), 'memory.low': str(32 << 20), 'cpu.weight': '10'}
V1 = {'memory/memory.limit_in_bytes': str(48 << 20),
      'memory/memory.soft_limit_in_bytes': str(32 << 20), 'cpu/cpu.shares': '256'}
TASK_V2 = {'memory.max': str(64 << 20), 'cpu.max': '50000 100000', 'cpu.weight': '20'}
TASK_V1 = {'memory/memory.limit_in_bytes': str(64 << 20), 'cpu/cpu.cfs_quota_us': '50000',
           'cpu/cpu.cfs_period_us': '100000', 'cpu/cpu.shares': '512'}
DEAF = ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do sh -c \'trap "" TERM; sleep 1000\' & done; '
        'trap "" TERM; while :; do sleep 1; done']

SERVE = ['sh', '-c', 'mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w']


def task_cgroup(gantry, arn):
    return gantry.sh(f'cat /run/gantry/tasks/{arn.split("/")[-1]}/cgroup')


def files(gantry, group, names):
    """name -> content, of files of a cgroup ("hierarchy/file", or with v2 "file")."""
    paths = [(f'{n.split("/")[0]}{group}/{n.split("/")[1]}' if '/' in n else f'.{group}/{n}')
             for n in names]
    text = gantry.sh('cd /sys/fs/cgroup; for f in ' + ' '.join(paths) + '; do cat $f; done')
    return dict(zip(names, text.splitlines()))


def test_doctor_on_a_fresh_machine(machine):
    """A stock kernel loads its modules when they are asked for; nothing has asked yet."""
    code, text = machine.run('gantry doctor')
    assert code == 0 and 'All well.' in text, text
    assert f'cgroups: {machine.cgroup}\n' in text


def test_doctor_beside_a_gantry_that_is_up(gantry):
    code, text = gantry.run('gantry doctor')
    assert code == 0 and '1 node(s) registered' in text, text


def test_limits_are_in_the_cgroups_files(gantry, busybox):
    """Of the container and of the task as a whole."""
    d = register(gantry, 'limits', container(busybox, command=['sleep', '1000'], cpu=256, memory=48,
                                             memoryReservation=32, stopTimeout=1),
                 cpu='512', memory='64')
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    group = task_cgroup(gantry, arn)
    own, whole = (V2, TASK_V2) if gantry.cgroup == 'v2' else (V1, TASK_V1)
    assert files(gantry, group + '/task', whole) == whole
    assert files(gantry, group + '/task/c0', own) == own
    stop(gantry, arn)


def test_cpu_limit_holds(gantry, busybox):
    """A quarter of a processor for the task: the kernel counts no more, whatever it wants."""
    d = register(gantry, 'quarter', container(busybox, stopTimeout=1, command=[
        'sh', '-c', 'while :; do :; done']), cpu='256', memory='64')
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    group = task_cgroup(gantry, arn)
    used = (f'sed -n "s/^usage_usec //p" /sys/fs/cgroup{group}/task/cpu.stat'
            if gantry.cgroup == 'v2' else
            f'echo $(($(cat /sys/fs/cgroup/cpuacct{group}/task/cpuacct.usage) / 1000))')
    clock = 'cut -d" " -f1 /proc/uptime'
    first, t0, second, t1 = gantry.sh(f'{used}; {clock}; sleep 3; {used}; {clock}').split()
    share = (int(second) - int(first)) / 1e6 / (float(t1) - float(t0))
    stop(gantry, arn)
    assert 0.05 < share < 0.35, share


def test_out_of_memory_is_reported_and_others_live(gantry, busybox):
    other = run(gantry, register(gantry, 'other', container(
        busybox, command=['sleep', '1000'], stopTimeout=1)))
    wait_status(gantry, other, 'RUNNING')
    d = register(gantry, 'oom', container(busybox, memory=16, command=[
        'sh', '-c', 'x=a; while :; do x=$x$x; done']))
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert exit_codes(t) == {'main': 137}
    assert t['containers'][0]['reason'].startswith('OutOfMemory'), t
    assert describe(gantry, other)['lastStatus'] == 'RUNNING'
    stop(gantry, other)


def test_out_of_memory_of_the_task_as_a_whole(gantry, busybox):
    """The container has no limit of its own."""
    c = container(busybox, memoryReservation=8,
                  command=['sh', '-c', 'x=a; while :; do x=$x$x; done'])
    del c['memory']
    t = wait_status(gantry, run(gantry, register(gantry, 'whole', c, memory='16', cpu='1024')),
                    'STOPPED')
    assert exit_codes(t) == {'main': 137}
    assert t['containers'][0]['reason'].startswith('OutOfMemory'), t


def test_devices_are_closed(gantry, busybox):
    """mknod is harmless and allowed; what it makes cannot be opened."""
    script = ('mknod /m c 1 1 && echo made; dd if=/m of=/dev/null count=1 2>&1; '
              'mknod /b b 254 0; dd if=/b of=/dev/null count=1 2>&1; '
              'head -c 3 /dev/zero | wc -c')
    lines = say(gantry, busybox, script)
    assert lines[0] == 'made' and lines[-1] == '3', lines
    assert sum('not permitted' in line for line in lines) == 2, lines


def test_a_privileged_container_has_the_devices(gantry, busybox):
    lines = say(gantry, busybox, 'mknod /b b $(tr : " " < /sys/block/vda/dev) && '
                'dd if=/b of=/dev/null count=1 2>&1 | tail -1', privileged=True)
    assert lines[-1] == '1+0 records out', lines


def test_stop_kills_all_that_is_deaf(gantry, busybox):
    arn = run(gantry, register(gantry, 'deaf', container(busybox, command=DEAF, stopTimeout=2)))
    wait_status(gantry, arn, 'RUNNING')
    group = task_cgroup(gantry, arn)
    procs = ('/sys/fs/cgroup' if gantry.cgroup == 'v2' else '/sys/fs/cgroup/pids') + group
    wait_for(lambda: int(gantry.sh(f'cat {procs}/task/c0/cgroup.procs | wc -l')) >= 10, 10)
    t = stop(gantry, arn)
    assert exit_codes(t) == {'main': 137}
    wait_for(lambda: gantry.run(f'find /sys/fs/cgroup -path "*{group}*" | grep -q .')[0] == 1, 10)
    assert gantry.run('ps | grep -v grep | grep -q "sleep 1000"')[0] == 1


def test_security_from_inside(gantry, busybox):
    lines = say(gantry, busybox, 'grep -E "^(CapEff|CapBnd|Seccomp):" '
                '/proc/self/status; unshare -m true 2>&1; echo 1 > /proc/sys/kernel/panic; '
                'cat /proc/kcore 2>&1 | head -c 20; cat /proc/self/cgroup')
    status = dict(line.split(':\t') for line in lines if ':\t' in line)
    assert status == {'CapEff': '00000000a80425fb', 'CapBnd': '00000000a80425fb', 'Seccomp': '2'}
    assert any('unshare' in line and 'not permitted' in line for line in lines), lines
    assert any('panic' in line for line in lines), lines
    if gantry.cgroup == 'v2':  # a namespace of cgroups of its own
        assert lines[-1] == '0::/', lines


def test_ports_from_outside_of_the_machine(gantry, busybox):
    """By the guest's own address: as another machine would."""
    d = register(gantry, 'outside', container(
        busybox, command=SERVE, stopTimeout=1,
        portMappings=[{'containerPort': 80, 'hostPort': 8080}]))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')

    def page():
        try:
            return urllib.request.urlopen(f'http://127.0.0.1:{gantry.outside_port}/',
                                          timeout=5).read()
        except OSError:
            return None
    assert wait_for(page, 20) == b'hello\n'
    assert gantry.sh('wget -qO- http://127.0.0.1:8080/') == 'hello'  # from the host itself
    stop(gantry, arn)


def test_awsvpc_has_an_address_of_its_own(gantry, busybox):
    d = register(gantry, 'vpc', container(busybox, command=SERVE, stopTimeout=1),
                 networkMode='awsvpc')
    arn = run(gantry, d, networkConfiguration={'awsvpcConfiguration': {'subnets': ['subnet-1']}})
    t = wait_status(gantry, arn, 'RUNNING')
    address = t['containers'][0]['networkInterfaces'][0]['privateIpv4Address']
    assert wait_for(lambda: gantry.run(f'wget -qO- http://{address}/')[1] == 'hello\n', 20)
    stop(gantry, arn)


def test_statistics_from_inside(gantry, busybox):
    line, = say(gantry, busybox, 'x=$(head -c 3000000 /dev/zero | tr "\\0" a); '
                'wget -qO- $ECS_CONTAINER_METADATA_URI_V4/stats; echo')
    stats = json.loads(line)
    assert stats['memory_stats']['usage'] > 3 << 20, stats
    assert stats['memory_stats']['limit'] == 64 << 20
    assert stats['cpu_stats']['cpu_usage']['total_usage'] > 0
    assert stats['pids_stats']['current'] >= 1, stats


def test_server_and_agent_killed(gantry, busybox):
    """Nothing happens to the container, and its end is reported truly."""
    make_group(gantry)
    d = register(gantry, 'survivor', with_logs(container(busybox, command=[
        'sh', '-c', 'i=0; while ! test -e /go; do echo $((i += 1)); sleep 0.2; done; exit 23'])))
    arn = run(gantry, d)
    wait_status(gantry, arn, 'RUNNING')
    shim, server = shim_of(gantry, arn), gantry.sh('pidof gantry-server')
    gantry.sh('kill -9 $(pidof gantry-agent) $(pidof gantry-server)')

    def back():
        code, now = gantry.run('pidof gantry-server')
        return code == 0 and now.strip() != server and shim_of(gantry, arn) == shim
    wait_for(back, 30)
    task = arn.split('/')[-1]
    wait_for(lambda: gantry.cli('exec', task, 'touch', '/go', check=False).returncode == 0, 40)
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 23}
    numbers = [int(line) for line in wait_for(lambda: output(gantry, t), 20)]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers


def shim_of(gantry, arn):
    hierarchy = {'v2': '', 'hybrid': '/unified', 'v1': '/pids'}[gantry.cgroup]
    return gantry.sh(f'head -1 /sys/fs/cgroup{hierarchy}{task_cgroup(gantry, arn)}/shim/cgroup.procs')


def test_shim_killed(gantry, busybox):
    arn = run(gantry, register(gantry, 'shimless', container(busybox, command=['sleep', '1000'])))
    wait_status(gantry, arn, 'RUNNING')
    gantry.sh(f'kill -9 {shim_of(gantry, arn)}')
    t = wait_status(gantry, arn, 'STOPPED')
    assert 'gantry-shim' in t['stoppedReason'], t
    wait_for(lambda: gantry.run('ps | grep -v grep | grep -q "sleep 1000"')[0] == 1, 10)


TRACES = ('ps | grep gantry | grep -vE "grep|\\[gantry"; '
          'grep -E "gantry|netns" /proc/self/mountinfo | grep -v " /var/lib/gantry "; '
          'find /sys/fs/cgroup -name "gantry*"; ip link | grep -E "gt-|gv"; nft list tables; ls -d /run/gantry /run/netns/* 2>/dev/null; true')


def nothing_is_left_after_down(gantry, busybox):
    """For the last test of a module: whatever the others left running ends as well."""
    d = register(gantry, 'left', container(busybox, command=['sleep', '1000'], stopTimeout=1))
    wait_status(gantry, run(gantry, d), 'RUNNING')
    assert len(gantry.sh(TRACES).splitlines()) > 10
    gantry.sh('gantry down')
    assert gantry.sh(TRACES) == ''
    assert 'BUG' not in gantry.sh('dmesg')
