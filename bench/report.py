"""Figures: what was measured, beside what, and whether the goal was met."""
import json
import math


def median(v):
    return quantile(v, 0.5)


def quantile(v, q):
    v = sorted(v)
    return v[min(len(v) - 1, max(0, math.ceil(q * len(v)) - 1))]


def spread(samples):
    return {'median': median(samples), 'p99': quantile(samples, 0.99), 'min': min(samples),
            'n': len(samples)}


class Figure:
    """gantry, each of peers, and floor: a number, or a spread of samples (a dict)."""

    def __init__(self, name, unit, gantry, peers=None, floor=None, goal='', met=None, note=''):
        self.name, self.unit, self.gantry, self.floor = name, unit, gantry, floor
        self.peers, self.goal, self.met, self.note = peers or {}, goal, met, note

    def ratios(self):
        mine = _number(self.gantry)
        of = dict(self.peers, **({'floor': self.floor} if self.floor else {}))
        return {k: round(mine / _number(v), 4) for k, v in of.items() if v and _number(v)}

    def object(self):
        return {'name': self.name, 'unit': self.unit, 'gantry': self.gantry, 'peers': self.peers,
                'floor': self.floor, 'ratio': self.ratios(), 'goal': self.goal, 'met': self.met,
                **({'note': self.note} if self.note else {})}


def _number(v):
    return v['median'] if isinstance(v, dict) else v


def _text(v):
    return f'{v:,.0f}' if v >= 1000 else f'{v:.3g}' if v < 10 else f'{v:.1f}'


def _row(figure, who, v, ratio):
    p99 = _text(v['p99']) if isinstance(v, dict) else ''
    return (figure, who, _text(_number(v)), p99, ratio)


def show(figures, as_json):
    if as_json:
        for f in figures:
            print(json.dumps(f.object()), flush=True)
        return
    for f in figures:
        ratios = f.ratios()
        rows = [('', '', 'median', 'p99', 'Gantry / it'), _row('', 'Gantry', f.gantry, '')]
        for k, v in {**f.peers, **({'floor': f.floor} if f.floor else {})}.items():
            rows.append(_row('', k, v, f'{ratios[k]:.3g}' if k in ratios else ''))
        met = {True: 'met', False: 'MISSED', None: 'no goal'}[f.met]
        print(f'\n{f.name}, {f.unit}: {met}' + (f' (goal: {f.goal})' if f.goal else ''))
        for r in rows:
            print(f'  {r[1]:<22}{r[2]:>12}{r[3]:>12}{r[4]:>14}')
        if f.note:
            print('  ' + f.note)
