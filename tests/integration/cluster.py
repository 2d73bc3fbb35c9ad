"""A server and agents on hosts of their own (hosts.py), over TLS.

    cluster = Cluster(agents=3).start()
    cluster.client('ecs')            as of any other instance; tasks.py works on it
    cluster.nodes['n1'].link.cut()   .loss(30) .delay(100) .rate(256) .heal(); switch.part(), switch.heal()
    cluster.kill('n1', 'gantry-shim'); cluster.unplug('n2'); cluster.boot('n2')

The tests talk to the server through a port on this machine's loopback, so that a host that is cut off
from everybody can still be asked.
"""
import base64
import json
import os
import selectors
import shutil
import socket
import subprocess
import threading

import boto3
from botocore.config import Config

from conftest import BIN, wait_for
from hosts import Hosts

CGROUPS = '/sys/fs/cgroup'


class Door(threading.Thread):
    """A port on this machine's loopback that leads out of it on a host, to an address and port: as if
    whoever uses it were there. One connection at a time is made."""

    def __init__(self, host, port, address='127.0.0.1'):
        super().__init__(daemon=True)
        self.host, self.to = host, (address, port)
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.closing = False
        self.start()

    def run(self):
        while not self.closing:
            for key, _ in self.selector.select(0.5):
                key.data(key.fileobj)

    def _accept(self, listener):
        here, _ = listener.accept()
        there = self.host.ns.socket()
        there.settimeout(1)
        try:
            there.connect(self.to)
            there.settimeout(None)
        except OSError:
            here.close()
            there.close()
            return
        self._pipe(here, there)
        self._pipe(there, here)

    def _pipe(self, source, sink):
        def carry(_):
            try:
                data = source.recv(65536)
                if data:
                    sink.sendall(data)
                    return
            except OSError:
                pass
            for s in (source, sink):
                try:
                    self.selector.unregister(s)
                except (KeyError, ValueError):
                    pass
                s.close()
        self.selector.register(source, selectors.EVENT_READ, carry)

    def end(self):
        self.closing = True
        self.join(5)
        self.listener.close()


