# SPDX-License-Identifier: Apache-2.0
"""`bench home`: the cost of loading libom.so into a program that stays at home.

User and system CPU time of whole processes, preloaded divided by native, each the minimum of 20 interleaved turns;
every process is pinned to one CPU. Also checks that a program makes the same system calls in both cases once libom's
constructor has run.
"""

import os
import re
import subprocess
import tempfile

from om_product import BrokenSetup

ROUNDS = 20
STARTS = 200
TURN_SECONDS = 0.25   # CPU time of one native turn: the fixed cost of loading is a small part
LIMIT = 120
# Random bytes, ids, the machine's activity; whether a lock or a thread must be waited for.
CHANGING = re.compile(r'(?<=^getrandom\()"[^"]*"|(?<=parent_tid=\[)\d+|(?<=^clone3\().* = \d+$|'
                      r'(?<=^sysinfo\().*|(?<=^getpid\().*|(?<=^getppid\().*|(?<=^gettid\().*')
WAITING = 'futex('
SET_PTRACER = re.compile(r'prctl\((PR_SET_PTRACER|0x59616d61)')


def run(command, cpu, preload=''):
    """Runs a command pinned to `cpu`; returns its user and system CPU time in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
    if preload:
        environment['LD_PRELOAD'] = preload
    child = os.fork()
    if child == 0:
        try:
            os.sched_setaffinity(0, {cpu})
            os.execve(command[0], command, environment)
        except OSError:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise BrokenSetup(f'{" ".join(command)}: wait status {status}')
    return usage.ru_utime + usage.ru_stime


def sized(command, cpu):
    """The command with a count that makes it use about TURN_SECONDS."""
    count = 100
    while True:
        used = run([*command, str(count)], cpu)
        if used > TURN_SECONDS / 8:
            return [*command, str(int(count * TURN_SECONDS / used))]
        count *= 4


def ratio(name, command, product, cpu, rounds):
    native, loaded = [], []
    for turn in range(rounds):
        # The order alternates too.
        for preload in ((False, True) if turn % 2 else (True, False)):
            used = run(command, cpu, product.preload if preload else '')
            (loaded if preload else native).append(used)
    return {f'home.{name}_ratio': min(loaded) / min(native),
            f'home.{name}_native_ms': min(native) * 1000,
            f'home.{name}_preloaded_ms': min(loaded) * 1000}


def starts(program, product, cpu, rounds):
    """200 starts of a program, one after the other."""
    sides = {'native': '', 'preloaded': product.preload}
    wall = {side: [] for side in sides}
    used = {side: [] for side in sides}
    for turn in range(rounds):
        for side in sorted(sides, reverse=turn % 2 == 1):
            done = subprocess.run(
                ['taskset', '-c', str(cpu), program, str(STARTS), sides[side], '/bin/true'],
                capture_output=True, text=True, timeout=LIMIT, check=True)
            wall_ns, cpu_ns = map(int, done.stdout.split())
            wall[side].append(wall_ns)
            used[side].append(cpu_ns)
    return {'home.start_ratio': min(used['preloaded']) / min(used['native']),
            'home.start_wall_ratio': min(wall['preloaded']) / min(wall['native']),
            'home.start_native_us': min(used['native']) / STARTS / 1000,
            'home.start_preloaded_us': min(used['preloaded']) / STARTS / 1000}


def trace(command, variable, preload):
    """The system calls of a command as printed by strace, without what differs in every run. `variable` is the variable
    that holds `preload`: programs copy their environment to the heap, so its size must always be the same."""
    with tempfile.NamedTemporaryFile('r', suffix='.strace') as log:
        extra = ['-E', f'{variable}={preload}']
        subprocess.run(['strace', '-a', '1', '-o', log.name, *extra, *command], check=True, timeout=LIMIT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = [line.rstrip() for line in log
                 if '(' in line and not line.startswith(WAITING)]
    return [re.sub(r'0x[0-9a-f]{6,}', 'ADDRESS', CHANGING.sub('CHANGING', line)) for line in lines]


def calls_after_constructor(command, preload):
    """The preloaded program's calls after libom's own, and as many of the native program's last ones.

    The calls just before must be the same too: only then are the same parts of both compared.
    """
    native, loaded = trace(command, 'NO_PRELOAD', preload), trace(command, 'LD_PRELOAD', preload)
    ours = [i for i, line in enumerate(loaded) if SET_PTRACER.match(line)]
    if len(ours) != 1:
        raise BrokenSetup(f'{len(ours)} calls of the constructor in a preloaded {command[0]}')
    after = loaded[ours[0] + 1:]
    return native[-len(after) - 1:], [loaded[ours[0] - 1], *after]


def same_calls(product):
    same, compared = True, 0
    commands = [[str(product.build / 'bench' / 'bench_load'), 'thread', '3'], ['/bin/true'],
                ['/bin/ls', '/'], ['/usr/bin/python3', '-c', 'import json'],
                ['/bin/sh', '-c', 'cd /; echo x >/dev/null']]
    for command in commands:
        native, loaded = calls_after_constructor(command, product.preload)
        compared += len(native)
        same = same and native == loaded
    return {'home.same_calls': same, 'home.compared_calls': compared}


def measure(product, rounds):
    rounds = max(ROUNDS, rounds or 0)
    cpu = max(os.sched_getaffinity(0))
    figures = {'home.pinning': f'every process to CPU {cpu}', 'home.rounds': rounds}
    load = str(product.build / 'bench' / 'bench_load')
    for kind in ('syscall', 'malloc', 'thread', 'clock'):
        figures.update(ratio(kind, sized([load, kind], cpu), product, cpu, rounds))
    figures.update(starts(str(product.build / 'bench' / 'bench_starts'), product, cpu, rounds))
    figures.update(same_calls(product))
    return figures
