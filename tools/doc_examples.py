#!/usr/bin/python3
"""Runs the commands of docs/simulate.md and holds what it shows against what they print.

    tools/doc_examples.py build/src/cmd/gantry            says what differs
    tools/doc_examples.py build/src/cmd/gantry --write    writes it into the page

A command stands in a block of its own, ```console, after a "$ "; what follows is its output. A plot
(--svg docs/...) is held against the file that is there.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs/simulate.md'
BLOCK = re.compile(r'^```console\n\$ (gantry [^\n]*)\n(.*?)^```$', re.M | re.S)


def run(gantry, command):
    """What it prints, and its plots: {path in the repository: bytes}."""
    argv, plots = shlex.split(command), {}
    with tempfile.TemporaryDirectory() as tmp:
        for i, word in enumerate(argv):
            if word == '--svg':
                plots[argv[i + 1]] = pathlib.Path(tmp, f'{i}.svg')
                argv[i + 1] = str(plots[argv[i + 1]])
        r = subprocess.run([gantry, *argv[1:]], cwd=ROOT, capture_output=True, text=True)
        return r.stdout + r.stderr, {to: at.read_bytes() for to, at in plots.items() if at.exists()}


def main(gantry, write=False):
    gantry, page = str(pathlib.Path(gantry).resolve()), PAGE.read_text()
    stale, count = [], 0

    def block(m):
        nonlocal count
        count += 1
        printed, plots = run(gantry, m.group(1))
        if printed != m.group(2):
            stale.append(f'{PAGE.relative_to(ROOT)}: `{m.group(1)}` prints\n{printed}')
        for to, data in plots.items():
            there = ROOT / to
            if not there.exists() or there.read_bytes() != data:
                stale.append(f'{to} is another plot than `{m.group(1)}` draws')
                if write:
                    there.write_bytes(data)
        return f'```console\n$ {m.group(1)}\n{printed}```'

    new = BLOCK.sub(block, page)
    if write:
        PAGE.write_text(new)
        return 0
    print('\n'.join(stale) or f'{count} examples are as they are shown')
    return 1 if stale or not count else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], '--write' in sys.argv[2:]))
