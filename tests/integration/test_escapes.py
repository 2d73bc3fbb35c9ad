"""Escapes of the past that are about more than one part, or need a whole Gantry. Those of the
runtime alone are in test_runtime.py, of archives in test_image.py, of networks in test_net.py."""
import ctypes
import os
import subprocess
import threading

import pytest

from tasks import container, make_group, output, register, run, wait_status, with_logs
from test_runtime import RENAME_EXCHANGE, SHIM, Runtime, mounts, rootfs, rt  # noqa: F401


def tree(top):
    """Everything below a folder, but for what the runtime itself keeps there."""
    found = set()
    for at, folders, files in os.walk(top):
        if at == str(top):
            folders[:] = [f for f in folders if not f.startswith(('run', 'up-', 'work-', 'spool'))]
        found.update(os.path.join(at, f) for f in folders + files)
    return found


def test_nothing_is_made_on_the_host_by_a_race(rt, tmp_path):
    # CVE-2024-45310: a folder of a shared volume changes places with a link while targets of mounts
    # are made below it
    volume, bait = tmp_path / 'volume', tmp_path / 'bait'
    (volume / 'a').mkdir(parents=True)
    bait.mkdir()
    (volume / 'b').symlink_to('../../../../../../../../..' + str(bait))
    libc = ctypes.CDLL(None, use_errno=True)
    end = threading.Event()
    before = set(os.listdir('/')), set(os.listdir('/tmp'))

    def exchange():
        a, b = os.fsencode(volume / 'a'), os.fsencode(volume / 'b')
        while not end.is_set():
            libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE)
    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for i in range(int(os.environ.get('GANTRY_RACE_STARTS', '40'))):
            rt.sh('true', '--mount', f'{volume}:/volume', '--mount', f'tmpfs:/volume/a/new{i}/deep',
                  '--mount', f'{volume}:/volume/a/file{i}/x', '--cwd', f'/volume/a/cwd{i}',
                  task='race')
    finally:
        end.set()
        thread.join()
    assert os.listdir(bait) == [] and mounts(tmp_path) == []
    assert {f for f in os.listdir('/') if f not in before[0]} == set()
    made = set(os.listdir('/tmp')) - before[1]
    assert not [f for f in made if f.startswith(('new', 'file', 'cwd'))]


def test_passwd_of_an_image_is_read_inside(rt, tmp_path, rootfs):
    # CVE-2024-9676: /etc/passwd is a link to a file of the host, has no end, or never answers
    (tmp_path / 'host-passwd').write_text('evil:x:0:0::/:/bin/sh\n')
    image = tmp_path / 'image'
    (image / 'etc').mkdir(parents=True)
    passwd = image / 'etc/passwd'
    bad = Runtime(tmp_path, image, rt.name)
    options = ['--lower', str(rootfs), '--user', 'evil']

    def refused(task):
        r = bad.run('/bin/id', options=options, task=task, timeout=20)
        assert r.returncode == 125 and not r.stdout, r.stdout + r.stderr
    for i, target in enumerate((str(tmp_path / 'host-passwd'), '../' * 12 + str(tmp_path)[1:] +
                                '/host-passwd', '/proc/self/fd/3', '/dev/zero')):
        passwd.symlink_to(target)
        refused(f'link-{i}')
        passwd.unlink()
    os.mkfifo(passwd)
    refused('fifo')
    passwd.unlink()
    with open(passwd, 'wb') as f:
        f.truncate(1 << 36)
    refused('huge')


def test_working_directory_behind_a_link(rt, tmp_path, rootfs):
    # CVE-2024-21626 by an image whose WORKDIR is a link
    image = tmp_path / 'image'
    image.mkdir()
    for i in range(3, 20):
        (image / f'way{i}').symlink_to(f'/proc/self/fd/{i}')
    bad = Runtime(tmp_path, image, rt.name)
    for i in range(3, 20):
        r = bad.run('/bin/pwd', options=['--lower', str(rootfs), '--cwd', f'/way{i}'],
                    task=f'way-{i}')
        assert r.returncode in (125, 127) and not r.stdout, (i, r.stdout, r.stderr)


