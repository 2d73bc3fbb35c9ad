"""What the parts cost by themselves, measured in the same run."""
import os
import re
import shutil
import subprocess


class Start:
    """clone with namespaces, overlay mount, exec."""

    def __init__(self, b):
        self.dir = os.path.join(b.dir, 'floor')
        for name in ('lower/out', 'upper', 'work', 'merged', 'shared'):
            os.makedirs(os.path.join(self.dir, name))
        shutil.copy(b.program('probe'), os.path.join(self.dir, 'lower', 'probe'))
        self.program = b.program('floor_start')

    def one(self):
        at = [os.path.join(self.dir, n) for n in ('lower', 'upper', 'work', 'merged', 'shared')]
        r = subprocess.run(['unshare', '-m', self.program, '1', *at], capture_output=True,
                           text=True, check=True)
        return int(r.stdout) / 1e6


def journal(b, in_flight, seconds, size=1500, apart_ms=0):
    """Group commit alone, on the same disk: entries a second, ms until one is durable."""
    r = subprocess.run([b.program('journal-floor'), b.dir, str(seconds), str(size),
                        str(in_flight), str(apart_ms)], capture_output=True, text=True, check=True)
    return {'per_second': float(re.search(r'([0-9]+) entries/s', r.stdout).group(1)),
            'ms': float(re.search(r'durable after +([0-9.]+) ms', r.stdout).group(1))}
