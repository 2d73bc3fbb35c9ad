"""A container writes lines of 100 bytes: from the call that starts it until the last can be read."""
import time

from instance import Bench, NETWORK
from peers import Peers
from report import Figure, spread

LINES = 2_000_000
MB = LINES * 100 / 1e6
LIMIT = 180  # s


def until(what, begin):
    while not what():
        if time.monotonic() - begin > LIMIT:
            raise RuntimeError(f'the last line could not be read within {LIMIT} s')
        time.sleep(0.02)
    return MB / (time.monotonic() - begin)


def gantry(b, logs):
    begin = time.monotonic()
    arn = b.ecs.run_task(taskDefinition='logs', networkConfiguration=NETWORK)['tasks'][0]['taskArn']
    stream = f'bench/main/{arn.rsplit("/", 1)[1]}'

    def there():
        try:
            e = logs.get_log_events(logGroupName='bench', logStreamName=stream, limit=1)['events']
        except logs.exceptions.ResourceNotFoundException:
            return False
        return bool(e) and e[-1]['message'].startswith('done')
    rate = until(there, begin)
    n = count(logs, stream)
    if n < LINES:
        raise RuntimeError(f'{n} lines of {LINES} can be read')
    return rate, n


def count(logs, stream):
    """All of it, as a client reads it; not part of what is measured."""
    n, token = 0, {}
    while True:
        r = logs.get_log_events(logGroupName='bench', logStreamName=stream, startFromHead=True,
                                **token)
        n += len(r['events'])
        if r['nextForwardToken'] == token.get('nextToken'):
            return n
        token = {'nextToken': r['nextForwardToken']}


def peer(run, driver):
    begin = time.monotonic()
    c = run('run', '-d', '--log-driver', driver, 'docker.io/library/probe:1', '--lines',
            str(LINES)).stdout.strip()
    run('wait', c)
    rate = until(lambda: run('logs', '--tail', '1', c).stdout.startswith('done'), begin)
    run('rm', '-f', c)
    return rate


def main(rounds, peers_too=True):
    b, p = Bench(), None
    events = []
    samples = {'gantry': [], 'docker json-file': [], 'podman k8s-file': []}
    try:
        logs = b.gantry.client('logs')
        logs.create_log_group(logGroupName='bench')
        b.define('logs', ['--lines', str(LINES)], log={'logDriver': 'awslogs', 'options': {
            'awslogs-group': 'bench', 'awslogs-region': 'us-east-1',
            'awslogs-stream-prefix': 'bench'}})
        p = Peers(b.layout, b.out) if peers_too else None
        for _ in range(rounds):
            rate, n = gantry(b, logs)
            samples['gantry'].append(rate)
            events.append(n)
            if p:
                samples['docker json-file'].append(peer(p.docker, 'json-file'))
                samples['podman k8s-file'].append(peer(p.podman, 'k8s-file'))
    finally:
        if p:
            p.close()
        b.close()
    mine = spread(samples['gantry'])
    return [Figure('logs', 'MB/s', mine, {k: spread(v) for k, v in samples.items()
                                         if v and k != 'gantry'}, None, '>= 100 MB/s',
                   mine['median'] >= 100, f'{MB:.0f} MB of 100-byte lines; '
                   f'{LINES} lines became {events} events')]
