#!/usr/bin/python3
"""Makes what the guest boots: Debian's stock kernel, a small initramfs, and a root file system with
Gantry's executables (built for release: emulation is slow enough without sanitizers) and what of
this machine's Debian they need.

    tests/guest/image.py build-check/guest

Nothing is installed. What is there already and current is kept.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = ['gantry', 'gantry-agent', 'gantry-link', 'gantry-server', 'gantry-shim',
            'gantry-unpack']
TOOLS = ['/usr/sbin/nft']
# Of the kernel's modules; the initramfs has those that lead to the root disk.
MODULES = ['net', 'fs', 'lib', 'crypto', 'arch/x86/crypto', 'drivers/net/*.ko', 'drivers/block',
           'drivers/virtio', 'drivers/char/hw_random']
TO_ROOT = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev',
           'virtio_pci', 'virtio_blk']
FOLDERS = ['dev', 'etc', 'mnt', 'proc', 'root', 'run', 'sys', 'tmp', 'usr/bin', 'usr/sbin',
           'usr/lib', 'usr/lib64', 'usr/share', 'var/lib/gantry', 'var/tmp']
ETC = {
    'passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
    'group': 'root:x:0:\nnogroup:x:65534:\n',
    'hosts': '127.0.0.1 localhost guest\n',
    'hostname': 'guest\n',
    'resolv.conf': 'nameserver 10.0.2.3\n',
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
}


def say(text):
    print('guest image: ' + text, file=sys.stderr, flush=True)


def run(*argv, **kw):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if r.returncode != 0:
        sys.exit(f'guest image: {" ".join(argv)} ended with {r.returncode}:\n{r.stdout[-4000:]}')
    return r.stdout


def build(folder):
    """The executables, without sanitizers; the folder they are in."""
    to = os.path.join(folder, 'build')
    if not os.path.exists(os.path.join(to, 'build.ninja')):
        say('build for release')
        run('meson', 'setup', to, ROOT, '--buildtype=release', '-Dwerror=false')
    run('ninja', '-C', to, *(f'src/cmd/{p}' for p in PROGRAMS))
    return os.path.join(to, 'src', 'cmd')


def kernel(folder):
    """Debian's cloud kernel, unpacked; the folder."""
    to = os.path.join(folder, 'kernel')
    if not glob.glob(to + '/boot/vmlinuz-*'):
        depends = run('apt-cache', 'depends', 'linux-image-cloud-amd64')
        package = re.search(r'Depends: (linux-image-\S+)', depends)
        if not package:
            sys.exit('guest image: apt knows no linux-image-cloud-amd64: apt-get update?')
        say('download ' + package.group(1))
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to + '.deb', exist_ok=True)
        run('apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download', package.group(1),
            cwd=to + '.deb')
        deb, = glob.glob(to + '.deb/*.deb')
        run('dpkg-deb', '-x', deb, to + '.new')
        shutil.rmtree(to + '.deb')
        os.rename(to + '.new', to)
    return to


def libraries(programs):
    found = set()
    for line in run('ldd', *programs).splitlines():
        m = re.search(r'(/\S+) \(0x', line)
        if m:
            found.add(m.group(1))
    return sorted(found)


def put(root, path, text, mode=0o644):
    path = os.path.join(root, path)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)


def tree(root):
    """An empty root with busybox for everything that has no better program."""
    for d in FOLDERS:
        os.makedirs(os.path.join(root, d), exist_ok=True)
    for d in ('bin', 'sbin', 'lib', 'lib64'):
        os.symlink('usr/' + d, os.path.join(root, d))
    os.chmod(os.path.join(root, 'tmp'), 0o1777)
    busybox = os.path.join(root, 'usr/bin/busybox')
    shutil.copy2('/usr/bin/busybox', busybox)
    for name in run(busybox, '--list').split():
        for d in ('usr/bin', 'usr/sbin') if name in ('init', 'modprobe', 'sh') else ('usr/bin',):
            if name != 'busybox':
                os.symlink('/usr/bin/busybox', os.path.join(root, d, name))


