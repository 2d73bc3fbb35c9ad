"""From the start of the core until its first answer, after a kill."""
import report
from cluster import NODES, call, folder

# tasks and the goal in seconds
CASES = [(10_000, 0.3), (1_000_000, 10)]


def main(rounds, peers):
    figures = []
    for tasks, goal in CASES:
        with folder() as where:
            call('run', where, tasks, NODES if tasks > 100_000 else 100)
            runs = [call('recover', where) for _ in range(rounds)]
        took = report.spread([r['serving'] for r in runs])
        figures.append(report.Figure(f'recover: {tasks:,} tasks until serving', 's', took,
                                     goal=f'<= {goal} s', met=took['median'] <= goal,
                                     note=f'{runs[-1]["resident"] / 2**20:,.0f} MiB resident'))
    return figures
