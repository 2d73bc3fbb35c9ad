"""Fields of a container definition at their edges: what docker and ECS do there."""
import hashlib
import json
import os
import shutil

import pytest

from conftest import wait_for
from tasks import (container, exit_codes, make_group, output, register, run, say, stop,
                   wait_status, with_logs)


def with_config(layout, to, **config):
    """A copy of an OCI layout of one image, with other words in its configuration."""
    shutil.copytree(layout, to)

    def blob(digest):
        return os.path.join(to, 'blobs', *digest.split(':'))

    def read(digest):
        with open(blob(digest)) as f:
            return json.load(f)

    def write(descriptor, value):
        data = json.dumps(value).encode()
        descriptor.update(digest='sha256:' + hashlib.sha256(data).hexdigest(), size=len(data))
        with open(blob(descriptor['digest']), 'wb') as f:
            f.write(data)
    with open(os.path.join(to, 'index.json')) as f:
        index = json.load(f)
    manifest = read(index['manifests'][0]['digest'])
    image = read(manifest['config']['digest'])
    image['config'] = dict(image.get('config') or {}, **config)
    write(manifest['config'], image)
    write(index['manifests'][0], manifest)
    with open(os.path.join(to, 'index.json'), 'w') as f:
        json.dump(index, f)
    return to


def refused(gantry, busybox, match, task=None, **more):
    with pytest.raises(gantry.client('ecs').exceptions.ClientException, match=match):
        register(gantry, 'edge', container(busybox, **more), **(task or {}))


def volume(name, path=None):
    return {'name': name, 'host': {'sourcePath': path} if path else {}}


def mount(name, path, **more):
    return {'sourceVolume': name, 'containerPath': path, **more}


# --- files

def test_folders_that_are_made_are_for_every_user(gantry, busybox, tmp_path):
    """Those above a mount, a working directory, a volume: 0755, whatever umask Gantry has."""
    listing = 'ls -ldn /a /a/b /a/b/c /w /w/x | cut -c1-10; cd /a/b/c && pwd'
    lines = say(gantry, busybox, listing, {'volumes': [volume('v')]}, user='33',
                mountPoints=[mount('v', '/a/b/c')], workingDirectory='/w/x')
    assert lines == ['drwxr-xr-x'] * 5 + ['/a/b/c']
    say(gantry, busybox, 'echo', {'volumes': [volume('v', str(tmp_path / 'new'))]},
        mountPoints=[mount('v', '/h')])
    assert os.stat(tmp_path / 'new').st_mode & 0o7777 == 0o755


def test_what_lies_above_does_not_hide_what_lies_below(gantry, busybox):
    lines = say(gantry, busybox, 'ls /d; df -k /d/e/t | tail -1',
                {'volumes': [volume('v'), volume('w')]},
                mountPoints=[mount('w', '/d/e'), mount('v', '/d')],
                linuxParameters={'tmpfs': [{'containerPath': '/d/e/t', 'size': 2}]})
    assert lines[0] == 'e' and lines[1].split()[1] == '2048'


@pytest.mark.parametrize('other', ['/d', '/d/', '//d', '/./d'])
def test_two_mounts_in_one_place(gantry, busybox, other):
    refused(gantry, busybox, 'Duplicate mount point', {'volumes': [volume('v'), volume('w')]},
            mountPoints=[mount('v', '/d'), mount('w', other)])
    refused(gantry, busybox, 'Duplicate mount point', {'volumes': [volume('v')]},
            mountPoints=[mount('v', '/d')],
            linuxParameters={'tmpfs': [{'containerPath': other, 'size': 2}]})


def test_paths_of_volumes(gantry, busybox):
    for path in ('a/b', '/a/../b', '/..'):
        refused(gantry, busybox, 'sourcePath', {'volumes': [volume('v', path)]})
    refused(gantry, busybox, 'Unknown volume', mountPoints=[{'containerPath': '/d'}])
    refused(gantry, busybox, 'containerPath', {'volumes': [volume('v')]},
            mountPoints=[{'sourceVolume': 'v'}])
    refused(gantry, busybox, 'at most 150', {'volumes': [volume('v')]},
            mountPoints=[mount('v', f'/d{i}') for i in range(151)])


def test_a_read_only_root_has_read_only_files_of_ours(gantry, busybox):
    lines = say(gantry, busybox, 'for f in hosts hostname resolv.conf; do '
                'echo x >>/etc/$f || echo no; done 2>/dev/null; wc -l </etc/hosts',
                readonlyRootFilesystem=True)
    assert lines == ['no', 'no', 'no', '3']
    assert say(gantry, busybox, 'echo x >>/etc/hosts && echo yes') == ['yes']