class Cluster:
    """`segments`: in which of the switch's segments each agent stands (all in 0). `options`: more for
    every agent's command line."""

    def __init__(self, agents=3, segments=None, options=()):
        self.hosts = Hosts()
        self.name, self.dir, self.switch = self.hosts.id, self.hosts.dir, self.hosts.switch
        self.server = self.hosts.add('server')
        self.nodes = {}
        for i in range(agents):
            name = f'n{i + 1}'
            self.nodes[name] = self.hosts.add(name, segments[i] if segments else 0)
        self.options = list(options)
        self.registry = f'{self.server.address}:4566'
        self.authority = os.path.join(self.server.disk, 'gantry', 'ca.pem')
        self.door = Door(self.server, 4566)
        self.endpoint = f'https://127.0.0.1:{self.door.port}'
        self.tokens = []
        self.programs = {}  # host's name -> its server or agent

    # --- life

    def start(self):
        self.start_server()
        for name in self.nodes:
            self.start_agent(name)
        wait_for(lambda: len(self.connected()) == len(self.nodes), 40)
        return self

    def start_server(self):
        self._spawn(self.server, 'gantry-server', (), '--listen', '0.0.0.0:4566')
        wait_for(self._answers, 30)

    def start_agent(self, name, *more, label=None, before=()):
        """Its attribute `host` is its name, or `label`. `before`: a command line that runs it."""
        host = self.nodes[name]
        host.sh(f'(umask 77; echo {self.token()} > /run/token)')
        self._spawn(host, 'gantry-agent', before, '--join', f'https://{self.registry}', '--token-file',
                    '/run/token', '--name', self.instance(host.name), '--node', name,
                    '--attribute', f'host={label or name}', '--zone', f'zone-{name}',
                    *self.options, *more)

    def token(self):
        if not self.tokens:
            self.tokens = self.server.sh(f'{BIN}/gantry token --uses 100 create').split()
        return self.tokens[0]

    def instance(self, name):
        return f'{self.name}-{name}'  # cgroups are the only thing that hosts share

    def _spawn(self, host, program, before, *words):
        with open(os.path.join(self.dir, host.name + '.log'), 'ab') as log:
            self.programs[host.name] = host.spawn(
                *before, os.path.join(BIN, program), *words, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)

    def _answers(self):
        assert self.programs['server'].poll() is None, self.read_log()
        try:
            return os.path.exists(os.path.join(self.server.disk, 'gantry', 'root.key')) and \
                self.client('sts').get_caller_identity()
        except Exception:
            return None

    def kill(self, host, program):
        """SIGKILL to every process of `program` on the host; how many there were."""
        host = self.hosts.hosts[host]
        count = host.kill(program)
        if program in ('gantry-server', 'gantry-agent'):
            self.programs[host.name].wait()
        return count

    def unplug(self, host):
        self.hosts.hosts[host].unplug()
        self.programs.pop(host).wait()
        self._remove_cgroups(self.hosts.hosts[host])

    def boot(self, host):
        """Power is back: what starts at boot is started."""
        self.hosts.hosts[host].boot()
        self.start_server() if host == 'server' else self.start_agent(host)

    def end(self):
        self.door.end()
        self.hosts.end()
        for p in self.programs.values():
            p.wait()
        for host in self.hosts.hosts.values():
            self._remove_cgroups(host)

    def _remove_cgroups(self, host):
        """Empty as soon as the host's processes are gone."""
        for hierarchy in (CGROUPS, *(os.path.join(CGROUPS, d) for d in os.listdir(CGROUPS))):
            top = os.path.join(hierarchy, self.instance(host.name))
            for path, _, _ in os.walk(top, topdown=False):
                wait_for(lambda: self._rmdir(path), 10)

    def _rmdir(self, path):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True

    # --- what tests ask

    def read_log(self):
        text = ''
        for name in self.hosts.hosts:
            try:
                with open(os.path.join(self.dir, name + '.log'), errors='replace') as f:
                    text += f'--- {name}\n{f.read()[-4000:]}\n'
            except FileNotFoundError:
                pass
        return text

    def key(self):
        with open(os.path.join(self.server.disk, 'gantry', 'root.key')) as f:
            return json.load(f)

    def client(self, service, timeout=10, endpoint=None, **more):
        key = self.key()
        return boto3.client(service, endpoint_url=endpoint or self.endpoint, region_name='us-east-1',
                            verify=self.authority, aws_access_key_id=key['accessKeyId'],
                            aws_secret_access_key=key['secretAccessKey'],
                            config=Config(retries={'max_attempts': 0}, inject_host_prefix=False,
                                          connect_timeout=timeout, read_timeout=timeout), **more)

    def instances(self):
        """container instance ARN -> its description."""
        ecs = self.client('ecs')
        arns = ecs.list_container_instances()['containerInstanceArns']
        if not arns:
            return {}
        found = ecs.describe_container_instances(containerInstances=arns)['containerInstances']
        return {i['containerInstanceArn']: i for i in found}

    def node_names(self):
        """container instance ARN -> the host's name, from what the agents keep."""
        names = {}
        for name, host in self.nodes.items():
            try:
                with open(os.path.join(host.disk, 'gantry', 'agent', 'node.json')) as f:
                    names[json.load(f)['containerInstanceArn']] = name
            except (FileNotFoundError, KeyError):
                pass
        return names

    def node_of(self, task):
        return self.node_names()[task['containerInstanceArn']]

    def instance_of(self, node):
        return next(arn for arn, name in self.node_names().items() if name == node)

    def connected(self):
        """Names of the nodes that the server hears from."""
        names = self.node_names()
        return {names[arn] for arn, i in self.instances().items()
                if i['agentConnected'] and arn in names}

    def wait_connected(self, *nodes, seconds=40):
        wait_for(lambda: self.connected() == set(nodes), seconds, 0.2)

    def push(self, layout, name):
        """Pushes an OCI layout with skopeo as repository:tag, from the server's host."""
        ecr = self.client('ecr')
        try:
            ecr.create_repository(repositoryName=name.split(':')[0])
        except ecr.exceptions.RepositoryAlreadyExistsException:
            pass
        token = ecr.get_authorization_token()['authorizationData'][0]['authorizationToken']
        certs = os.path.join(self.dir, 'certs')
        os.makedirs(certs, exist_ok=True)
        shutil.copy(self.authority, os.path.join(certs, 'ca.crt'))
        subprocess.run(self.server.ns.enter_net(
            'skopeo', 'copy', '--quiet', '--dest-cert-dir', certs, '--dest-creds',
            base64.b64decode(token).decode(), f'oci:{layout}:latest',
            f'docker://{self.registry}/{name}'), check=True)
        return f'{self.registry}/{name}'
