"""Signed calls over kept connections, load generator on the same cores."""
import json
import os
import sqlite3
import subprocess

import floors
from instance import Bench
from report import Figure, median

CONNECTIONS, SECONDS = 64, 2
ECS = 'AmazonEC2ContainerServiceV20141113.'


def load(b, operation, body, connections=CONNECTIONS):
    key = b.gantry.key()
    r = subprocess.run([b.program('load'), '127.0.0.1', str(b.gantry.port), str(connections),
                        str(SECONDS), 'ecs', ECS + operation, json.dumps(body)],
                       capture_output=True, text=True,
                       env=dict(os.environ, AWS_ACCESS_KEY_ID=key['accessKeyId'],
                                AWS_SECRET_ACCESS_KEY=key['secretAccessKey']))
    if r.returncode:
        raise RuntimeError(r.stderr)
    return json.loads(r.stdout)


def entry_size(b):
    """What the journal keeps of one such RegisterTaskDefinition: input, record, who and when."""
    with sqlite3.connect(f'file:{b.gantry.state}/server/core.db?mode=ro', uri=True) as db:
        mean, = db.execute("SELECT avg(length(entry)) FROM (SELECT entry FROM log WHERE instr("
                           "entry, CAST('ecs.RegisterTaskDefinition' AS BLOB)) "
                           "ORDER BY rev DESC LIMIT 100)").fetchone()
    return round(mean)


def note(runs):
    return (f'p50 {median([r["p50_us"] for r in runs]) / 1000:.2f} ms, '
            f'p99 {median([r["p99_us"] for r in runs]) / 1000:.2f} ms a call; '
            f'{median([r["client_cpu_us"] for r in runs]):.0f} us CPU of the load generator a call')


def main(rounds, peers_too=True):
    b = Bench()
    runs = {k: [] for k in ('DescribeTasks', 'ListTasks', 'RegisterTaskDefinition', 'journal')}
    try:
        b.define('wait', ['--wait'])
        arn = b.run('wait')[0]
        size = len(json.dumps(b.ecs.describe_tasks(tasks=[arn])['tasks'][0], default=str))
        define = {'family': 'load', 'containerDefinitions': [
            {'name': 'main', 'image': b.image, 'memory': 64, 'command': ['%d'],
             'environment': [{'name': f'NAME_{i}', 'value': 'x' * 40} for i in range(12)]}]}
        for _ in range(rounds):
            runs['DescribeTasks'].append(load(b, 'DescribeTasks', {'tasks': [arn]}))
            runs['ListTasks'].append(load(b, 'ListTasks', {}))
            runs['RegisterTaskDefinition'].append(load(b, 'RegisterTaskDefinition', define))
            entry = entry_size(b)
            runs['journal'].append(floors.journal(b, CONNECTIONS, SECONDS, entry))
    finally:
        b.close()
    rate = {k: median([r['per_second'] for r in v]) for k, v in runs.items()}
    out = [Figure(name, 'calls/s, 64 connections', rate[name], {}, None, '>= 15,000/s',
                  rate[name] >= 15000, note(runs[name]) +
                  (f'; the task is {size} bytes' if name == 'DescribeTasks' else ''))
           for name in ('DescribeTasks', 'ListTasks')]
    durable = rate['RegisterTaskDefinition']
    out.append(Figure('RegisterTaskDefinition', 'calls/s, 64 connections', durable, {},
                      rate['journal'], '>= 0.7 x the journal alone',
                      durable >= 0.7 * rate['journal'], note(runs['RegisterTaskDefinition']) +
                      f'; an entry is {entry} bytes'))
    return out
