#!/usr/bin/python3
"""Holds the code against the house: lint.py includes|format|words|documents.

includes  an #include may only point the way of the arrows in ARCHITECTURE.md
format    clang-format 14 agrees
words     no banned function, no path of a developer's machine
documents docs/coverage.md is current, ARCHITECTURE.md shows this house, links and paths lead somewhere
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# folder -> prefixes that its files may include beside their own folder
LIB = ['lib/']
HOUSE = {
    'lib/base': [],
    'lib/crypto': ['lib/base'],
    'lib/safepath': ['lib/base'],
    'lib/netlink': ['lib/base'],
    'lib/oci': ['lib/base', 'lib/crypto'],
    'lib/wire': ['lib/base', 'lib/crypto'],
    'lib/http': ['lib/base', 'lib/crypto', 'lib/wire'],
    'lib/policy': ['lib/base', 'lib/wire'],
    'store/record': ['lib/base'],
    'store/journal': ['lib/base', 'store/record'],
    'store/blobs': ['lib/base', 'lib/crypto', 'lib/oci'],
    'store/registry': ['lib/base', 'lib/crypto', 'lib/oci', 'store/blobs'],
    'store/logs': ['lib/base'],
    'store/backup': ['lib/base', 'lib/crypto'],
    'control/core': LIB + ['store/record', 'store/journal'],
    'control/scheduler': ['lib/base'],
    'control/services': LIB + ['store/', 'control/core', 'control/scheduler', 'control/server/route.h'],
    'control/server': LIB + ['store/', 'control/core', 'control/services'],
    'control/sim': LIB + ['store/', 'control/core', 'control/services', 'control/scheduler'],
    'control/simulate': LIB + ['store/', 'control/core', 'control/services', 'control/scheduler',
                               'control/sim/'],
    'node/runtime': ['lib/base', 'lib/safepath'],
    'node/shim': ['lib/base', 'lib/safepath', 'node/runtime'],
    'node/image': LIB + ['store/blobs'],
    'node/net': ['lib/base', 'lib/netlink', 'lib/safepath'],
    'node/volume': ['lib/base', 'lib/safepath'],
    'node/link': ['lib/base'],
    'node/agent': LIB + ['node/', 'store/blobs'],
    'cmd': ['lib/', 'store/', 'control/', 'node/', 'cmd/'],
}
BANNED = {'strcpy': 'gt_strdup or a gt_buf', 'strcat': 'a gt_buf', 'sprintf': 'snprintf',
          'vsprintf': 'vsnprintf', 'gets': 'a gt_buf', 'strtok': 'gt_str', 'system': 'no shell',
          'popen': 'no shell', 'alloca': 'an arena', 'atoi': 'strtol', 'mktemp': 'mkstemp'}


def tracked(*patterns):
    out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '--', *patterns],
                         cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [f for f in out.splitlines() if os.path.exists(os.path.join(ROOT, f))]


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as f:
        return f.read()


def room_of(path):
    inner = path[len('src/'):]
    fits = [room for room in HOUSE if inner.startswith(room + '/')]
    return max(fits, key=len) if fits else None


def includes():
    bad = 0
    for path in tracked('src/*.c', 'src/*.h'):
        room = room_of(path)
        if room is None:
            print(f'{path}: in no room of the house (tools/lint.py)')
            bad += 1
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            to = m.group(1)
            if to.startswith(room + '/') or any(to.startswith(p) for p in HOUSE[room]):
                continue
            print(f'{path}:{number}: {room} may not include "{to}"')
            bad += 1
    return bad


def format_():
    files = tracked('*.c', '*.h')
    r = subprocess.run(['clang-format-14', '--dry-run', '-Werror', *files], cwd=ROOT,
                       capture_output=True, text=True)
    lines = [l for l in r.stderr.splitlines() if 'error:' in l]
    print('\n'.join(lines[:20]), end='\n' if lines else '')
    return len(lines) if r.returncode else 0


def words():
    bad = 0
    call = re.compile(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(')
    for path in tracked('src/*.c', 'src/*.h'):
        for number, line in enumerate(read(path).splitlines(), 1):
            m = call.search(line)
            if m and not line.lstrip().startswith(('*', '/*', '//')):
                print(f'{path}:{number}: {m.group(1)}() is banned: use {BANNED[m.group(1)]}')
                bad += 1
    home = re.compile(r'(?<![\w}])/' + 'work/|(?<![\w}])/' + 'root/|/home/' + r'\w+/')
    for path in tracked():
        if path.startswith('fuzz/corpus/'):
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            if home.search(line):
                print(f'{path}:{number}: a path of somebody\'s machine')
                bad += 1
    return bad


def house_in(text):
    block = text.split('<!-- house:', 1)[-1].split('<!-- /house -->')[0]
    rooms = [l.split() for l in block.splitlines() if l.startswith('    ')]
    return {r[0]: [] if r[1:] == ['nothing', 'of', 'ours'] else r[1:] for r in rooms}


def documents():
    findings = []
    r = subprocess.run([sys.executable, os.path.join(ROOT, 'tools/gen_coverage.py'), '--check'],
                       capture_output=True, text=True)
    if r.returncode:
        findings.append(r.stderr.strip())
    shown = house_in(read('ARCHITECTURE.md'))
    for room in sorted(set(shown) | set(HOUSE)):
        if shown.get(room) != HOUSE.get(room):
            findings.append(f'ARCHITECTURE.md: {room} is {shown.get(room)}, here {HOUSE.get(room)}')
    for path in (p for p in DOCUMENTS if os.path.exists(os.path.join(ROOT, p))):
        findings += dead_ends(path)
    for path in tracked('docs/*.md'):
        findings += dead_ends(path)
    index = read('docs/adr/README.md')
    for path in tracked('docs/adr/[0-9]*.md'):
        if os.path.basename(path) not in index:
            findings.append(f'{path}: not in docs/adr/README.md')
    print('\n'.join(findings), end='\n' if findings else '')
    return len(findings)


DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md']


def dead_ends(path):
    """Relative links, and `paths` in back quotes that name a file of the repository."""
    text, here = read(path), os.path.dirname(path)
    for to in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', text):
        if not os.path.exists(os.path.join(ROOT, here, to)):
            yield f'{path}: link to {to} leads nowhere'
    tops = '|'.join(['src', 'tests', 'tools', 'fuzz', 'api', 'docs', 'man', 'packaging'] +
                    sorted({room.split('/')[0] for room in HOUSE}))
    for name in re.findall(r'`((?:' + tops + r')/[\w./-]+\.(?:c|h|py|md|json|scd|build|txt))`', text):
        if not any(os.path.exists(os.path.join(ROOT, base, name)) for base in ('', 'src')):
            yield f'{path}: `{name}` is not there'
    known = {os.path.basename(p) for p in tracked('src/*', 'tests/*', 'fuzz/*', 'bench/*', 'tools/*')}
    for name in re.findall(r'`(\w+\.[ch])`', text):
        if name not in known | {'utils.c'}:  # the one that there must never be
            yield f'{path}: no file is called `{name}`'


CHECKS = {'includes': includes, 'format': format_, 'words': words, 'documents': documents}

if __name__ == '__main__':
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    sys.exit(1 if CHECKS[sys.argv[1]]() else 0)
