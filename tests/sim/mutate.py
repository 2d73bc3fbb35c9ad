#!/usr/bin/python3
"""Makes copies of sources that have the deliberate bugs of mutants.txt in them, one at a time: which
one, the variable sim_mutant says when the program runs (0: none).

    mutate.py --files LIST            the sources that are to be copied, a line each
    mutate.py LIST SOURCES OUT        OUT/<path with _ for />: the copies; OUT/mutants.h: their names

A text that is not in its source exactly once makes no copy wrong: its mutant is marked as stale, and
the test says so.
"""
import os
import sys


def parse(path):
    mutants = []
    for line in open(path, encoding='utf-8'):
        line = line.rstrip('\n')
        kind, _, rest = line.partition(' ')
        if kind == 'mutant':
            mutants.append({'name': rest, 'old': [], 'new': []})
        elif kind == 'file':
            mutants[-1]['file'] = rest
        elif kind in '-+' and kind:
            mutants[-1]['old' if kind == '-' else 'new'].append(rest)
    for m in mutants:
        old, m['new'] = '\n'.join(m['old']), '\n'.join(m['new'])
        before, mark, tail = old.partition('[[')
        m['before'] = before if mark else ''
        m['old'], _, m['after'] = tail.partition(']]') if mark else (old, '', '')
    return mutants


def is_statement(text):
    return text.rstrip().endswith((';', '}'))


def mutated(old, alternatives):
    """alternatives: (number, new text)."""
    if is_statement(old):
        for number, new in alternatives:
            old = f'if (sim_mutant == {number}) {{ {new} }} else {{ {old} }}'
        return old
    for number, new in alternatives:
        old = f'(sim_mutant == {number} ? ({new}) : ({old}))'
    return old


def copy(path, text, mutants):
    """The source with all its mutants; those that are stale get 'stale'."""
    places = {}
    for m in mutants:
        whole = m['before'] + m['old'] + m['after']
        m['stale'] = text.count(whole) != 1
        if not m['stale']:
            places.setdefault((text.index(whole) + len(m['before']), m['old']), []).append(m)
    for (at, old), here in sorted(places.items(), reverse=True):
        new = mutated(old, [(m['number'], m['new']) for m in here])
        text = text[:at] + new + text[at + len(old):]
    return f'#line 1 "{path}"\nextern int sim_mutant;\n{text}'


def main():
    if sys.argv[1] == '--files':
        print('\n'.join(sorted({m['file'] for m in parse(sys.argv[2])})))
        return
    mutants, sources, out = parse(sys.argv[1]), sys.argv[2], sys.argv[3]
    for number, m in enumerate(mutants, 1):
        m['number'] = number
    for file in sorted({m['file'] for m in mutants}):
        path = os.path.join(sources, file)
        text = open(path, encoding='utf-8').read()
        with open(os.path.join(out, file.replace('/', '_')), 'w', encoding='utf-8') as f:
            f.write(copy(file, text, [m for m in mutants if m['file'] == file]))
    with open(os.path.join(out, 'mutants.h'), 'w', encoding='utf-8') as f:
        f.write('static const struct { const char *name; bool stale; } mutants[] = {\n')
        for m in mutants:
            f.write(f'    {{"{m["name"]}", {"true" if m["stale"] else "false"}}},\n')
        f.write('};\n')


if __name__ == '__main__':
    main()
