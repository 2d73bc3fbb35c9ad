"""Containers through the shim, by tests/tools/rt_run: no agent, no server.

Everything lies below a folder and a cgroup of each test's own and is looked after at its end: a
process, mount or cgroup left behind fails the test that made it."""
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

BUILD = os.environ.get('GANTRY_BUILD', 'build')
RT_RUN = os.path.abspath(f'{BUILD}/tests/tools/rt_run')
SHIM = os.path.abspath(f'{BUILD}/src/cmd/gantry-shim')

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason='needs root'),
    pytest.mark.skipif(not os.path.exists('/bin/busybox'), reason='needs busybox-static'),
]

PROBE = r'''
#include <stdio.h>
#include <unistd.h>
#include <string.h>
/* Names what it finds open, then its capabilities: the first thing that a process can do. */
int main(void) {
    char p[64], b[256];
    for (int i = 0; i < 256; i++) {
        snprintf(p, sizeof p, "/proc/self/fd/%d", i);
        ssize_t n = readlink(p, b, sizeof b - 1);
        if (n > 0) { b[n] = 0; printf("fd %d %s\n", i, b); }
    }
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(b, sizeof b, f)) if (!strncmp(b, "Cap", 3)) fputs(b, stdout);
    return 0;
}
'''


@pytest.fixture(scope='session')
def rootfs(tmp_path_factory):
    root = tmp_path_factory.mktemp('rootfs')
    root.chmod(0o755)  # the mode of a layer's folder is that of the container's /
    for d in ('bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root', 'home/app'):
        (root / d).mkdir(parents=True)
    shutil.copy('/bin/busybox', root / 'bin/busybox')
    names = subprocess.run(['/bin/busybox', '--list'], capture_output=True, text=True).stdout
    for name in names.split():
        if name != 'busybox':
            (root / 'bin' / name).symlink_to('busybox')
    (root / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\n'
                                     'app:x:1000:1000::/home/app:/bin/sh\n')
    (root / 'etc/group').write_text('root:x:0:\napp:x:1000:\nextra:x:2000:app\n')
    source = root / 'probe.c'
    source.write_text(PROBE)
    subprocess.run(['musl-gcc', '-static', '-O', '-o', root / 'bin/probe', source], check=True)
    source.unlink()
    return root


def mounts(base):
    """What of a test is mounted on the host; others' tests may run beside it."""
    with open('/proc/self/mountinfo') as f:
        lines = [line.split() for line in f]
    return [m for m in lines if str(base) in m[4] or m[4].endswith('/sub') or
            str(base) in m[-1]]


def cgroups(name):
    found = []
    for hierarchy in os.listdir('/sys/fs/cgroup'):
        top = f'/sys/fs/cgroup/{hierarchy}/{name}'
        found += [d for d, _, _ in os.walk(top) if d != top]
    return found


class Runtime:
    def __init__(self, base, root, name):
        self.base, self.root, self.name = base, root, name
        self.count = 0
        self.extra = []

    def args(self, options, command, task, argv, upper=True):
        line = [RT_RUN, '--shim', SHIM, '--run', f'{self.base}/run', '--cgroup', '/' + self.name,
                '--lower', str(self.root)]
        if upper:
            line += ['--upper', f'{self.base}/up-{task}', '--work', f'{self.base}/work-{task}']
        line += ['--net', 'new', *options, command, task]
        return line + (['--', *argv] if argv else [])

    def call(self, command, task, *argv, options=(), timeout=60, **kw):
        return subprocess.run(self.args(options, command, task, argv), capture_output=True,
                              text=True, timeout=timeout, **kw)

    def run(self, *argv, options=(), task=None, **kw):
        """A task of one container, from beginning to end."""
        self.count += 1
        return self.call('run', task or f't{self.count}', *argv, options=options, **kw)

    def sh(self, script, *options, **kw):
        return self.run('/bin/sh', '-c', script, options=options, **kw)

    def start(self, task, script, *options):
        r = self.call('start', task, '/bin/sh', '-c', script, options=options)
        assert r.returncode == 0, r.stderr
        return dict(f.split('=', 1) for f in r.stdout.split())

    def state(self, task):
        out = self.call('state', task).stdout
        first = dict(f.split('=', 1) for f in out.splitlines()[0].split())
        return first, [dict(f.split('=', 1) for f in line.split()[2:] if '=' in f) | {
            'id': line.split()[0], 'state': line.split()[1]} for line in out.splitlines()[1:]]

    def end(self, task):
        self.call('shutdown', task)
        r = self.call('cleanup', task)
        assert r.returncode == 0, r.stderr