def copy_modules(kernel_dir, root):
    version = os.path.basename(glob.glob(kernel_dir + '/lib/modules/*')[0])
    base = os.path.join(kernel_dir, 'lib/modules', version)
    to = os.path.join(root, 'usr/lib/modules', version)
    for pattern in MODULES:
        for path in glob.glob(os.path.join(base, 'kernel', pattern)):
            target = os.path.join(to, os.path.relpath(path, base))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copytree(path, target) if os.path.isdir(path) else shutil.copy2(path, target)
    for name in ('modules.builtin', 'modules.order'):
        shutil.copy2(os.path.join(base, name), to)
    run('busybox', 'depmod', '-b', os.path.join(root, 'usr'), version)


def root_disk(folder, programs, kernel_dir):
    root = os.path.join(folder, 'root')
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    tree(root)
    copy_modules(kernel_dir, root)
    for path in [os.path.join(programs, p) for p in PROGRAMS] + TOOLS:
        target = os.path.join(root, 'usr/bin', os.path.basename(path))
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copy2(path, target)
    dynamic = [os.path.join(programs, p) for p in PROGRAMS if p != 'gantry-shim'] + TOOLS
    for path in libraries(dynamic):
        to = os.path.join(root, 'usr', path.removeprefix('/usr').lstrip('/'))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(path, to)
    for name, text in ETC.items():
        put(root, 'etc/' + name, text)
    for name in ('inittab', 'rc', 'shell'):
        shutil.copy2(os.path.join(HERE, 'root', name), os.path.join(root, 'etc', name))
    disk = os.path.join(folder, 'root.ext4')
    if os.path.exists(disk):
        os.unlink(disk)
    size = sum(os.lstat(os.path.join(d, f)).st_size for d, _, fs in os.walk(root) for f in fs)
    run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', root, disk,
        f'{(size >> 20) + 48}M')
    shutil.rmtree(root)


def initramfs(folder, kernel_dir):
    """busybox, the way to the root disk, and a script. The kernel's cpio reader wants "newc"."""
    root = os.path.join(folder, 'initramfs')
    shutil.rmtree(root, ignore_errors=True)
    for d in ('bin', 'dev', 'lib', 'new', 'proc'):
        os.makedirs(os.path.join(root, d))
    shutil.copy2('/usr/bin/busybox', root + '/bin/busybox')
    for name in TO_ROOT:
        path, = glob.glob(f'{kernel_dir}/lib/modules/*/kernel/drivers/*/{name}.ko')
        shutil.copy2(path, root + '/lib')
    put(root, 'init', '#!/bin/busybox sh\n' +
        ''.join(f'/bin/busybox insmod /lib/{m}.ko\n' for m in TO_ROOT) +
        '/bin/busybox mount -t devtmpfs dev /dev\n'
        'while ! [ -b /dev/vda ]; do /bin/busybox usleep 20000; done\n'
        '/bin/busybox mount -t ext4 -o ro /dev/vda /new\n'
        '/bin/busybox umount /dev\n'
        'exec /bin/busybox switch_root /new /sbin/init\n', 0o755)
    names = '\n'.join(os.path.relpath(os.path.join(d, f), root)
                      for d, subs, fs in os.walk(root) for f in subs + fs)
    with open(os.path.join(folder, 'initrd'), 'wb') as out:
        subprocess.run(['busybox', 'cpio', '-o', '-H', 'newc'], cwd=root, input=names.encode(),
                       stdout=out, stderr=subprocess.DEVNULL, check=True)
    shutil.rmtree(root)


def age(path):
    return os.stat(path).st_mtime if os.path.exists(path) else 0


def make(folder):
    """Paths of (kernel, initramfs, root disk)."""
    os.makedirs(folder, exist_ok=True)
    programs, kernel_dir = build(folder), kernel(folder)
    vmlinuz, = glob.glob(kernel_dir + '/boot/vmlinuz-*')
    initrd, disk = os.path.join(folder, 'initrd'), os.path.join(folder, 'root.ext4')
    ours = [os.path.abspath(__file__), kernel_dir, *glob.glob(os.path.join(HERE, 'root', '*'))]
    if age(initrd) < max(map(age, ours)):
        initramfs(folder, kernel_dir)
    if age(disk) < max(map(age, ours + [os.path.join(programs, p) for p in PROGRAMS] + TOOLS)):
        root_disk(folder, programs, kernel_dir)
    return vmlinuz, initrd, disk


if __name__ == '__main__':
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__.strip())
    print('\n'.join(make(os.path.abspath(sys.argv[1]))))
