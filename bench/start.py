"""RunTask call to the first instruction of the container; image present, awsvpc."""
import json
import os
import subprocess
import time

import floors
from instance import Bench, NETWORK, Wire
from peers import Peers
from report import Figure, median, spread

BETWEEN = 0.15  # s; see facts: below 60 ms the kernel hides what attaching to a cgroup costs


def said(path, seconds=30):
    """The ns that the probe wrote; the file is empty again afterwards."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(path) as f:
                text = f.read()
        except FileNotFoundError:
            text = ''
        if text.endswith('\n'):
            os.unlink(path)
            return int(text)
        time.sleep(0.002)
    raise RuntimeError(f'nothing was written to {path} within {seconds} s')


def gantry_start(wire, raw, path):
    begin, answered = wire.call(raw)
    first = said(path)
    return (first - begin) / 1e6, (answered - begin) / 1e6


def main(rounds, peers_too=True):
    b, p = Bench(), None
    samples = {k: [] for k in ('gantry', 'answer', 'docker run', 'docker engine API',
                               'podman run', 'floor')}
    path = os.path.join(b.out, 't')
    try:
        b.define('start', ['/out/t'])
        wire = Wire(b.gantry)
        body = json.dumps({'taskDefinition': 'start', 'networkConfiguration': NETWORK})
        target = 'AmazonEC2ContainerServiceV20141113.RunTask'
        p = Peers(b.layout, b.out) if peers_too else None
        floor = floors.Start(b)
        for i in range(rounds + 2):
            took = {}
            took['gantry'], took['answer'] = gantry_start(
                wire, wire.prepare('ecs', target, body), path)
            time.sleep(BETWEEN)
            took['floor'] = floor.one()
            time.sleep(BETWEEN)
            for k, f in (('docker run', 'start_docker'), ('docker engine API', 'start_engine'),
                         ('podman run', 'start_podman')) if p else ():
                begin = getattr(p, f)()
                took[k] = (said(path) - begin) / 1e6
                time.sleep(BETWEEN)
            for k, v in took.items():
                if i >= 2:  # the first ones fill caches, everyone's
                    samples[k].append(v)
        commit = floors.journal(b, 1, 4, apart_ms=int(BETWEEN * 1000))['ms']
        return figures(samples, commit)
    except subprocess.CalledProcessError as e:
        raise RuntimeError(f'{e}\n{e.stdout}\n{e.stderr}') from e
    finally:
        if p:
            p.close()
        b.close()


def figures(samples, commit):
    peers = {k: spread(samples[k]) for k in ('docker run', 'docker engine API', 'podman run')
             if samples[k]}
    mine, floor = spread(samples['gantry']), spread(samples['floor'])
    allowed = floor['median'] + commit + 4
    note = (f'floor {floor["median"]:.1f} + commit {commit:.2f} + 4 = {allowed:.1f} ms; '
            f'RunTask answered after {median(samples["answer"]):.1f} ms')
    out = [Figure('start', 'ms', mine, peers, floor, 'floor + commit + at most 4 ms',
                  mine['median'] <= allowed, note)]
    if peers:
        worst = max(mine['median'] / v['median'] for v in peers.values())
        out.append(Figure('start beside peers', 'ms', mine, peers, None, '<= 0.05 x each peer',
                          worst <= 0.05))
    return out