@pytest.fixture
def rt(tmp_path, rootfs):
    name = f'gt-test-{os.getpid()}-{os.urandom(3).hex()}'
    runtime = Runtime(tmp_path, rootfs, name)
    yield runtime
    tasks = tmp_path / 'run/tasks'
    left = os.listdir(tasks) if tasks.exists() else []
    for task in left:
        runtime.end(task)
    still = cgroups(name)
    for hierarchy in os.listdir('/sys/fs/cgroup'):
        try:
            os.rmdir(f'/sys/fs/cgroup/{hierarchy}/{name}')
        except OSError:
            pass
    assert not still, f'cgroups left: {still}'
    assert mounts(tmp_path) == [], 'mounts left on the host'


def spool_frames(path):
    with open(path, 'rb') as f:
        while len(head := f.read(16)) == 16:
            ms, stream, n = struct.unpack('<QII', head)
            if n == 0:
                return
            yield ms, stream, f.read(n)


# --- what a container is

def test_exit_codes_and_output(rt):
    r = rt.sh('echo out; echo err >&2; exit 7')
    assert (r.returncode, r.stdout) == (7, 'out\n')
    assert 'err\n' in r.stderr
    assert rt.sh('kill -9 $$', '--init').returncode == 137
    assert rt.sh('kill -TERM $$; sleep 1', '--init').returncode == 143
    assert rt.run('/bin/true').returncode == 0


def test_commands_that_do_not_start(rt):
    r = rt.run('/nonexistent')
    assert r.returncode == 127 and 'No such file' in r.stderr
    r = rt.run('nonexistent')
    assert r.returncode == 127 and 'not found in $PATH' in r.stderr
    r = rt.run('/etc/passwd')
    assert r.returncode == 126 and 'Permission denied' in r.stderr
    r = rt.run('/bin/true', options=['--mount', '/no/such/source:/data'])
    assert r.returncode == 127 and "mount source '/no/such/source'" in r.stderr
    r = rt.run('/bin/true', options=['--lower', '/no/such/layer'])
    assert r.returncode == 127 and "'/no/such/layer'" in r.stderr


def test_namespaces_and_mounts(rt):
    r = rt.sh('echo $$; hostname; cat /proc/mounts; ls /proc/[0-9]* -d | wc -l; ip a; ls /sys',
              '--hostname', 'box')
    lines = r.stdout.splitlines()
    assert lines[:2] == ['1', 'box']
    found = {l.split()[1]: l.split() for l in lines if len(l.split()) == 6 and '/' in l}
    for path, kind, options in (('/', 'overlay', 'rw'), ('/proc', 'proc', 'nosuid,nodev,noexec'),
                                ('/sys', 'sysfs', 'ro,nosuid,nodev,noexec'),
                                ('/dev', 'tmpfs', 'nosuid'), ('/dev/pts', 'devpts', 'noexec'),
                                ('/dev/shm', 'tmpfs', 'nosuid,nodev,noexec'),
                                ('/dev/mqueue', 'mqueue', 'noexec'), ('/proc/sys', 'proc', 'ro'),
                                ('/sys/fs/cgroup', 'tmpfs', 'ro')):
        if path == '/sys/fs/cgroup' and found[path][2] == 'cgroup2':
            kind = 'cgroup2'
        assert found[path][2] == kind, path
        assert set(options.split(',')) <= set(found[path][3].split(',')), path
    assert not any(l.split()[1].startswith(str(rt.base)) for l in lines if len(l.split()) == 6)
    assert 'LOOPBACK,UP' in r.stdout


