# SPDX-License-Identifier: Apache-2.0
"""The behaviour programs: which exist, what each declares, and which moves a mode makes.

A program declares deviations from the defaults in comment lines of its source, `// om-KEY: value`:

  om-points: 2             it calls om_test_ready() twice (default 1); "moves": once for every move;
                           "each": as often as it likes, and every time all moves are made again
  om-expect: refused CODE  every move must be refused with this code
  om-transient: CODE       one more refusal that ends by itself; "none": every move is accepted at once
  om-status: signal 15     how it ends (default: exit 0); also "exit 3"
  om-output: free          stdout, stderr and files need not equal the native run's
  om-limit: 90             seconds for one mode (default 60)
  om-stays: away           at each point after the first it is still where it was moved to
  om-needs: root           what the machine must offer, else the case is skipped
  om-suite: full           not part of the quick selection
  om-link: -static         one more linker option (read by test/behaviour/meson.build)
  om-libc: musl            written in C and built with this C library; skipped where there is none
"""

import dataclasses
import os
import pathlib
import re
import shutil

from om_product import ROOT, BrokenSetup

SOURCES = ROOT / 'test' / 'behaviour'
COMPILERS = {'musl': 'musl-gcc'}  # of other C libraries
DIRECTIVE = re.compile(r'^// om-([a-z]+):\s*(.*?)\s*$')

# Where each mode moves the process, in order. The program starts at home (n1).
PLANS = {
    'native': (),
    'preload': (),
    'moved': ('n2',),
    'moved-back': ('n2', 'home'),
    'moved-twice': ('n2', 'home', 'n3', 'n2'),
    'restless': ('n2', 'n3', 'home', 'n2'),  # and so on, at random, until it ends
}
MODES = tuple(PLANS)
QUICK_MODES = ('native', 'preload', 'moved-back', 'moved-twice')


@dataclasses.dataclass
class Behaviour:
    name: str
    source: pathlib.Path
    points: str = '1'
    expect: str = ''
    transient: tuple = ()
    status: int = 0
    output_free: bool = False
    limit: float = 60
    stays_away: bool = False
    needs: tuple = ()
    suite: str = 'quick'
    libc: str = ''

    def binary(self, product):
        path = product.build / 'test' / 'behaviour' / self.name
        if not os.access(path, os.X_OK):
            raise BrokenSetup(f'{path} is not built')
        return str(path)

    def moves_at(self, point, plan):
        """The moves to make at a point (counted from 1); None if there is no such point."""
        if self.points == 'each':
            return list(plan)
        points = max(1, len(plan)) if self.points == 'moves' else int(self.points)
        if point > points:
            return None
        return list(plan[point - 1:] if point == points else plan[point - 1:point])


def parse_status(text, where):
    kind, _, number = text.partition(' ')
    if kind not in ('exit', 'signal') or not number.isdigit():
        raise BrokenSetup(f'{where}: om-status wants "exit N" or "signal N", not {text!r}')
    return int(number) if kind == 'exit' else -int(number)


def parse_source(path):
    """The declarations of one program. An unknown key is an error, not a comment."""
    result = Behaviour(path.stem, path)
    for line in path.read_text(encoding='utf-8').splitlines():
        match = DIRECTIVE.match(line)
        if not match:
            if line and not line.startswith('//'):
                break
            continue
        key, value = match.groups()
        if key == 'points' and (value in ('moves', 'each') or value.isdigit() and int(value) > 0):
            result.points = value
        elif key == 'expect' and re.fullmatch(r'refused [A-Z_]+', value):
            result.expect = value.split()[1]
        elif key == 'transient':
            result.transient = tuple(value.split())
        elif key == 'status':
            result.status = parse_status(value, path.name)
        elif key == 'output' and value == 'free':
            result.output_free = True
        elif key == 'limit' and value.isdigit():
            result.limit = float(value)
        elif key == 'stays' and value == 'away':
            result.stays_away = True
        elif key == 'needs':
            result.needs = tuple(value.split())
        elif key == 'link':
            pass
        elif key == 'libc' and value in COMPILERS and path.suffix == '.c':
            result.libc = value
        elif key == 'suite' and value in ('quick', 'full'):
            result.suite = value
        else:
            raise BrokenSetup(f'{path.name}: cannot use "{line}"')
    if path.suffix == '.c' and not result.libc:
        raise BrokenSetup(f'{path.name}: a program in C says with which om-libc it is built')
    return result


def all_behaviours(pattern='', suite='full'):
    """Every program whose name contains `pattern`, sorted; the quick suite leaves out long ones."""
    found = [parse_source(path) for path in sorted((*SOURCES.glob('*.cc'), *SOURCES.glob('*.c')))]
    return [b for b in found if pattern in b.name and (suite == 'full' or b.suite == 'quick')]


def missing_need(behaviour):
    """The first thing that the machine lacks for this program, or ''."""
    if behaviour.libc and shutil.which(COMPILERS[behaviour.libc]) is None:
        return f'needs {COMPILERS[behaviour.libc]}'
    for need in behaviour.needs:
        if need == 'root':
            if os.geteuid() != 0:
                return 'needs root'
        else:
            raise BrokenSetup(f'{behaviour.name}: unknown need {need!r}')
    return ''
