"""1,000,000 simulated tasks on 5,000 simulated nodes, from RunTask calls to all RUNNING."""
import subprocess
import tempfile

import report
from place import BUILD, program

TASKS, NODES = 1_000_000, 5_000


def call(*args):
    """What the program says: name -> number"""
    lines = subprocess.run([program('cluster-rate'), *map(str, args)], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    return {name: float(value) for name, value in map(str.split, lines)}


def folder():
    """On the disk that the build is on: not on one in memory."""
    return tempfile.TemporaryDirectory(prefix='state-', dir=BUILD)


def main(rounds, peers):
    runs = []
    for _ in range(rounds):
        with folder() as where:
            runs.append(call('run', where, TASKS, NODES))
    took = [r['running'] for r in runs]
    rate, memory = TASKS / report.median(took), report.median([r['memory'] for r in runs])
    last = runs[-1]
    note = (f'{TASKS:,} tasks, {NODES:,} nodes, {last["keys"]:,.0f} keys, {last["commits"]:,.0f} '
            f'commits, {last["journal"]:,.0f} bytes of journal a task')
    return [
        report.Figure('cluster: RunTask to all RUNNING', 's', report.median(took), goal='<= 300 s',
                      met=report.median(took) <= 300, note=f'{rate:,.0f} tasks/s; {note}'),
        report.Figure('cluster: memory of a task', 'bytes', memory, goal='<= 1,500',
                      met=memory <= 1500),
    ]