def test_a_volume_of_the_task_begins_as_what_the_image_has_there(gantry, busybox):
    """With its owner, mode and links, once; a host path never."""
    lines = say(gantry, busybox, 'ls -ldn /tmp | cut -c1-10; touch /tmp/x && echo yes',
                {'volumes': [volume('v')]}, user='33', mountPoints=[mount('v', '/tmp')])
    assert lines == ['drwxrwxrwt', 'yes']
    make_group(gantry)
    d = register(gantry, 'seed',
                 with_logs(container(busybox, name='a', essential=False, command=[
                     'sh', '-c', 'ls /etc/passwd; readlink /bin/sh; stat -c %a:%u /bin/busybox; '
                     'echo mine >/etc/own'], mountPoints=[mount('e', '/etc'), mount('b', '/bin')])),
                 with_logs(container(busybox, command=[
                     'sh', '-c', 'grep -c root /x/passwd; cat /x/own; test -e /etc/own || echo no'],
                     mountPoints=[mount('e', '/x', readOnly=True), mount('n', '/none')],
                     dependsOn=[{'containerName': 'a', 'condition': 'SUCCESS'}])),
                 volumes=[volume('e'), volume('b'), volume('n')])
    t = wait_status(gantry, run(gantry, d), 'STOPPED')
    assert exit_codes(t) == {'a': 0, 'main': 0}, t
    plain = say(gantry, busybox, 'readlink /bin/sh; stat -c %a:%u /bin/busybox')
    assert output(gantry, t, 'a') == ['/etc/passwd'] + plain
    assert output(gantry, t) == ['1', 'mine', 'no']


def test_a_host_path_is_left_as_it_is(gantry, busybox, tmp_path):
    assert say(gantry, busybox, 'ls /etc/x; echo end',
               {'volumes': [volume('h', str(tmp_path / 'h'))]},
               mountPoints=[mount('h', '/etc/x')]) == ['end']
    say(gantry, busybox, 'echo', {'volumes': [volume('h', str(tmp_path / 'h'))]},
        mountPoints=[mount('h', '/bin/sub')])
    assert os.listdir(tmp_path / 'h') == []


def tmpfs(*options):
    return {'linuxParameters': {'tmpfs': [{'containerPath': '/t', 'size': 2,
                                           'mountOptions': list(options)}]}}


@pytest.mark.parametrize('options,shown,listed', [
    (['defaults'], {'rw', 'nosuid', 'nodev', 'noexec', 'relatime'}, 'drwxrwxrwt 0 0'),
    (['exec', 'suid', 'dev', 'noatime'], {'rw', 'noatime'}, 'drwxrwxrwt 0 0'),
    (['ro', 'nodiratime', 'strictatime'],
     {'ro', 'nosuid', 'nodev', 'noexec', 'nodiratime'}, 'drwxrwxrwt 0 0'),
    (['mode=0750', 'uid=33', 'gid=7', 'nr_inodes=5'],
     {'rw', 'nosuid', 'nodev', 'noexec', 'relatime', 'mode=750', 'uid=33', 'gid=7', 'nr_inodes=5'},
     'drwxr-x--- 33 7')], ids=lambda o: '-'.join(o) if isinstance(o, list) else '')
def test_tmpfs_options(gantry, busybox, options, shown, listed):
    lines = say(gantry, busybox, "grep ' /t ' /proc/mounts | cut -d' ' -f4; "
                "ls -ldn /t | tr -s ' ' | cut -d' ' -f1,3,4", **tmpfs(*options))
    assert set(lines[0].split(',')) == shown | {'size=2048k'}
    assert lines[1] == listed


@pytest.mark.parametrize('option', ['sync', 'shared', 'bind', 'remount', 'mpol=default', 'size=9m',
                                    'mode=9', 'mode=17777', 'uid=', 'uid=-1', 'gid=x',
                                    'uid=4294967296', 'nr_blocks=1', 'uid=1,size=9m', ''])
def test_tmpfs_options_that_are_refused(gantry, busybox, option):
    refused(gantry, busybox, 'mountOptions', **tmpfs(option))


# --- privileges

CAPS = "grep CapEff /proc/self/status | cut -f2"


def caps(gantry, busybox, add=(), drop=()):
    line, = say(gantry, busybox, CAPS, linuxParameters={'capabilities': {
        'add': list(add), 'drop': list(drop)}})
    return int(line, 16)


def test_all_capabilities_but(gantry, busybox):
    all_of_them = caps(gantry, busybox, add=['ALL'])
    assert all_of_them & ~0xa80425fb
    assert caps(gantry, busybox, add=['ALL'], drop=['CHOWN']) == all_of_them & ~1
    assert caps(gantry, busybox, add=['CHOWN'], drop=['ALL']) == 1
    assert caps(gantry, busybox, add=['CHOWN'], drop=['CHOWN', 'KILL']) == 0xa80425fb & ~(1 << 5)


