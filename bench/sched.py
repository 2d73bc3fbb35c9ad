"""How many tasks the scheduler places in a second, from 10 to 10,000 nodes."""
import math
import subprocess

import report
from place import program

GOAL = 100_000


def measure():
    """name -> nodes -> ns of CPU a placement"""
    out = {}
    for line in subprocess.run([program('sched-rate')], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines():
        name, nodes, _, ns = line.split()
        out.setdefault(name, {})[int(nodes)] = float(ns)
    return out


def main(rounds, peers):
    runs = [measure() for _ in range(rounds)]
    figures = []
    for name in runs[0]:
        cost = {n: report.median([r[name][n] for r in runs]) for n in runs[0][name]}
        table = ', '.join(f'{n:,}: {v / 1000:.2f}' for n, v in cost.items())
        large, small = max(cost), 100
        grown = cost[large] / cost[small]
        rate = 1e9 / cost[large]
        figures.append(report.Figure(
            f'sched: {name}, {large:,} nodes, {100 * large:,} tasks', 'placements/s', rate,
            goal=f'>= {GOAL:,}/s', met=rate >= GOAL,
            note=f'µs of CPU a placement by nodes: {table}; from {small} nodes grown {grown:.1f} '
                 f'times, their logarithm {math.log(large) / math.log(small):.1f}'))
    return figures
