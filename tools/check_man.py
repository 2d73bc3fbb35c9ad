#!/usr/bin/python3
"""Every verb of gantry has a page, and verbs, options and pages name the same things.

    tools/check_man.py build/src/cmd/gantry man/
"""
import pathlib
import re
import subprocess
import sys

# Verbs that execute a program of its own, and the page of that program.
PROGRAMS = {'server': 'gantry-server.8', 'agent': 'gantry-agent.8', 'link': 'gantry-link.8'}
SHARED = {'--help'}


def out(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def options(text):
    return set(re.findall(r'--[a-z][a-z-]*', text)) - SHARED


def plain(page):
    return re.sub(r'[*_\\]', '', page.read_text())


def described(text):
    """Options that begin a paragraph of their own under OPTIONS."""
    inside = text.split('# OPTIONS', 1)[-1].split('\n# ')[0] if '# OPTIONS' in text else ''
    return options('\n'.join(l for l in inside.splitlines() if l.startswith('-')))


def main(gantry, man):
    man, bad = pathlib.Path(man), []
    built = (man / 'meson.build').read_text()
    verbs = re.findall(r'^  (\w+) ', out(gantry, 'help'), re.M)
    top = plain(man / 'gantry.1.scd')
    listed = {w for l in re.findall(r'^\*[^\n]*$', (man / 'gantry.1.scd').read_text(), re.M)
              for w in re.findall(r'\*(\w+)\*', l)}
    for verb in verbs:
        name = PROGRAMS.get(verb, f'gantry-{verb}.1')
        page = man / f'{name}.scd'
        if not page.exists():
            bad.append(f'verb {verb}: no {page}')
            continue
        if f"'{name}'" not in built:
            bad.append(f'{page}: not in man/meson.build')
        if verb not in listed:
            bad.append(f'verb {verb}: not in man/gantry.1.scd')
        has, says = options(out(gantry, verb, '--help')), described(plain(page))
        bad += [f'{page}: {o} is not described' for o in sorted(has - says)]
        bad += [f'{page}: {verb} has no {o}' for o in sorted(says - has)]
    for page in man.glob('gantry-*.1.scd'):
        if page.name.split('-', 1)[1].split('.')[0] not in verbs:
            bad.append(f'{page}: no such verb')
    if 'gantry help' not in top:
        bad.append('man/gantry.1.scd: does not say how to list the verbs')
    print('\n'.join(bad) or f'{len(verbs)} verbs and their pages agree')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
