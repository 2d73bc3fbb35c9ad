"""What a container may become: no_new_privs, and the number of its processes."""
import os
import subprocess
import time

import pytest

from conftest import wait_for
from tasks import container, register, run, say, stop, wait_status

PROGRAM = r'''
#include <stdio.h>
#include <unistd.h>
int main(void) { return printf("euid %d\n", (int)geteuid()) < 0; }
'''


@pytest.fixture(scope='module')
def set_uid(tmp_path_factory):
    """A folder with a set-user-id program of root's that says who it runs as."""
    folder = tmp_path_factory.mktemp('suid')
    folder.chmod(0o755)
    (folder / 'who.c').write_text(PROGRAM)
    subprocess.run(['musl-gcc', '-static', '-O', '-o', folder / 'who', folder / 'who.c'],
                   check=True)
    (folder / 'who').chmod(0o4755)
    return {'volumes': [{'name': 's', 'host': {'sourcePath': str(folder)}}]}


WHO = "grep NoNewPrivs /proc/self/status | tr -d '\\t'; /s/who"


def who(gantry, busybox, set_uid, **more):
    return say(gantry, busybox, WHO, set_uid, user='33', mountPoints=[
        {'sourceVolume': 's', 'containerPath': '/s', 'readOnly': True}], **more)


def test_a_set_uid_program_gains_nothing(gantry, busybox, set_uid):
    assert who(gantry, busybox, set_uid) == ['NoNewPrivs:1', 'euid 33']
    # a system call filter is there too
    assert say(gantry, busybox, 'grep Seccomp: /proc/self/status | cut -f2', user='33') == ['2']


@pytest.mark.parametrize('option,gains', [
    ('no-new-privileges:false', True), ('no-new-privileges=false', True),
    ('no-new-privileges', False), ('no-new-privileges:true', False),
    ('no-new-privileges=true', False)])
def test_the_definition_decides(gantry, busybox, set_uid, option, gains):
    expected = ['NoNewPrivs:0', 'euid 0'] if gains else ['NoNewPrivs:1', 'euid 33']
    assert who(gantry, busybox, set_uid, dockerSecurityOptions=[option]) == expected


def test_privileged_containers_may_unless_told_otherwise(gantry, busybox, set_uid):
    assert who(gantry, busybox, set_uid, privileged=True) == ['NoNewPrivs:0', 'euid 0']
    assert who(gantry, busybox, set_uid, privileged=True,
               dockerSecurityOptions=['no-new-privileges']) == ['NoNewPrivs:1', 'euid 33']


@pytest.mark.parametrize('options', [
    ['apparmor:docker-default'], ['label:disable'], ['seccomp=unconfined'], ['seccomp:x'],
    ['credentialspec:file://x'], ['no-new-privileges:maybe'], ['no-new-privileges', 'label:x'], ['']])
def test_what_is_not_carried_out_is_refused(gantry, busybox, options):
    with pytest.raises(gantry.client('ecs').exceptions.ClientException,
                       match='dockerSecurityOptions'):
        register(gantry, 'opts', container(busybox, dockerSecurityOptions=options))


def test_what_is_executed_in_it_gains_nothing_either(gantry, busybox, set_uid):
    mount = [{'sourceVolume': 's', 'containerPath': '/s', 'readOnly': True}]
    for options, expected in (([], 'NoNewPrivs:1\neuid 33\n'),
                              (['no-new-privileges:false'], 'NoNewPrivs:0\neuid 0\n')):
        arn = run(gantry, register(gantry, 'exec', container(
            busybox, command=['sleep', '1000'], user='33', mountPoints=mount, stopTimeout=1,
            dockerSecurityOptions=options, healthCheck={
                'command': ['CMD-SHELL', f'({WHO}) >/dev/shm/health'], 'interval': 5}), **set_uid))
        t = wait_status(gantry, arn, 'RUNNING')
        task = t['taskArn'].split('/')[-1]
        assert gantry.cli('exec', task, 'sh', '-c', WHO).stdout == expected
        assert wait_for(lambda: gantry.cli(
            'exec', task, 'cat', '/dev/shm/health', check=False).stdout) == expected
        stop(gantry, arn)


