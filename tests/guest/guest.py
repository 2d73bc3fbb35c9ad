"""A Debian 12 kernel in an emulated machine, with Gantry in it.

The host's side of a guest: start it, run scripts in it, talk to its Gantry with boto3 through a
forwarded port of 127.0.0.1. The guest reaches nothing outside of itself.
"""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import types

import boto3
from botocore.config import Config

LIVE_S = 30  # until a guest that boots has said so
SLOWER = 3


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(what, seconds=20, step=0.1):
    """Calls what() until it returns something true. Emulation on a busy machine is slow: what takes
    seconds elsewhere may take SLOWER times as long."""
    end = time.monotonic() + seconds * SLOWER
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s: {getattr(what, "__name__", what)}')
        time.sleep(step)


class Guest:
    def __init__(self, image, cgroup='v2', disk=None, memory=1024):
        """`image` as image.make() gives it; `disk` a Disk that outlives this guest, or none for one
        that is forgotten with it."""
        self.image, self.cgroup, self.disk, self.memory = image, cgroup, disk, memory
        self.dir = tempfile.mkdtemp(prefix='gantry-guest-', dir='/var/tmp')
        self.console_path = os.path.join(self.dir, 'console')
        self.port, self.shell_port, self.outside_port = free_port(), free_port(), free_port()
        self.endpoint = f'http://127.0.0.1:{self.port}'
        self.registry = '127.0.0.1:4566'  # as the guest sees it
        self.process = self._key = None

    # --- machine

    def _drive(self):
        if self.disk:
            return f'file=nbd+unix:///?socket={self.disk.socket_path},cache=writeback'
        path = os.path.join(self.dir, 'disk')
        make_file_system(path, 2 << 30)
        return f'file={path},cache=unsafe'

    def boot(self):
        """q35 and not microvm: that has no clock but the timer's ticks, which run fast here."""
        kernel, initrd, root = self.image
        # One thread for both processors: with one each, this emulator (7.2) loses a kernel that
        # changes its own code while the other runs it (static keys), and both spin for ever.
        forwards = ((self.port, 14566), (self.shell_port, 2222), (self.outside_port, 8080))
        net = 'user,id=net,restrict=on,' + ','.join(
            f'hostfwd=tcp:127.0.0.1:{host}-:{guest}' for host, guest in forwards)
        self.process = subprocess.Popen([
            'setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64', '-nodefaults', '-no-reboot',
            '-M', 'q35', '-accel', 'tcg,thread=single', '-cpu', 'max', '-smp', '2',
            '-m', str(self.memory), '-display', 'none', '-serial', f'file:{self.console_path}',
            '-kernel', kernel, '-initrd', initrd, '-append',
            f'console=ttyS0 quiet panic=1 guest.cgroup={self.cgroup}',
            '-drive', f'if=none,id=root,format=raw,readonly=on,file={root}',
            '-device', 'virtio-blk-pci,drive=root',
            '-drive', f'if=none,id=state,format=raw,{self._drive()}',
            '-device', 'virtio-blk-pci,drive=state',
            '-netdev', net, '-device', 'virtio-net-pci,netdev=net,romfile='],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.dir, 'qemu'), 'wb'))
        try:
            wait_for(self._booted, LIVE_S)
        except AssertionError as e:
            raise AssertionError(f'the guest did not boot: {e}\n{self.tail()}') from None
        return self

    def _booted(self):
        if self.process.poll() is not None:
            raise AssertionError('the emulator ended')
        try:
            with open(self.console_path, 'rb') as f:
                return b'guest: ready' in f.read() and self.run('true')[0] == 0
        except OSError:
            return False

    def tail(self):
        """What there is to know when something went wrong."""
        text = ''
        for name in ('qemu', 'console'):
            try:
                with open(os.path.join(self.dir, name), errors='replace') as f:
                    text += f'--- {name}\n' + f.read()[-4000:]
            except OSError:
                pass
        return text

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, script, seconds=60):
        """Carries out a script in the guest; (code, output)."""
        with socket.create_connection(('127.0.0.1', self.shell_port), seconds) as s:
            s.sendall(script.encode())
            s.shutdown(socket.SHUT_WR)
            parts = []
            while part := s.recv(65536):
                parts.append(part)
        text = b''.join(parts).decode(errors='replace')
        head, _, code = text.rpartition('code ')
        if not code.strip().isdigit():
            raise AssertionError(f'no code from the guest for {script!r}: {text}\n{self.tail()}')
        return int(code), head

    def sh(self, script, seconds=60):
        code, text = self.run(script, seconds)
        assert code == 0, f'{script!r} in the guest: {code}\n{text}\n{self.tail()}'
        return text.rstrip('\n')

    # --- Gantry; the names are those of tests/integration, whose tests run here as well

    def up(self):
        code, text = self.run('gantry up --detach')
        assert code == 0, f'gantry up: {text}\n{self.read_log()}\n{self.tail()}'
        self._key = json.loads(self.sh('cat /var/lib/gantry/root.key'))
        return self

    def read_log(self):
        return self.run('tail -c 8000 /var/lib/gantry/gantry.log')[1]

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name='us-east-1',
                            aws_access_key_id=self._key['accessKeyId'],
                            aws_secret_access_key=self._key['secretAccessKey'],
                            config=Config(retries={'max_attempts': 0}, inject_host_prefix=False))

    def cli(self, *args, check=True, **_):
        words = ' '.join("'" + a.replace("'", "'\\''") + "'" for a in args)
        code, text = self.run('eval "$(gantry env)"; gantry ' + words)
        assert code == 0 or not check, f'gantry {args}: {code}\n{text}\n{self.read_log()}'
        return types.SimpleNamespace(returncode=code, stdout=text, stderr=text)

    def registry_login(self):
        token = self.client('ecr').get_authorization_token()
        return base64.b64decode(token['authorizationData'][0]['authorizationToken']).decode()

    def push(self, layout, name):
        """Pushes an OCI layout as repository:tag; its name for the guest."""
        ecr = self.client('ecr')
        try:
            ecr.create_repository(repositoryName=name.split(':')[0])
        except ecr.exceptions.RepositoryAlreadyExistsException:
            pass
        subprocess.run(['skopeo', 'copy', '--quiet', '--dest-tls-verify=false', '--dest-creds',
                        self.registry_login(), f'oci:{layout}:latest',
                        f'docker://127.0.0.1:{self.port}/{name}'], check=True)
        return f'{self.registry}/{name}'


def make_file_system(path, size):
    with open(path, 'ab') as f:
        os.truncate(f.fileno(), size)
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-E', 'lazy_itable_init=1,nodiscard', path],
                   check=True)