def test_users_and_capabilities(rt):
    script = 'id -u; id -g; id -G; echo $HOME; grep Cap /proc/self/status | cut -f2'
    assert rt.sh(script).stdout.split() == [
        '0', '0', '0', '/root', '0' * 16, '00000000a80425fb', '00000000a80425fb',
        '00000000a80425fb', '0' * 16]
    assert rt.sh(script, '--user', 'app').stdout.split() == [
        '1000', '1000', '1000', '2000', '/home/app', '0' * 16, '0' * 16, '0' * 16,
        '00000000a80425fb', '0' * 16]
    assert rt.sh('id -u; id -G', '--user', '4711:extra').stdout.split() == ['4711', '2000']
    # CVE-2024-40635 and crun's -u: nothing that overflows, is negative or half there
    for user in ('2147483648', '4294967296', '-1', '1:', ':1', 'nobody', '0x0', '1:2:3'):
        r = rt.run('/bin/id', options=['--user', user])
        assert r.returncode == 125 and not r.stdout, user
    caps = rt.sh('grep CapEff /proc/self/status', '--cap-drop', 'ALL', '--cap-add', 'CHOWN')
    assert caps.stdout.split()[1] == '0' * 15 + '1'
    assert 'NoNewPrivs:\t1' in rt.sh('cat /proc/self/status', '--nnp').stdout
    # standard streams can be opened again by whoever the user is
    assert rt.sh('echo a >/dev/stdout', '--user', 'app').stdout == 'a\n'


def test_files(rt, tmp_path):
    (tmp_path / 'file').write_text('host\n')
    r = rt.sh('cat /new/place/file; echo x >/new/place/file || echo refused; echo w >/data/f;'
              'touch /x || echo rootro; touch /scratch/y && df -k /scratch | tail -1',
              '--readonly', '--mount', f'{tmp_path}/file:/new/place/file:ro',
              '--mount', f'{tmp_path}/vol:/data:mk', '--mount', 'tmpfs:/scratch:1048576')
    assert r.stdout.split()[:3] == ['host', 'refused', 'rootro']
    assert ' 1024 ' in r.stdout
    assert (tmp_path / 'vol/f').read_text() == 'w\n'
    assert (tmp_path / 'file').read_text() == 'host\n'
    r = rt.sh('df -k /dev/shm | tail -1', '--shm', '2097152')
    assert ' 2048 ' in r.stdout
    assert rt.sh('pwd', '--cwd', '/made/for/me').stdout == '/made/for/me\n'


def test_an_upper_folder_of_an_earlier_try_is_taken(rt):
    # an agent that died between CREATE and its reply tries again; overlayfs would refuse
    for _ in range(2):
        r = rt.sh('touch /x; echo fine', '--volatile', task='again')
        assert r.stdout == 'fine\n', r.stderr
    assert 'fine' in rt.sh('echo fine', task='again').stdout


def test_limits(rt):
    r = rt.sh('ulimit -n; cat /proc/self/oom_score_adj', '--rlimit', '7:1000:2000', '--oom', '100')
    assert r.stdout.split() == ['1000', '100']
    r = rt.sh('ulimit -Hn', '--rlimit', '7:99999999:99999999')
    if r.stdout.strip() != '99999999':  # where the machine does not allow it: clamped, and told
        assert r.returncode == 0 and 'warning: ulimit nofile: 99999999 was asked for' in r.stderr
    r = rt.sh('i=0; while [ $i -lt 30 ]; do sleep 1 & i=$((i+1)); done; wait', '--pids', '10')
    assert "can't fork" in r.stderr
    r = rt.sh('cat /proc/sys/net/ipv4/ip_forward', '--sysctl', 'net.ipv4.ip_forward=1')
    assert r.stdout == '1\n'
    r = rt.sh('true', '--sysctl', 'kernel.core_pattern=|/x')
    assert r.returncode == 125 and "not the container's own" in r.stderr


