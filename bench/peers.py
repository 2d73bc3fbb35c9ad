"""dockerd (with the containerd it starts) and podman, with roots and a network namespace of their
own: what they do to iptables and bridges stays in there."""
import glob
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

PACKAGES = ('podman', 'docker.io', 'runc', 'crun', 'conmon', 'iptables', 'skopeo',
            'containernetworking-plugins', 'procps')


def install():
    known = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Abbrev}${Package}\n', *PACKAGES],
                           capture_output=True, text=True).stdout
    missing = [p for p in PACKAGES if f'ii {p}\n' not in known]
    if missing:
        subprocess.run(['apt-get', 'install', '-y', '-q', '--no-install-recommends', *missing],
                       check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'))


def pss_kb(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            return sum(int(w.split()[1]) for w in f if w.startswith('Pss:'))
    except OSError:
        return 0


def processes(marks):
    """pid -> comm of the processes with one of these texts in their command line or cgroups."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            text = b''
            for name in ('cmdline', 'cgroup'):
                with open(f'/proc/{pid}/{name}', 'rb') as f:
                    text += f.read()
            with open(f'/proc/{pid}/comm') as f:
                comm = f.read().strip()
        except OSError:
            continue
        if int(pid) != os.getpid() and any(m.encode() in text for m in marks):
            found[int(pid)] = comm
    return found


class Docker(http.client.HTTPConnection):
    """The engine's API over its socket."""

    def __init__(self, path):
        super().__init__('localhost')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def call(self, method, url, body=None):
        self.request(method, url, json.dumps(body) if body is not None else None,
                     {'Content-Type': 'application/json'})
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f'{method} {url}: {answer.status} {text.decode()}')
        return json.loads(text) if text else None


class Peers:
    def __init__(self, layout, out):
        install()
        self.name = 'gb' + uuid.uuid4().hex[:6]
        self.dir = tempfile.mkdtemp(prefix='gantry-bench-', dir='/var/tmp')
        self.run_dir = f'/run/{self.name}'
        self.out = out
        os.makedirs(self.run_dir)
        subprocess.run(['ip', 'netns', 'add', self.name], check=True)
        self.inside = ['nsenter', f'--net=/run/netns/{self.name}']
        subprocess.run([*self.inside, 'ip', 'link', 'set', 'lo', 'up'], check=True)
        self.dockerd = None
        self.archive = os.path.join(self.dir, 'image.tar')
        subprocess.run(['skopeo', 'copy', '--quiet', f'oci:{layout}:latest',
                        f'docker-archive:{self.archive}:probe:1'], check=True)
        self._start_docker()
        self._start_podman()

    def _start_docker(self):
        self.socket = f'{self.run_dir}/docker.sock'
        self.log = open(os.path.join(self.dir, 'dockerd.log'), 'wb')
        self.dockerd = subprocess.Popen(
            [*self.inside, 'dockerd', '--data-root', f'{self.dir}/docker', '--exec-root',
             f'{self.run_dir}/docker', '-H', f'unix://{self.socket}', '--pidfile',
             f'{self.run_dir}/docker.pid'], stdout=self.log, stderr=self.log)
        for _ in range(300):
            if os.path.exists(self.socket) and self.docker('version', check=False).returncode == 0:
                break
            time.sleep(0.1)
        self.docker('load', '-i', self.archive)
        self.engine = Docker(self.socket)

    def docker(self, *args, check=True):
        return subprocess.run(['docker', '-H', f'unix://{self.socket}', *args], check=check,
                              capture_output=True, text=True)

    def _start_podman(self):
        conf = os.path.join(self.dir, 'containers.conf')
        with open(conf, 'w') as f:
            f.write('[containers]\ndefault_ulimits=["nofile=20000:20000","nproc=4096:4096"]\n'
                    '[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\nruntime="runc"\n')
        self.env = dict(os.environ, CONTAINERS_CONF=conf)
        self.podman('load', '-q', '-i', self.archive)

    def podman(self, *args, check=True):
        return subprocess.run([*self.inside, 'podman', '--root', f'{self.dir}/podman', '--runroot',
                               f'{self.run_dir}/podman', '--runtime', 'runc', *args],
                              check=check, capture_output=True, text=True, env=self.env)

    # -- one start each; the time just before, in ns

    def start_docker(self, command=('/out/t',)):
        begin = time.time_ns()
        self.docker('run', '--rm', '-v', f'{self.out}:/out', '--memory', '64m', 'probe:1', *command)
        return begin

    def start_engine(self):
        body = {'Image': 'probe:1', 'Cmd': ['/out/t'],
                'HostConfig': {'Binds': [f'{self.out}:/out'], 'Memory': 64 << 20}}
        begin = time.time_ns()
        c = self.engine.call('POST', '/v1.41/containers/create', body)['Id']
        self.engine.call('POST', f'/v1.41/containers/{c}/start')
        self.engine.call('POST', f'/v1.41/containers/{c}/wait')
        self.engine.call('DELETE', f'/v1.41/containers/{c}')
        return begin

    def start_podman(self, command=('/out/t',)):
        begin = time.time_ns()
        self.podman('run', '--rm', '-v', f'{self.out}:/out', '--memory', '64m',
                    'docker.io/library/probe:1', *command)
        return begin

    def marks(self):
        return [self.dir, self.run_dir]

    def close(self):
        ids = self.docker('ps', '-aq', check=False).stdout.split()
        if ids:
            self.docker('rm', '-f', *ids, check=False)
        self.podman('rm', '-fa', '-t', '0', check=False)
        if self.dockerd:
            self.dockerd.terminate()
            try:
                self.dockerd.wait(30)
            except subprocess.TimeoutExpired:
                self.dockerd.kill()
        for pid in processes(self.marks()):
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        with open('/proc/mounts') as f:
            mounts = [w.split()[1] for w in f]
        for m in reversed(mounts):
            if m.startswith((self.dir, self.run_dir)):
                subprocess.run(['umount', '-l', m], check=False)
        for path in glob.glob(f'{self.run_dir}/*/netns/*'):
            subprocess.run(['umount', '-l', path], check=False, capture_output=True)
        subprocess.run(['ip', 'netns', 'del', self.name], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)