def test_what_an_image_seeds_a_volume_with(rt, tmp_path, rootfs):
    # CVE-2022-23648: a volume of an image copies a path of the host
    secret = tmp_path / 'secret'
    secret.write_text('host')
    image, volume = tmp_path / 'image', tmp_path / 'volume'
    data = image / 'data'
    (data / 'sub').mkdir(parents=True)
    (data / 'sub/file').write_text('image')
    os.chmod(data / 'sub/file', 0o4751)
    os.chown(data / 'sub', 33, 7)
    os.chmod(data, 0o2770)
    for name, target in (('abs', str(secret)), ('up', '../' * 12 + str(secret)[1:]),
                         ('proc', '/proc/self/fd/3'), ('dir', '/proc/1/root')):
        (data / name).symlink_to(target)
    (image / 'way').symlink_to('../../..' + str(tmp_path))
    os.mkfifo(data / 'fifo')
    os.mknod(data / 'null', 0o666 | 0o020000, os.makedev(1, 3))
    seeded = Runtime(tmp_path, image, rt.name)

    def seed(task, where, volume):
        return seeded.run('/bin/sh', '-c', f'cat {where}/* {where}/sub/file; ls {where}', options=[
            '--lower', str(rootfs), '--mount', f'{volume}:{where}:mk,seed'], task=task, timeout=20)
    r = seed('seed', '/data', volume)
    assert 'host' not in r.stdout and r.stdout.startswith('image'), r.stdout + r.stderr
    assert sorted(os.listdir(volume)) == ['abs', 'dir', 'proc', 'sub', 'up']
    assert os.readlink(volume / 'abs') == str(secret)
    st, sub = os.stat(volume), os.stat(volume / 'sub')
    assert st.st_mode & 0o7777 == 0o2770 and (sub.st_uid, sub.st_gid) == (33, 7)
    assert os.stat(volume / 'sub/file').st_mode & 0o7777 == 0o4751
    # once: what is there stays
    (volume / 'sub/file').write_text('changed')
    os.unlink(volume / 'abs')
    assert 'changed' in seed('again', '/data', volume).stdout
    assert 'abs' not in os.listdir(volume)
    # the place itself is behind a link out of the image: it is looked up inside
    r = seed('way', '/way', tmp_path / 'other')
    assert 'host' not in r.stdout and os.listdir(tmp_path / 'other') == []
    # deeper than anything that is meant
    deep = image / 'deep'
    for _ in range(70):
        deep = deep / 'd'
    deep.mkdir(parents=True)
    r = seed('deep', '/deep', tmp_path / 'third')
    assert r.returncode == 125 and "copy 'd' of the image into a volume" in r.stderr, r.stderr


def test_cgroups_are_read_only(rt):
    # CVE-2023-25809, CVE-2022-0492: nothing of the tree can be written or made
    r = rt.sh('cd /sys/fs/cgroup; n=0; for f in $(find . -type f); do n=$((n+1)); '
              '(echo 1 >$f) 2>/dev/null && echo WROTE $f; done; '
              'for d in $(find . -type d); do mkdir $d/new 2>/dev/null && echo MADE $d; done; '
              'mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED; echo seen $n')
    assert 'WROTE' not in r.stdout and 'MADE' not in r.stdout and 'REMOUNTED' not in r.stdout
    assert int(r.stdout.split('seen ')[1]) > 10


def test_nothing_of_an_image_is_loaded_into_the_runtime():
    # CVE-2019-14271, CVE-2025-23266: what runs in a container's root before it has no libraries
    with open(SHIM, 'rb') as f:
        if b'__asan' in f.read():
            pytest.skip("a sanitizer's build is not the static one")
    out = subprocess.run(['readelf', '-lW', SHIM], capture_output=True, text=True, check=True).stdout
    assert 'INTERP' not in out


def addresses_of_this_machine():
    out = subprocess.run(['ip', '-4', '-o', 'addr'], capture_output=True, text=True,
                         check=True).stdout
    return [line.split()[3].split('/')[0] for line in out.splitlines()]


@pytest.mark.parametrize('mode', ['bridge', 'awsvpc', 'none', 'host'])
def test_the_api_is_no_way_out(gantry, busybox, mode):
    # CVE-2025-9074, CVE-2024-41110: from no network mode does an unsigned call do anything; only in
    # mode host is the API there at all, and an empty body changes nothing
    places = addresses_of_this_machine() + ['169.254.170.2']
    ask = ("printf 'POST / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nX-Amz-Target: "
           "AmazonEC2ContainerServiceV20141113.ListClusters\\r\\nContent-Type: "
           "application/x-amz-json-1.1\\r\\nContent-Length: %d\\r\\n\\r\\n%s' | "
           "nc -w 2 %s " + str(gantry.port) + " 2>&1; echo;")
    script = ''.join(ask % (len(body), body, a) for a in places for body in ('{}', ''))
    script += f'ls {gantry.run_dir} {gantry.state} 2>&1; echo end'
    more = {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}}
    make_group(gantry)
    d = register(gantry, 'api', with_logs(container(busybox, command=['sh', '-c', script])),
                 networkMode=mode)
    t = wait_status(gantry, run(gantry, d, **(more if mode == 'awsvpc' else {})), 'STOPPED', 90)
    lines = [line for line in output(gantry, t) if line.strip()]
    assert lines[-1] == 'end' and 'clusterArns' not in '\n'.join(lines)
    answers = [line for line in lines if 'HTTP/1.1' in line]
    if mode == 'host':
        assert len(answers) >= 2 and all(' 40' in a for a in answers), lines
        assert any('MissingAuthenticationToken' in line for line in lines), lines
    else:
        assert answers == [], lines
    assert sum('No such file' in line for line in lines) >= 2, lines