def test_out_of_memory_is_seen(rt):
    rt.start('oom', 'tail /dev/zero', '--memory', str(24 << 20), '--init')
    assert rt.call('wait', 'oom').returncode == 137
    events = rt.call('events', 'oom').stdout
    assert re.search(r'^\d+ OOM c', events, re.M)
    assert re.search(r'EXITED c .*code=137 oom=1', events)
    rt.start('task', 'tail /dev/zero', '--task-memory', str(24 << 20))  # the task's, not its own
    assert rt.call('wait', 'task').returncode == 137
    assert 'oom=1' in rt.call('events', 'task').stdout
    assert rt.state('task')[0]['shim']  # and the shim is alive


def test_init_reaps_and_forwards(rt):
    rt.start('i', 'trap "echo got; exit 3" TERM; (sleep 0.05 &) ; echo $$; sleep 0.3; ps; '
             'while :; do sleep 0.05; done', '--init')
    time.sleep(0.6)
    rt.call('signal', 'i')
    assert rt.call('wait', 'i').returncode == 3
    log = rt.call('logs', 'i').stdout
    assert log.startswith('2\n') and log.endswith('got\n')
    assert ' Z ' not in log and 'gantry-init' in log


def test_terminal(rt):
    r = rt.sh('tty; test -t 0 && test -t 2 && echo yes; ls -l /dev/console', '--tty')
    assert '/dev/pts/0\nyes\n' in r.stdout
    rt.start('t', 'while sleep 0.05; do stty size; done', '--tty')
    rt.call('resize', 't', options=['--number', '33'])
    time.sleep(0.5)
    assert '33 100' in rt.call('logs', 't').stdout


def test_exec(rt):
    rt.start('e', 'echo $$ > /tmp/marker; sleep 100')
    r = rt.call('exec', 'e', '/bin/sh', '-c', 'cat /tmp/marker; pwd; id -u; echo e >&2; exit 9')
    assert (r.returncode, r.stdout, r.stderr) == (9, '1\n/\n0\n', 'e\n')
    r = rt.call('exec', 'e', '/bin/cat', input='through\n')
    assert r.stdout == 'through\n'
    r = rt.call('ttyexec', 'e', '/bin/sh', '-c', 'tty; stty size')
    assert r.stdout == '/dev/pts/0\n24 80\n'
    assert rt.call('exec', 'e', 'nonexistent').returncode == 127
    assert rt.call('exec', 'e', '/bin/id', '-u', options=['--user', 'app']).stdout == '1000\n'
    assert rt.call('exec', 'e', '/bin/id', options=['--user', '-1']).returncode == 125
    # in the container's cgroup: what it uses counts there
    pid = rt.state('e')[1][0]['pid']
    child = subprocess.Popen(rt.args([], 'exec', 'e', ['/bin/sleep', f'5.{os.getpid()}']))
    time.sleep(0.4)
    inside = [p for p in open(f'/proc/{pid}/cgroup').read().splitlines()]
    found = [p for p in os.listdir('/proc') if p.isdigit() and f'sleep\x005.{os.getpid()}\x00' in
             open_or_empty(f'/proc/{p}/cmdline') and 'rt_run' not in open_or_empty(f'/proc/{p}/cmdline')]
    assert len(found) == 1
    assert open(f'/proc/{found[0]}/cgroup').read().splitlines() == inside
    rt.call('kill', 'e')
    child.wait(10)


