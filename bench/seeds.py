"""The simulator over as many seeds as are asked for, on all processors.

How far it came is kept in build-bench/seeds.json: a run that was cut off goes on from there; a run
that came to its end begins anew. A seed that fails is shown with the command that plays it again.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

import report
from place import BUILD

PROGRAM = os.path.join(BUILD, 'tests/sim/sim-ecs')
KEPT = os.path.join(BUILD, 'seeds.json')
CHUNK = 500  # one of them has thousands of nodes
FIGURES = {'calls': 'calls', 'tasks': 'tasks started', 'restarts': 'server restarts',
           'hours': 'hours'}


def play(first, n):
    """What became of so many seeds: figures, and what is to be said of those that failed."""
    r = subprocess.run([PROGRAM, '--seeds', str(first), str(n)], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    summary = re.search(r'^(\d+) seeds, (\d+) failed.*$', r.stdout, re.M)
    if not summary:  # a promise of the core's was broken
        return {}, n, f'seeds {first} to {first + n - 1}: the program ended with {r.returncode}'
    of = {k: float(re.search(rf'([\d.]+) {text}', summary.group()).group(1))
          for k, text in FIGURES.items()}
    said = r.stdout[:summary.start()] if summary.group(2) != '0' else ''
    return of, int(summary.group(2)), said


def load(total):
    try:
        with open(KEPT) as f:
            kept = json.load(f)
    except (OSError, ValueError):
        kept = {}
    fresh = {'next': 1, 'failed': 0, 'seconds': 0, 'figures': dict.fromkeys(FIGURES, 0)}
    return kept if kept.get('of') == total and kept['next'] <= total else {**fresh, 'of': total}


def save(kept):
    with open(KEPT + '.new', 'w') as f:
        json.dump(kept, f)
    os.replace(KEPT + '.new', KEPT)


def run(kept):
    jobs = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while kept['next'] <= kept['of']:
            begin = time.monotonic()
            firsts = [f for f in range(kept['next'], kept['next'] + jobs * 4 * CHUNK, CHUNK)
                      if f <= kept['of']]
            sizes = [min(CHUNK, kept['of'] - f + 1) for f in firsts]
            for of, failed, said in pool.map(play, firsts, sizes):
                kept['failed'] += failed
                for k, v in of.items():
                    kept['figures'][k] += v
                if said:
                    print(said, flush=True)
            kept['next'] = firsts[-1] + sizes[-1]
            kept['seconds'] += time.monotonic() - begin
            save(kept)
            print(f"{kept['next'] - 1:,} seeds, {kept['failed']} failed, "
                  f"{kept['seconds'] / 60:.1f} min", file=sys.stderr, flush=True)


def main(seeds, peers):
    kept = load(seeds)
    run(kept)
    of, seconds = kept['figures'], kept['seconds']
    note = (f"{seeds:,} seeds, {kept['failed']} failed; {of['calls']:,.0f} calls, "
            f"{of['tasks']:,.0f} tasks, {of['restarts']:,.0f} restarts of the server")
    return [report.Figure('seeds played', '1/min', seeds * 60 / seconds, goal='none fails',
                          met=kept['failed'] == 0, note=note),
            report.Figure('simulated time', 'h/s', of['hours'] / seconds)]
