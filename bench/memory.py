"""Memory as PSS: idle, and what each running container adds beyond its own."""
import time

from instance import Bench
from peers import Peers, processes, pss_kb
from report import Figure

OWN = ('probe',)  # what the containers themselves are


def total(marks, wanted=None):
    """KiB of all processes with these marks, but for the containers' own."""
    return sum(pss_kb(pid) for pid, comm in processes(marks).items()
               if comm not in OWN and (wanted is None or comm in wanted))


def settle(marks):
    """The smaller of a few looks: pools are filled and caches given back in the background."""
    low = None
    for _ in range(4):
        time.sleep(1)
        now = total(marks)
        low = now if low is None else min(low, now)
    return low


def gantry(b, count):
    g = b.gantry
    marks = [g.run_dir, g.name]
    b.define('wait', ['--wait'])
    b.run('wait')
    time.sleep(1)
    parts = {}
    for pid, comm in processes(marks).items():
        if comm not in OWN:
            parts[comm] = parts.get(comm, 0) + pss_kb(pid)
    one = settle(marks)
    b.run('wait', count)
    many = settle(marks)
    idle = sum(parts.get(n, 0) for n in ('gantry-server', 'gantry-agent', 'gantry-link'))
    return idle, (many - one) / count, parts


def docker(p, count):
    daemons = total(p.marks(), ('dockerd', 'containerd'))
    p.docker('run', '-d', 'probe:1', '--wait')
    one = settle(p.marks())
    for _ in range(count):
        p.docker('run', '-d', 'probe:1', '--wait')
    each = (settle(p.marks()) - one) / count
    p.docker('rm', '-f', *p.docker('ps', '-aq').stdout.split())
    return daemons, each


def podman(p, count):
    before = settle(p.marks())
    for _ in range(count):
        p.podman('run', '-d', 'docker.io/library/probe:1', '--wait')
    return (settle(p.marks()) - before) / count


def main(rounds, peers_too=True):
    b, p = Bench(), None
    try:
        idle, each, parts = gantry(b, rounds)
        d_idle = d_each = p_each = None
        if peers_too:
            p = Peers(b.layout, b.out)
            d_idle, d_each = docker(p, min(rounds, 10))
            p_each = podman(p, min(rounds, 10))
    finally:
        if p:
            p.close()
        b.close()
    mib = {k: round(v / 1024, 2) for k, v in sorted(parts.items())}
    return [
        Figure('idle memory', 'MiB PSS', idle / 1024,
               {'dockerd + containerd': d_idle / 1024} if d_idle else {}, None,
               'server + agent + link <= 20 MB', idle * 1024 <= 20e6, f'parts: {mib}'),
        Figure('memory a container', 'MiB PSS', each / 1024,
               {'docker': d_each / 1024, 'podman': p_each / 1024} if d_each else {}, None,
               '<= 0.3 MB beyond its own', each * 1024 <= 0.3e6)]
