"""Several hosts in one machine: each a set of namespaces (network, mounts, processes, host name) with
a /run and a /var/lib of its own, joined by links to a switch in a further network namespace.

A host lives as long as its process 1. Killing that is pulling its plug: every process on it is gone
at once, its interfaces and mounts with it. /var/lib is the host's disk: it stays. All hosts die with
the process that made them, however that ends.

Links fail as asked: cut (both ways or one), delay, loss, rate. The kernel here may lack netem, so loss
is a rule of nftables, rate a token bucket, and delay a process that carries the frames.
"""
import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import uuid

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run(*words, **more):
    r = subprocess.run(words, capture_output=True, text=True, **more)
    assert r.returncode == 0, f'{words}: {r.stderr}'
    return r.stdout


class Namespaces:
    """Process 1 of a set of namespaces; `what` are unshare's options, `prepare` a script that it runs
    first."""

    def __init__(self, what, prepare=''):
        self.holder = subprocess.Popen(
            ['unshare', *what, '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c',
             f'set -e\n{prepare}\necho up; exec >&-\nwhile :; do sleep 1000 & wait; done'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_die_with_parent,
            start_new_session=True)
        assert self.holder.stdout.readline() == b'up\n', self.holder.stderr.read()
        with open(f'/proc/{self.holder.pid}/task/{self.holder.pid}/children') as f:
            self.init = int(f.read().split()[0])

    def enter(self, *words):
        """A command line that runs `words` inside."""
        return ['nsenter', '-t', str(self.init), '--mount', '--uts', '--net', '--pid', '--', *words]

    def enter_net(self, *words):
        """Only its network: files are those of the machine."""
        return ['nsenter', '-t', str(self.init), '--net', '--', *words]

    def end(self):
        if self.holder.poll() is None:
            os.kill(self.init, signal.SIGKILL)
            self.holder.wait()

    def socket(self, *args):
        """A socket of its network, for this process."""
        mine = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        theirs = os.open(f'/proc/{self.init}/ns/net', os.O_RDONLY)
        try:
            assert _libc.setns(theirs, 0x40000000) == 0  # CLONE_NEWNET, this thread only
            try:
                return socket.socket(*args)
            finally:
                assert _libc.setns(mine, 0x40000000) == 0
        finally:
            os.close(mine)
            os.close(theirs)


def _no_offload(ns, interface):
    """Frames that a program carries need their checksums, and must not be longer than the MTU."""
    with ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in (0x17, 0x1f, 0x25, 0x2c):  # ETHTOOL_STXCSUM, STSO, SGSO... where it has them
            value = bytearray(struct.pack('II', command, 0))
            address = (ctypes.c_char * len(value)).from_buffer(value)
            try:
                fcntl.ioctl(s, 0x8946, struct.pack('16sP', interface.encode(),
                                                   ctypes.addressof(address)))
            except OSError:
                pass


class Link:
    """Between a host and the switch. Ways: 'out' (from the host), 'in' (to it), 'both'."""

    def __init__(self, switch, host):
        self.switch, self.host = switch, host
        self.port = 'p' + host.name
        self.cuts, self.losses, self.carrier = set(), {}, None

    def _ways(self, way):
        return ('out', 'in') if way == 'both' else (way,)

    def cut(self, way='both'):
        self.cuts.update(self._ways(way))
        self.switch.load()

    def loss(self, percent, way='both'):
        self.losses.update({w: percent for w in self._ways(way)})
        self.switch.load()

    def rate(self, kbit):
        for command in (self.host.ns.enter('tc', 'qdisc', 'replace', 'dev', 'eth0'),
                        self.switch.ns.enter('tc', 'qdisc', 'replace', 'dev', self.port)):
            run(*command, 'root', 'tbf', 'rate', f'{kbit}kbit', 'burst', '16k', 'latency', '200ms')

    def delay(self, ms):
        """Each way. A process takes the frames from the port and gives them to the bridge later."""
        self._undelay()
        _no_offload(self.host.ns, 'eth0')
        self.carrier = subprocess.Popen(
            self.switch.ns.enter_net(sys.executable, os.path.abspath(__file__), self.port,
                                     str(ms / 1000), self.host.bridge),
            stdout=subprocess.PIPE, preexec_fn=_die_with_parent)
        assert self.carrier.stdout.readline() == b'up\n'

    def _undelay(self):
        if self.carrier:
            self.carrier.kill()
            self.carrier.wait()
            self.carrier = None
            run(*self.switch.ns.enter('ip', 'link', 'set', self.port, 'master', self.host.bridge))

    def end(self):
        """Of the cable: its far end goes with its host, in the kernel's own time."""
        if self.carrier:
            self.carrier.kill()
            self.carrier.wait()
            self.carrier = None
        subprocess.run(self.switch.ns.enter_net('ip', 'link', 'del', self.port), check=True)

    def heal(self):
        self.cuts.clear()
        self.losses.clear()
        self._undelay()
        for command in (self.host.ns.enter('tc', 'qdisc', 'del', 'dev', 'eth0', 'root'),
                        self.switch.ns.enter('tc', 'qdisc', 'del', 'dev', self.port, 'root')):
            subprocess.run(command, stderr=subprocess.DEVNULL)
        self.switch.load()


class Switch:
    """A bridge for each segment, 10.99.<segment>.0/24, and a router (.1) between them."""

    def __init__(self):
        self.ns = Namespaces(['--net', '--mount', '--uts'],
                             'ip link set lo up\necho 1 > /proc/sys/net/ipv4/ip_forward')
        self.segments, self.links, self.pairs = set(), [], set()

    def add(self, host):
        if host.segment not in self.segments:
            self.segments.add(host.segment)
            self.sh(f'ip link add {host.bridge} type bridge && '
                    f'ip address add 10.99.{host.segment}.1/24 dev {host.bridge} && '
                    f'ip link set {host.bridge} up')
        self.connect(host)
        host.link = Link(self, host)
        self.links.append(host.link)

    def connect(self, host):
        self.sh(f'ip link add p{host.name} type veth peer name eth0 netns {host.ns.init} && '
                f'ip link set p{host.name} master {host.bridge} up')
        run(*host.ns.enter('sh', '-ec', f'ip link set lo up; ip link set eth0 up\n'
                           f'ip address add {host.address}/24 dev eth0\n'
                           f'ip route add default via 10.99.{host.segment}.1'))

    def sh(self, script):
        return run(*self.ns.enter_net('sh', '-c', script))

    def part(self, some, others):
        """A partition: no frame goes between a host of `some` and one of `others`, in one segment."""
        self.pairs.update((a.link.port, b.link.port) for x, y in ((some, others), (others, some))
                          for a in x for b in y)
        self.load()

    def heal(self):
        self.pairs.clear()
        for link in self.links:
            link.heal()

    def load(self):
        chains = {'prerouting': [], 'postrouting': [], 'forward': []}
        for link in self.links:
            for way, chain, match in (('out', 'prerouting', f'iifname {{ {link.port}, d{link.port} }}'),
                                      ('in', 'postrouting', f'oifname {{ {link.port}, d{link.port} }}')):
                if way in link.cuts:
                    chains[chain].append(f'{match} drop')
                if link.losses.get(way):
                    chains[chain].append(f'{match} numgen random mod 100 < {link.losses[way]} drop')
        for a, b in sorted(self.pairs):
            chains['forward'].append(f'iifname {{ {a}, d{a} }} oifname {{ {b}, d{b} }} drop')
        text = 'table bridge faults\ndelete table bridge faults\ntable bridge faults {\n'
        for hook, rules in chains.items():
            text += f'chain {hook} {{ type filter hook {hook} priority 0\n' + '\n'.join(rules) + '\n}\n'
        run(*self.ns.enter('nft', '-f', '-'), input=text + '}\n')


class Host:
    def __init__(self, switch, folder, name, number, segment=0):
        self.switch, self.name, self.segment = switch, name, segment
        self.address, self.bridge = f'10.99.{segment}.{number}', f'br{segment}'
        self.disk = os.path.join(folder, name)  # its /var/lib
        os.makedirs(self.disk, exist_ok=True)
        self._boot()
        switch.add(self)

    def _boot(self):
        self.ns = Namespaces(
            ['--net', '--mount', '--uts'],
            f'mount -t tmpfs -o mode=755 tmpfs /run; mount --bind {self.disk} /var/lib\n'
            f'hostname {self.name}')

    def boot(self):
        """After unplug(): the same disk, an empty /run."""
        self._boot()
        self.switch.connect(self)

    def unplug(self):
        self.link.end()
        self.ns.end()

    def spawn(self, *words, **more):
        return subprocess.Popen(self.ns.enter(*words), preexec_fn=_die_with_parent, **more)

    def sh(self, script, check=True):
        r = subprocess.run(self.ns.enter('sh', '-c', script), capture_output=True, text=True,
                           timeout=60)
        assert not check or r.returncode == 0, f'{self.name}: {script}: {r.stdout}{r.stderr}'
        return r.stdout if check else r

    def processes(self):
        """pid on this machine -> its words, of all on the host but process 1 and its sleep."""
        found, space = {}, os.readlink(f'/proc/{self.ns.init}/ns/mnt')
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    words = f.read().decode(errors='replace').split('\0')[:-1]
                # Containers have mounts of their own: they are not counted.
                if words and os.readlink(f'/proc/{pid}/ns/mnt') == space:
                    found[int(pid)] = words
            except OSError:
                continue
        return found

    def pids(self, program):
        return [pid for pid, words in self.processes().items()
                if os.path.basename(words[0]) == program]

    def kill(self, program, sig=signal.SIGKILL):
        """Every process of that program on the host; how many there were."""
        pids = self.pids(program)
        for pid in pids:
            os.kill(pid, sig)
        return len(pids)


class Hosts:
    """A switch and the hosts on it, with a folder for their disks."""

    def __init__(self):
        self.id = 'c' + uuid.uuid4().hex[:6]
        self.dir = tempfile.mkdtemp(prefix='gantry-hosts-', dir='/var/tmp')
        self.hosts, self.switch, self.numbers = {}, Switch(), itertools.count(10)

    def add(self, name, segment=0):
        h = Host(self.switch, self.dir, name, next(self.numbers), segment)
        self.hosts[name] = h
        return h

    def remove(self, name):
        h = self.hosts.pop(name)
        h.unplug()
        self.switch.links.remove(h.link)

    def end(self):
        for h in self.hosts.values():
            h.unplug()
        self.switch.ns.end()
        shutil.rmtree(self.dir, ignore_errors=True)


# --- the carrier of delayed frames: `hosts.py PORT SECONDS BRIDGE`, in the switch's namespace

def _carry(port, seconds, bridge):
    import collections
    import select
    import time
    tap = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH', b'd' + port.encode(), 0x1002))  # TAP | NO_PI
    run('ip', 'link', 'set', 'd' + port, 'master', bridge, 'up')
    run('ip', 'link', 'set', port, 'nomaster')
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((port, 0))
    wire.setblocking(False)
    print('up', flush=True)
    queues = {'in': collections.deque(), 'out': collections.deque()}
    while True:
        now = time.monotonic()
        for queue, write in ((queues['in'], wire.send), (queues['out'], lambda f: os.write(tap, f))):
            while queue and queue[0][0] <= now:
                try:
                    write(queue.popleft()[1])
                except OSError:
                    pass  # a full queue loses frames, as a wire does
        due = min((q[0][0] for q in queues.values() if q), default=now + 1)
        ready, _, _ = select.select([tap, wire], [], [], max(0, due - now))
        now = time.monotonic() + seconds
        if tap in ready:
            queues['in'].append((now, os.read(tap, 65536)))
        if wire in ready:
            frame, address = wire.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                queues['out'].append((now, frame))


if __name__ == '__main__':
    _carry(sys.argv[1], float(sys.argv[2]), sys.argv[3])