def test_init_passes_it_on(gantry, busybox, set_uid):
    assert who(gantry, busybox, set_uid, linuxParameters={'initProcessEnabled': True}) == [
        'NoNewPrivs:1', 'euid 33']


def test_gantry_run_has_the_option(gantry, busybox, set_uid):
    folder = set_uid['volumes'][0]['host']['sourcePath']
    line = ['run', '-u', '33', '-v', f'{folder}:/s:ro']
    for option, expected in ((None, 'euid 33'), ('no-new-privileges:false', 'euid 0'),
                             ('no-new-privileges', 'euid 33')):
        more = ['--security-opt', option] if option else []
        assert gantry.cli(*line, *more, busybox, '/s/who').stdout == expected + '\n'
    r = gantry.cli(*line, '--security-opt', 'label=disable', busybox, '/s/who', check=False)
    assert r.returncode != 0 and 'label=disable' in r.stderr


# --- the number of processes

def cap_of_this_machine():
    def read(name):
        with open(f'/proc/sys/kernel/{name}') as f:
            return int(f.read())
    return min(4096, read('pid_max') * 15 // 100, read('threads-max') * 15 // 100)


def pids_max(gantry, arn):
    with open(os.path.join(gantry.run_dir, 'tasks', arn.split('/')[-1], 'cgroup')) as f:
        own = f.read().strip()
    for path in (f'/sys/fs/cgroup/pids{own}', f'/sys/fs/cgroup{own}'):
        try:
            with open(path + '/task/c0/pids.max') as f:
                return f.read().strip()
        except OSError:
            pass
    raise AssertionError('no pids controller?')


@pytest.mark.parametrize('nproc,expected', [
    (None, None), (100, None), (20000, '20000'), (-1, 'max')])
def test_a_container_has_a_process_cap(gantry, busybox, nproc, expected):
    """ulimit nproc lifts it, -1 takes it away; below it stays what it is elsewhere: by user."""
    more = {'ulimits': [{'name': 'nproc', 'softLimit': nproc, 'hardLimit': nproc}]} if nproc else {}
    arn = run(gantry, register(gantry, 'pids', container(
        busybox, command=['sleep', '1000'], stopTimeout=1, **more)))
    wait_status(gantry, arn, 'RUNNING')
    assert pids_max(gantry, arn) == (expected or str(cap_of_this_machine()))
    stop(gantry, arn)


BOMB = r'''
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* Forks until it cannot, at most BOUND times; says why not; then every child waits for its end. */
int main(void) {
    int n = 0, p[2];
    char c;
    if (pipe(p) < 0) return 1;
    for (; n < BOUND; n++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) { close(p[1]); (void)!read(p[0], &c, 1); _exit(0); }
    }
    printf("%d %s\n", n, n == BOUND ? "never refused" : strerror(errno));
    fflush(stdout);
    for (;;) pause();
}
'''


def test_a_fork_bomb_is_not_the_nodes_trouble(gantry, busybox, tmp_path):
    cap = cap_of_this_machine()
    (tmp_path / 'bomb.c').write_text(BOMB)
    subprocess.run(['musl-gcc', '-static', f'-DBOUND={cap + 500}', '-o', tmp_path / 'bomb',
                    tmp_path / 'bomb.c'], check=True)
    tmp_path.chmod(0o755)
    arn = run(gantry, register(
        gantry, 'bomb', container(busybox, command=['/b/bomb'], memory=1024, stopTimeout=2,
                                  mountPoints=[{'sourceVolume': 'b', 'containerPath': '/b'}]),
        volumes=[{'name': 'b', 'host': {'sourcePath': str(tmp_path)}}]))
    task = arn.split('/')[-1]
    wait_status(gantry, arn, 'RUNNING')
    said = wait_for(lambda: gantry.cli('logs', task).stdout, 60)
    assert said == f'{cap - 1} Resource temporarily unavailable\n'
    # meanwhile the node goes on: another task starts, and ends
    assert say(gantry, busybox, 'for i in 1 2 3; do (echo $i); done') == ['1', '2', '3']
    began = time.monotonic()
    stop(gantry, arn)
    assert time.monotonic() - began < 20