@pytest.mark.parametrize('user', ['1:', ':1', '33:', 'a:b:c', '2147483648', '4294967295',
                                  '4294967296', '18446744073709551616', '-1', '+5', '0x10', '1.5',
                                  ' 33', '33:2147483648', '33:-1'])
def test_users_that_are_none(gantry, busybox, user):
    """Numbers that overflow must not become root (CVE-2024-40635)."""
    arn = run(gantry, register(gantry, 'edge', container(busybox, command=['id'], user=user)))
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert t['stoppedReason'].startswith('CannotStartContainerError: '), t['stoppedReason']
    assert exit_codes(t) == {'main': None}


@pytest.mark.parametrize('user,expected', [
    ('12345', '12345 0 0'), ('12345:23456', '12345 23456 23456'), ('2147483647', '2147483647 0 0'),
    ('', '0 0 0'), ('www-data:tty', '33 5 5')])
def test_users_that_passwd_does_not_know(gantry, busybox, user, expected):
    assert say(gantry, busybox, 'echo $(id -u) $(id -g) $(id -G)', user=user) == [expected]


@pytest.mark.parametrize('limits', [
    [('nofile', -2, -2)], [('nofile', -1, 5)], [('nofile', 6, 5)],
    [('nofile', 5, 5), ('nofile', 6, 6)]])
def test_ulimits_that_are_refused(gantry, busybox, limits):
    refused(gantry, busybox, 'ulimits', ulimits=[
        {'name': n, 'softLimit': s, 'hardLimit': h} for n, s, h in limits])


def test_what_the_machine_cannot_give_is_clamped_and_said(gantry, busybox):
    line, = say(gantry, busybox, 'ulimit -Hn', ulimits=[
        {'name': 'nofile', 'softLimit': 1000, 'hardLimit': -1}])
    if line == 'unlimited':
        pytest.skip('this machine gives everything')
    assert f'main: ulimit nofile: unlimited was asked for, {line} is what this machine allows' in \
        gantry.read_log()


# --- init

def test_init_forwards_signals(gantry, busybox):
    make_group(gantry)
    arn = run(gantry, register(gantry, 'init', with_logs(container(
        busybox, linuxParameters={'initProcessEnabled': True}, stopTimeout=10,
        command=['sh', '-c', 'trap "echo got; exit 9" TERM; echo up; '
                             'while :; do sleep 0.1; done']))))
    wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: gantry.cli('logs', arn.split('/')[-1], check=False).stdout == 'up\n', 10)
    t = stop(gantry, arn)
    assert exit_codes(t) == {'main': 9} and output(gantry, t) == ['up', 'got']


# --- what the image's configuration says

def test_volumes_of_an_image_are_writable_in_a_read_only_root(gantry, busybox_layout, tmp_path):
    image = gantry.push(with_config(busybox_layout, str(tmp_path / 'layout'), Volumes={
        '/tmp': {}, '/data/here': {}, '/etc': {}, '/../../climb': {}, '/': {}}), 'volumes:1')
    script = ('for d in /tmp /data/here /climb /root /own; do touch $d/x && echo $d; done '
              '2>/dev/null; ls -ldn /tmp | cut -c1-10; grep -c root /etc/passwd')
    assert say(gantry, image, script, {'volumes': [volume('v')]}, readonlyRootFilesystem=True,
               mountPoints=[mount('v', '/own/')]) == [
        '/tmp', '/data/here', '/climb', '/own', 'drwxrwxrwt', '1']
    # one that the definition mounts itself is the definition's
    lines = say(gantry, image, 'touch /tmp/x || echo no', {'volumes': [volume('v')]},
                mountPoints=[mount('v', '/tmp/', readOnly=True)], readonlyRootFilesystem=True)
    assert lines[-1] == 'no'


def test_stop_signal_of_an_image(gantry, busybox_layout, tmp_path):
    image = gantry.push(with_config(busybox_layout, str(tmp_path / 'layout'),
                                    StopSignal='SIGUSR2'), 'signal:1')
    arn = run(gantry, register(gantry, 'signal', container(image, stopTimeout=20, command=[
        'sh', '-c', 'trap "exit 3" TERM; trap "exit 12" USR2; echo up; '
                    'while :; do sleep 0.1; done'])))
    wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: gantry.cli('logs', arn.split('/')[-1], check=False).stdout == 'up\n', 10)
    assert exit_codes(stop(gantry, arn)) == {'main': 12}


def test_port_mappings_have_a_limit(gantry, busybox):
    refused(gantry, busybox, 'portMappings', portMappings=[
        {'containerPort': i + 1} for i in range(101)])
