#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records which behaviour programs make which system calls, as seen by strace in native runs.

  call_coverage.py --build build > test/behaviour/calls.txt

A call counts from the program's first point on, when it may be away. One line per call, or call with a command
(ioctl:0x5401): its name and up to five programs, chosen from those that make the fewest calls. The system call table is
checked against it (gen_syscalls.py --require-tests): what the table serves away and has no line here has no test. For
developers; needs strace, which no test does.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

from om_behaviour import all_behaviours
from om_product import BrokenSetup, Product

SHOWN = 5
LINE = re.compile(r'^\d+\s+(?:<\.\.\. (\w+) resumed|(\w+)\(([^)<]*))')
# Calls with commands, and which argument is the command; strace prints their arguments as numbers.
COMMANDS = {'fcntl': 1, 'ioctl': 1, 'prctl': 0, 'msgctl': 1, 'semctl': 2}
FIRST_POINT = '/ready.1"'
HEAD = '''\
# Which behaviour programs make which system calls after their first point, written by
# test/lib/call_coverage.py. Do not edit.
'''


def trace_all(product, behaviours, folder):
    """Runs every program natively under strace; returns {name: trace file}."""
    traces = {}
    programs = folder / 'test' / 'behaviour'
    programs.mkdir(parents=True)
    for behaviour in behaviours:
        traces[behaviour.name] = folder / f'{behaviour.name}.trace'
        script = programs / behaviour.name
        script.write_text(f'#!/bin/sh\nexec strace -D -f -qq -e raw={",".join(COMMANDS)} -o {traces[behaviour.name]} '
                          f'{behaviour.binary(product)}\n', encoding='utf-8')
        script.chmod(0o755)
    suite = pathlib.Path(__file__).with_name('run_suite.py')
    # A few programs fail or skip because they are traced; what they did before still counts.
    subprocess.run([sys.executable, suite, '--build', folder, '--modes', 'native', '--suite',
                    'full'], stdout=sys.stderr, check=False)
    return traces


def plain_name(name):
    """"nr451" for a call whose name this strace does not know."""
    return f'nr{int(name[8:], 16)}' if name.startswith('syscall_0x') else name


def calls_of(trace):
    """The system calls in a trace from the first point on."""
    found, started = set(), False
    for line in trace.read_text(encoding='utf-8', errors='replace').splitlines():
        match = LINE.match(line)
        started = started or (FIRST_POINT in line and 'rename' in line)
        if started and match:
            name = plain_name(match.group(1) or match.group(2))
            found.add(name)
            if name in COMMANDS and match.group(3):
                command = int(match.group(3).split(', ')[COMMANDS[name]], 0)
                found.add(f'{name}:{command & 0xffffffff:#x}')
    return found


def main():
    parser = argparse.ArgumentParser(description='Which behaviour makes which system call.')
    parser.add_argument('--build')
    options = parser.parse_args()
    product = Product(options.build)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o777)
        traces = trace_all(product, all_behaviours(), folder)
        calls = {name: calls_of(path) for name, path in traces.items() if path.exists()}
    users = collections.defaultdict(list)
    for name in sorted(calls, key=lambda name: (len(calls[name]), name)):
        for call in calls[name]:
            users[call].append(name)
    print(HEAD, end='')
    for call in sorted(users):
        print(' '.join([call, *sorted(users[call][:SHOWN])]))
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except BrokenSetup as setup:
        print(f'broken set-up: {setup}', file=sys.stderr)
        sys.exit(99)
