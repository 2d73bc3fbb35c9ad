"""Where the benchmarks' release build is."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get('GANTRY_BENCH_BUILD', os.path.join(ROOT, 'build-bench'))


def program(name):
    return os.path.join(BUILD, 'bench', name)
