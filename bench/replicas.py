"""20 replicas of a busybox service on one node: until all run, and until all are gone; beside
docker swarm on the same machine."""
import functools
import os
import subprocess
import time

from instance import Bench, ROOT, wait_for
from peers import Peers
from report import Figure, spread

COUNT = 20
until = functools.partial(wait_for, seconds=120, step=0.01)
# Ends at once when it is asked to: not the patience of a shell is measured.
COMMAND = ['sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait']


class Gantry:
    def __init__(self, b, layout):
        self.b = b
        image = b.gantry.push(layout, 'busybox:1')
        b.ecs.register_task_definition(family='replica', networkMode='bridge', containerDefinitions=[
            dict(name='main', image=image, command=COMMAND, memory=16)])

    def counts(self):
        s = self.b.ecs.describe_services(services=['replicas'])['services'][0]
        return s['runningCount'], s['pendingCount']

    def alive(self):
        """Tasks that have not stopped, whatever is wanted of them."""
        arns = [a for status in ('RUNNING', 'STOPPED') for a in self.b.ecs.list_tasks(
            family='replica', desiredStatus=status)['taskArns']]
        return sum(t['lastStatus'] != 'STOPPED' for i in range(0, len(arns), 100)
                   for t in self.b.ecs.describe_tasks(tasks=arns[i:i + 100])['tasks'])

    def up(self):
        self.b.ecs.create_service(serviceName='replicas', taskDefinition='replica', desiredCount=COUNT)
        until(lambda: self.counts() == (COUNT, 0))

    def down(self):
        self.b.ecs.delete_service(service='replicas', force=True)
        until(lambda: not self.alive())


class Swarm:
    def __init__(self, peers, layout):
        self.p = peers
        peers.docker('swarm', 'init', '--advertise-addr', '127.0.0.1')

    def replicas(self, state):
        tasks = self.p.engine.call('GET', '/v1.41/tasks?filters={"service":["replicas"]}')
        return sum(t['Status']['State'] == state for t in tasks)

    def up(self):
        self.p.docker('service', 'create', '--detach', '--no-resolve-image', '--name', 'replicas', '--replicas',
                      str(COUNT), '--limit-memory', '16m', 'probe:1', *COMMAND)
        until(lambda: self.replicas('running') == COUNT)

    def down(self):
        self.p.docker('service', 'rm', 'replicas')
        until(lambda: not self.p.engine.call('GET', '/v1.41/containers/json?all=true'))


def main(rounds, peers_too=True):
    b, p = Bench(), None
    layout = os.path.join(b.dir, 'busybox')
    samples = {}
    try:
        subprocess.run([os.path.join(ROOT, 'tools', 'make-image'), 'busybox', layout], check=True)
        sides = {'gantry': Gantry(b, layout)}
        if peers_too:
            p = Peers(layout, b.out)
            sides['docker swarm'] = Swarm(p, layout)
        for i in range(rounds + 1):
            for name, side in sides.items():
                for what in ('up', 'down'):
                    begin = time.monotonic()
                    getattr(side, what)()
                    if i:  # the first one fills caches
                        samples.setdefault((name, what), []).append((time.monotonic() - begin) * 1e3)
                    time.sleep(0.5)
    except subprocess.CalledProcessError as e:
        raise RuntimeError(f'{e}\n{e.stdout}\n{e.stderr}') from e
    finally:
        if p:
            p.docker('swarm', 'leave', '--force', check=False)
            p.close()
        b.close()
    return [figure(samples, 'up', f'{COUNT} replicas until all run'),
            figure(samples, 'down', f'{COUNT} replicas until all are gone')]


def figure(samples, what, name):
    mine = spread(samples['gantry', what])
    peers = {n: spread(v) for (n, w), v in samples.items() if w == what and n != 'gantry'}
    met = all(mine['median'] <= 0.1 * v['median'] for v in peers.values()) if peers else None
    return Figure(f'cluster: {name}', 'ms', mine, peers, goal='<= 0.1 x docker swarm', met=met)
