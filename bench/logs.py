"""A container writes lines of 100 bytes: from the call that starts it until the last can be read. And
how fast it writes when nobody takes its lines: the agent, or the server, is stopped."""
import glob
import os
import re
import signal
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


BUFFER = 8 << 20  # of the containers that write while somebody is stopped
MISSING = re.compile(r'\[gantry: (\d+) bytes of output are missing here: .*\]')


def writer(b, logs, name, who=None):
    """MB/s as the writer sees it, with a process stopped; the spool's greatest size on disk, and
    what the log says is missing, in bytes."""
    took, go = os.path.join(b.out, name), os.path.join(b.out, name + '.go')
    b.define('writer', ['--lines', str(LINES), f'/out/{name}', f'/out/{name}.go'], log=log_of(
        **{'mode': 'non-blocking', 'max-buffer-size': str(BUFFER)}))
    arn = b.run('writer')[0]
    task = arn.rsplit('/', 1)[1]
    spool = glob.glob(f'{b.gantry.state}/agent/spool/{task}/*.log')[0]
    pid = b.gantry.pid_of(who) if who else None
    if pid:
        os.kill(pid, signal.SIGSTOP)
    try:
        open(go, 'w').close()
        begin, size = time.monotonic(), 0
        while not os.path.exists(took) or os.path.getsize(took) == 0:
            if time.monotonic() - begin > LIMIT:
                raise RuntimeError(f'the writer was held up for more than {LIMIT} s')
            if os.path.exists(spool):
                size = max(size, os.stat(spool).st_blocks * 512)
            time.sleep(0.002)
        if who and os.path.exists(spool):
            size = max(size, os.stat(spool).st_blocks * 512)
    finally:
        if pid:
            os.kill(pid, signal.SIGCONT)
    b.ecs.get_waiter('tasks_stopped').wait(tasks=[arn], WaiterConfig={'Delay': 1})
    with open(took) as f:
        rate = MB / (int(f.read()) / 1e9)
    return rate, size, accounted(logs, f'bench/main/{task}')


def accounted(logs, stream):
    """Bytes missing, as the log says; kept and missing together must be what was written."""
    kept, missing, marks, token, end = 0, 0, 0, {}, time.monotonic() + LIMIT
    while True:
        r = logs.get_log_events(logGroupName='bench', logStreamName=stream, startFromHead=True,
                                **token)
        for e in r['events']:
            m = MISSING.fullmatch(e['message'])
            if m:
                marks, missing = marks + 1, missing + int(m.group(1))
            else:
                kept += len(e['message']) + 1
        token = {'nextToken': r['nextForwardToken']}
        if not r['events']:
            # A line that was cut has no newline of its own.
            if abs(kept + missing - LINES * 100) <= marks:
                return missing
            if time.monotonic() > end:
                raise RuntimeError(f'{kept} bytes kept and {missing} missing of {LINES * 100}')
            time.sleep(0.5)


def log_of(**more):
    return {'logDriver': 'awslogs', 'options': {
        'awslogs-group': 'bench', 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 'bench',
        **more}}


WRITERS = {'healthy': None, 'agent stopped': 'gantry-agent', 'server stopped': 'gantry-server'}


def writer_figures(runs):
    healthy = spread([r[0] for r in runs['healthy']])
    figures = []
    for who in ('agent stopped', 'server stopped'):
        mine = spread([r[0] for r in runs[who]])
        figures.append(Figure(
            f'logs: a non-blocking writer, {who}', 'MB/s', mine, {'nobody stopped': healthy}, None,
            '>= 0.9 x nobody stopped, spool bounded, drops counted',
            mine['median'] >= 0.9 * healthy['median'] and
            max(r[1] for r in runs[who]) <= BUFFER + (1 << 20),
            f'buffer {BUFFER >> 20} MiB; spool on disk at most '
            f'{max(r[1] for r in runs[who]) / 2**20:.2f} MiB; bytes missing, by the log itself, of '
            f'{LINES * 100}: {", ".join(str(r[2]) for r in runs[who])} (nobody stopped: '
            f'{", ".join(str(r[2]) for r in runs["healthy"])})'))
    return figures


def main(rounds, peers_too=True):
    b, p = Bench(), None
    events = []
    samples = {'gantry': [], 'docker json-file': [], 'podman k8s-file': []}
    runs = {who: [] for who in WRITERS}
    try:
        logs = b.gantry.client('logs')
        logs.create_log_group(logGroupName='bench')
        b.define('logs', ['--lines', str(LINES)], log=log_of())
        p = Peers(b.layout, b.out) if peers_too else None
        for i in range(rounds):
            rate, n = gantry(b, logs)
            samples['gantry'].append(rate)
            events.append(n)
            if p:
                samples['docker json-file'].append(peer(p.docker, 'json-file'))
                samples['podman k8s-file'].append(peer(p.podman, 'k8s-file'))
            for who, process in WRITERS.items():
                runs[who].append(writer(b, logs, f'{who.split()[0]}{i}', process))
    finally:
        if p:
            p.close()
        b.close()
    mine = spread(samples['gantry'])
    return [Figure('logs', 'MB/s', mine, {k: spread(v) for k, v in samples.items()
                                         if v and k != 'gantry'}, None, '>= 100 MB/s',
                   mine['median'] >= 100, f'{MB:.0f} MB of 100-byte lines; '
                   f'{LINES} lines became {events} events')] + writer_figures(runs)
