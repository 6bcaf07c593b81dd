# SPDX-License-Identifier: Apache-2.0
"""`bench wire`: what encryption costs. Two clusters that differ in nothing else, one sealed, one plain, have a probe
(bench/probe.cc) each, which take turns.

    call_ratio   a forwarded empty call, everything on one CPU, as in `bench call`
    fill_ratio   MB/s of a move there: bytes sent for each millisecond for which the program stands still
"""

import os
import statistics

from figures_moved import SHORT_ROUNDS, Away, pin, ratio

TARGETS = {'wire.call_ratio': 1.25, 'wire.fill_ratio': 0.7}
AT_LEAST = ('wire.fill_ratio',)

CALLS = 160       # in one turn
FILL_ROUNDS = 7
FILL_MIB = 256


def calls(sides, rounds):
    """Nanoseconds of a call, by side."""
    times = {side: [] for side in sides}
    for away in sides.values():
        away.move('n2')
        away.moved(f'empty {CALLS}')  # caches are warm from here on
        away.check_away()
    for turn in range(rounds):
        for side in list(sides) if turn % 2 else reversed(list(sides)):
            times[side].append(sides[side].moved(f'empty {CALLS}'))
    for away in sides.values():
        away.check_away()
        away.move('home')
    return times


def fills(sides, rounds):
    """The records of moves there and of those back, by side."""
    there, back = {side: [] for side in sides}, {side: [] for side in sides}
    for away in sides.values():
        away.moved(f'fill {FILL_MIB}')
    for turn in range(rounds + 1):
        for side in list(sides) if turn % 2 else reversed(list(sides)):
            away = sides[side]
            out = away.move('n2')
            away.moved('check 1')
            home = away.move('home')
            away.moved('check 1')
            if turn > 0:  # the first is slower on both sides
                there[side].append(out)
                back[side].append(home)
    return there, back


def speeds(records):
    return [record['bytes_raw'] / 1e3 / record['freeze_ms'] for record in records]


def measure(product, rounds):
    before = os.sched_getaffinity(0)
    figures = {'wire.pinning': f'calls: {pin()}; moves: none', 'wire.rounds': rounds or SHORT_ROUNDS,
               'wire.fill_rounds': rounds or FILL_ROUNDS}
    with Away(product) as sealed, Away(product, plain=True) as plain:
        times = calls({'sealed': sealed, 'plain': plain}, rounds or SHORT_ROUNDS)
    os.sched_setaffinity(0, before)
    with Away(product) as sealed, Away(product, plain=True) as plain:
        there, back = fills({'sealed': sealed, 'plain': plain}, rounds or FILL_ROUNDS)
    figures['wire.call_ratio'] = ratio(times['sealed'], times['plain'])
    figures['wire.fill_ratio'] = ratio(speeds(there['sealed']), speeds(there['plain']))
    figures['wire.fill_home_ratio'] = ratio(speeds(back['sealed']), speeds(back['plain']))
    for side in ('sealed', 'plain'):
        figures[f'wire.{side}.call_ns'] = statistics.median(times[side])
        figures[f'wire.{side}.mb_per_s'] = statistics.median(speeds(there[side]))
        figures[f'wire.{side}.home_mb_per_s'] = statistics.median(speeds(back[side]))
    return figures