def open_or_empty(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ''


def test_create_then_start(rt):
    r = rt.call('create', 'c', '/bin/sh', '-c', 'echo ran')
    assert r.returncode == 0
    assert rt.state('c')[1][0]['state'] == 'CREATED'
    assert rt.call('logs', 'c').stdout == ''
    assert rt.call('go', 'c').returncode == 0
    assert rt.call('wait', 'c').returncode == 0
    assert rt.call('logs', 'c').stdout == 'ran\n'
    assert rt.call('remove', 'c').returncode == 0
    assert rt.state('c')[1] == []


def test_freeze(rt):
    rt.start('f', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done')
    assert rt.call('freeze', 'f').returncode == 0
    time.sleep(0.2)
    before = rt.call('logs', 'f').stdout
    time.sleep(0.3)
    assert rt.call('logs', 'f').stdout == before
    rt.call('thaw', 'f')
    time.sleep(0.3)
    assert len(rt.call('logs', 'f').stdout) > len(before)
    rt.call('freeze', 'f')  # what is frozen can be killed
    rt.call('kill', 'f')
    assert rt.call('wait', 'f', timeout=10).returncode == 137


# --- logs

def test_every_line_arrives(rt, tmp_path):
    r = rt.sh('seq 1 300000; echo done >&2')
    assert r.stdout == ''.join(f'{i}\n' for i in range(1, 300001))
    assert 'done' in r.stderr


def test_spool_blocks_and_goes_on(rt, tmp_path):
    # 1.3 MB: more than cap and pipe together, so that it has to wait
    rt.start('b', 'seq 1 200000; echo end', '--spool-max', '65536')
    time.sleep(0.5)
    state = rt.state('b')[1][0]
    assert state['state'] == 'RUNNING'
    assert int(state['written']) <= 65536 + 16
    data, at = b'', 0
    path = tmp_path / 'run/spool/c.log'
    for _ in range(200):
        with open(path, 'rb') as f:
            f.seek(at)
            while len(head := f.read(16)) == 16 and (n := struct.unpack('<QII', head)[2]):
                data += f.read(n)
                at += 16 + n
        if data.endswith(b'end\n'):
            break
        rt.call('ack', 'b', options=['--number', str(at)])
        time.sleep(0.02)
    assert data == b''.join(b'%d\n' % i for i in range(1, 200001)) + b'end\n'
    assert rt.call('wait', 'b').returncode == 0
    assert rt.state('b')[1][0]['dropped'] == '0'


def test_nonblocking_drops_are_counted(rt):
    rt.start('n', 'seq 1 200000; echo end', '--spool-max', '65536', '--nonblock')
    assert rt.call('wait', 'n').returncode == 0
    state = rt.state('n')[1][0]
    total = len(''.join(f'{i}\n' for i in range(1, 200001))) + 4
    frames = [d for _, _, d in spool_frames(rt.base / 'run/spool/c.log')]
    # Nothing was acknowledged, so that there is one gap, at the end; the spool itself says so.
    assert frames.pop() == (b'\n[gantry: %s bytes of output are missing here: the log buffer '
                            b'(max-buffer-size) was full]\n' % state['dropped'].encode())
    kept = sum(len(d) for d in frames)
    assert kept + int(state['dropped']) == total and int(state['dropped']) > 0
    assert f"offset={state['dropped']}" in [
        w for l in rt.call('events', 'n').stdout.splitlines() if 'DROPPED' in l
        for w in l.split()]


# --- deaths

def test_clients_come_and_go(rt):
    rt.start('g', 'sleep 0.3; exit 5')  # rt_run, its client, is gone now
    time.sleep(0.6)
    events = rt.call('events', 'g').stdout.splitlines()
    assert 'STARTED' in events[0] and 'code=5' in events[1]
    assert rt.state('g')[1][0]['code'] == '5'


def test_a_shims_death_is_its_containers(rt):
    for options in ([], ['--init'], ['--user', 'app'], ['--pid', 'host']):
        task = f'd{len(options)}{options[-1][-4:] if options else ""}'
        made = rt.start(task, 'sleep 1000 & sleep 1000', *options)
        shim = int(rt.state(task)[0]['shim'])
        os.kill(shim, signal.SIGKILL)
        deadline = time.time() + 5
        while os.path.exists(f'/proc/{made["pid"]}') and time.time() < deadline:
            time.sleep(0.02)
        assert not os.path.exists(f'/proc/{made["pid"]}') or options == ['--init'], options
        assert rt.call('state', task).returncode == 125
        assert rt.call('cleanup', task).returncode == 0


def test_shared_pid_namespace_leaves_nobody(rt):
    mine = f'1000.{os.getpid()}'  # other tests may run beside this one
    r = rt.sh(f'sleep {mine} & sleep {mine} & exit 4', '--pid', 'host')
    assert r.returncode == 4
    assert mine not in ''.join(
        open_or_empty(f'/proc/{p}/cmdline') for p in os.listdir('/proc') if p.isdigit())


def test_nothing_leaks(rt):
    rt.start('l', 'sleep 1000')
    first = rt.state('l')[0]

    def fds():
        return len(os.listdir(f'/proc/{first["shim"]}/fd'))
    for i in range(3):
        rt.call('exec', 'l', '/bin/true')
    before = fds()
    for i in range(20):
        rt.call('exec', 'l', '/bin/true')
        rt.call('exec', 'l', '/nonexistent')
    time.sleep(0.2)
    assert fds() == before
    for i in range(12):  # containers that start, and some that do not
        r = subprocess.run(rt.args([] if i % 2 else ['--user', 'nobody'], 'start', 'l', [])
                           + [f'x{i}', '--', '/bin/true'], capture_output=True, text=True)
        assert (r.returncode == 0) == bool(i % 2), r.stderr
        if r.returncode == 0:
            subprocess.run(rt.args([], 'wait', 'l', []) + [f'x{i}'], check=True)
            time.sleep(0.1)
            subprocess.run(rt.args([], 'remove', 'l', []) + [f'x{i}'], check=True)
    assert fds() == before
    assert len(rt.state('l')[1]) == 1
    below = {os.path.basename(c) for c in cgroups(rt.name)}
    assert len([c for c in below if re.fullmatch(r'c\d+', c)]) == 1


def test_memory_of_a_shim(rt):
    if 'asan' in subprocess.run(['ldd', SHIM], capture_output=True, text=True).stdout:
        pytest.skip('with sanitizers it is another program')
    rt.start('m', 'sleep 1000')
    shim = rt.state('m')[0]['shim']
    with open(f'/proc/{shim}/smaps_rollup') as f:
        anon = int(re.search(r'Pss_Anon: *(\d+)', f.read())[1])
    assert anon <= 64  # kB; the program's pages are shared by all shims of an agent


# --- escapes of the past (facts: each CVE's cause, as an attack on us)

def test_descriptors_and_inheritable_capabilities(rt):
    # CVE-2024-21626: nothing but 0, 1, 2; CVE-2022-24769, -29162: CapInh and CapAmb are empty
    def check(out):
        fds = [l.split()[1] for l in out.splitlines() if l.startswith('fd ')]
        assert fds == ['0', '1', '2'], out
        caps = dict(l.split() for l in out.splitlines() if l.startswith('Cap'))
        assert caps['CapInh:'] == caps['CapAmb:'] == '0' * 16
    for options in ([], ['--tty'], ['--init'], ['--user', 'app'], ['--privileged']):
        check(rt.run('/bin/probe', options=options).stdout)
    rt.start('p', 'sleep 1000')
    check(rt.call('exec', 'p', '/bin/probe').stdout)
    check(rt.call('ttyexec', 'p', '/bin/probe').stdout)


def test_working_directory_by_descriptor(rt):
    rt.start('w', 'sleep 1000')
    for i in range(3, 20):
        for path in (f'/proc/self/fd/{i}', f'/proc/self/fd/{i}/../../..'):
            r = rt.run('/bin/pwd', options=['--cwd', path])
            assert r.returncode in (125, 127) and not r.stdout, path
        r = rt.call('exec', 'w', '/bin/pwd', options=['--cwd', f'/proc/self/fd/{i}'])
        assert r.returncode in (125, 127) and not r.stdout
    assert rt.run('/bin/pwd', options=['--cwd', '/proc/self/cwd']).returncode in (125, 127)


def test_runtimes_binary_is_out_of_reach(rt):
    # CVE-2019-5736: the container writes to every /proc/<pid>/exe it can see, while we exec into it
    digest = hashlib.sha256(open(SHIM, 'rb').read()).hexdigest()
    rt.start('x', 'while :; do for p in /proc/[0-9]*/exe; do case $(readlink $p) in '
             '*gantry*|*memfd*) echo reached $p;(echo x >>$p) 2>/dev/null && echo WROTE;; esac; '
             '(: >>$p) 2>/dev/null; done; done', '--cap-add', 'SYS_PTRACE')
    for _ in range(30):
        rt.call('exec', 'x', '/bin/true')
    r = rt.call('exec', 'x', '/proc/self/exe')  # a script could name it in its first line
    assert 'WROTE' not in rt.call('logs', 'x').stdout
    rt.call('kill', 'x')
    r = rt.run('/proc/self/exe')  # what runs is the sealed copy, if anything
    r = rt.sh('readlink /proc/1/exe; cat /proc/1/exe >/dev/null || echo closed; ls /proc/1/cwd/',
              '--init')
    assert 'closed' in r.stdout or 'Permission denied' in r.stderr
    assert hashlib.sha256(open(SHIM, 'rb').read()).hexdigest() == digest


def test_links_in_the_image(rt, tmp_path, rootfs):
    # CVE-2019-19921, CVE-2023-27561, CVE-2025-31133, -52565, CVE-2026-41579: /proc, /sys or /dev is
    # a link, /dev/null and /dev/console lead elsewhere
    victim = tmp_path / 'victim'
    victim.mkdir()
    for name in ('proc', 'sys', 'dev'):
        image = tmp_path / f'image-{name}'
        image.mkdir()
        (image / name).symlink_to(victim)
        r = rt.run('/bin/true', options=['--lower', str(image)])  # topmost but one: see below
        bad = Runtime(tmp_path, image, rt.name)
        bad.count = 100 + len(name)
        r = bad.run('/bin/true', options=['--lower', str(rootfs)], task=f'bad-{name}')
        assert r.returncode == 125, r.stdout + r.stderr
        assert 'Symbolic link loop' in r.stderr or 'Too many levels' in r.stderr
    assert os.listdir(victim) == []
    image = tmp_path / 'image-null'
    (image / 'dev').mkdir(parents=True)
    (image / 'dev/null').symlink_to('/proc/sys/kernel/core_pattern')
    (image / 'dev/console').symlink_to('/proc/sysrq-trigger')
    pattern = open('/proc/sys/kernel/core_pattern').read()
    bad = Runtime(tmp_path, image, rt.name)
    r = bad.run('/bin/sh', '-c', 'stat -c %t:%T /proc/keys /dev/null; echo x > /proc/keys;'
                'ls -l /dev/console', options=['--lower', str(rootfs), '--tty'], task='bad-null')
    assert r.stdout.split()[:2] == ['1:3', '1:3']
    assert '136,' in r.stdout
    assert open('/proc/sys/kernel/core_pattern').read() == pattern


def test_mounts_over_proc_are_refused(rt, tmp_path):
    # CVE-2019-16884, CVE-2025-52881: a mount over procfs makes runtimes write elsewhere
    (tmp_path / 'image').mkdir()
    (tmp_path / 'image/way').symlink_to('/proc/self')
    for target in ('/proc', '/proc/self/attr', '/proc/sys/net', '/way/attr', '/x/../proc/acpi'):
        r = rt.run('/bin/true', options=['--lower', str(tmp_path / 'image'), '--mount',
                                         f'tmpfs:{target}'])
        assert r.returncode in (125, 126, 127), target
        assert 'inside of proc' in r.stderr or 'open' in r.stderr or 'create' in r.stderr, r.stderr


RENAME_EXCHANGE = 2


def test_exchanged_mount_targets(rt, tmp_path):
    # CVE-2021-30465: in a shared volume, a mount's target changes places with a link while
    # containers start. Whatever happens, nothing of the host shows up, and nothing is mounted there.
    volume = tmp_path / 'volume'
    (volume / 'a').mkdir(parents=True)
    (volume / 'b').symlink_to('../../../../../../../../..')
    secret = tmp_path / 'secret'
    secret.write_text('host')
    libc = ctypes.CDLL(None, use_errno=True)
    stop = threading.Event()

    def exchange():
        a, b = os.fsencode(volume / 'a'), os.fsencode(volume / 'b')
        while not stop.is_set():
            libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE)
    thread = threading.Thread(target=exchange)
    thread.start()
    ok = 0
    try:
        for i in range(int(os.environ.get('GANTRY_RACE_STARTS', '40'))):
            r = rt.sh(f'cat {secret} /a{secret} /volume/a{secret} 2>/dev/null; ls /volume/a/sub '
                      '>/dev/null && echo fine; grep -c . /proc/mounts', '--mount',
                      f'{volume}:/volume', '--mount', 'tmpfs:/volume/a/sub', task='race')
            assert 'host' not in r.stdout
            ok += 'fine' in r.stdout
            assert mounts(tmp_path) == []
    finally:
        stop.set()
        thread.join()
    assert not os.path.ismount('/sub') and not os.path.exists('/sub')


def test_kernel_interfaces_are_closed(rt):
    # CVE-2022-0492, -0185: release_agent, new namespaces, fsconfig; devices of the host
    r = rt.sh('unshare -Ur true 2>&1; unshare -m true 2>&1; mount -t tmpfs x /tmp 2>&1;'
              'for f in $(find /sys/fs/cgroup -name release_agent) /sys/fs/cgroup/*/notify_on_release;'
              ' do echo 1 2>/dev/null >$f && echo WROTE $f; done;'
              'echo x 2>/dev/null >/proc/sys/kernel/core_pattern && echo WROTE;'
              'echo x 2>/dev/null >/proc/sysrq-trigger && echo WROTE;'
              'mknod /tmp/d b 254 0; cat /tmp/d 2>&1; mknod /tmp/m c 1 1; cat /tmp/m 2>&1;'
              'cat /proc/kcore | head -c 1 | wc -c; dmesg 2>&1 | head -1')
    assert 'WROTE' not in r.stdout
    assert r.stdout.count('Operation not permitted') >= 4
    assert 'permission denied' in r.stdout.lower()


def test_run_directory_and_sockets(rt, tmp_path):
    # CVE-2020-15257: no abstract sockets; folders of ours are nobody else's
    rt.start('s', 'sleep 1000')
    for path in ('run/tasks/s', 'run/tasks'):
        assert os.stat(tmp_path / path).st_mode & 0o077 == 0
    with open('/proc/net/unix') as f:
        assert not [l for l in f if '@' in l and 'gantry' in l]
    for name in os.listdir(tmp_path / 'run/tasks/s'):
        assert os.stat(tmp_path / 'run/tasks/s' / name).st_mode & 0o077 == 0 or name == 'shim.sock'


def test_seccomp_profile_knows_the_kernels_calls():
    """Every call of this machine's headers is placed by some rule."""
    with open('src/node/runtime/seccomp/syscalls.json') as f:
        known = json.load(f)['syscalls']
    for header in ('/usr/include/x86_64-linux-gnu/asm/unistd_64.h',):
        if os.path.exists(header):
            for name, number in re.findall(r'#define __NR_(\w+) (\d+)', open(header).read()):
                assert known[name][0] == int(number), name


def test_seccomp_groups(rt):
    # one call of each kind, tried for real
    r = rt.sh('unshare -i true; chroot / /bin/true && echo chroot; hostname x; '
              'insmod /x; swapon /x; dmesg')
    assert 'chroot' in r.stdout
    assert r.stderr.count('not permitted') + r.stderr.count('denied') >= 3
    r = rt.sh('unshare -i true && echo yes', '--cap-add', 'SYS_ADMIN')
    assert 'yes' in r.stdout
    r = rt.sh('grep Seccomp: /proc/self/status', '--unconfined')
    assert r.stdout.split() == ['Seccomp:', '0']


def test_pool_starts_are_fast(rt):
    r = subprocess.run(rt.args(['--count', '10', '--pool', '2', '--parked', '1', '--net', 'host'],
                               'bench', 'p', ['/bin/true']), capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == 0, r.stderr
    median = int(re.search(r'median_us=(\d+)', r.stdout)[1])
    assert median < 30000  # a sanitizer's build, on a loaded machine
    pool = rt.base / 'run/pool'
    assert os.listdir(pool) == []
