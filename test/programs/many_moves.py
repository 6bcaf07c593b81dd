#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Moves one process many times (100 in the quick selection) and looks for what is left behind.

After moves 46..50 and after the last five the process is at the same places. At each of the five,
the processes of all nodes, their threads and their descriptors must be the same in number, and
resident memory must not have grown by more than 1 MiB, for each kind of process. In passing it is
checked that the process really computes where it is said to be: on whose account CPU time is used.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import time

from moving import om_process
from om_case import Failure
from om_cluster import Cluster
from om_product import (EXIT_FAILED, EXIT_OK, BrokenSetup, Product, drop_privileges,
                        remove_work, work_directory)

CYCLE = ('n2', 'n3', 'home', 'n2', 'home')
GROWTH = 1 << 20      # bytes
SETTLE = 10           # seconds for daemons to finish what a move started
WATCH = 1.0           # seconds over which CPU time is compared
TICK = os.sysconf('SC_CLK_TCK')


def kind_of(pid):
    """A name shared by processes with the same job: program and arguments but for numbers."""
    command = om_process.read_proc(pid, 'cmdline').split('\0')
    words = [word if re.fullmatch(r'n\d+', word) else re.sub(r'[0-9a-f]*\d[0-9a-f]*', '#', word)
             for word in command]
    return om_process.read_proc(pid, 'comm').strip() + ' ' + ' '.join(words).strip()


def measure(pid):
    """(threads, descriptors, resident bytes) of a process, None if it is gone."""
    status = dict(line.split(':', 1) for line in om_process.read_proc(pid, 'status').splitlines()
                  if ':' in line)
    if 'VmRSS' not in status:
        return None
    try:
        descriptors = len(os.listdir(f'/proc/{pid}/fd'))
    except OSError:  # a body may be closed to looks from outside
        descriptors = -1
    return int(status['Threads']), descriptors, int(status['VmRSS'].split()[0]) * 1024


def snapshot():
    """{kind: [processes, threads, descriptors, resident bytes]} of the cluster and the program."""
    found = collections.defaultdict(lambda: [0, 0, 0, 0])
    for pid in om_process.descendants(os.getpid()):
        figures = measure(pid)
        if figures:
            for index, figure in enumerate((1, *figures)):
                found[kind_of(pid)][index] += figure
    return dict(found)


def counts(shot):
    return {kind: figures[:3] for kind, figures in shot.items()}


def settled(program, want=None):
    """A snapshot once the counts stand still and are those of `want`, or as it is after SETTLE."""
    until = time.monotonic() + SETTLE
    last = None
    while True:
        om_process.reap_others((program,))
        shot = snapshot()
        still = last is not None and counts(shot) == counts(last)
        if (still and (want is None or counts(shot) == counts(want))) or time.monotonic() > until:
            return shot
        last = shot
        time.sleep(0.2)


def cpu_seconds(pid):
    fields = om_process.stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICK if fields else 0


def check_place(pid, place):
    """The CPU time of the next second is used at home exactly if the process is there."""
    def used():
        others = sum(cpu_seconds(one) for one in om_process.descendants(os.getpid()) if one != pid)
        return cpu_seconds(pid), others
    before = used()
    time.sleep(WATCH)
    after = used()
    home, elsewhere = after[0] - before[0], after[1] - before[1]
    if (home > elsewhere) != (place == 'home'):
        raise Failure(f'said to be at {place}, but used {home:.2f} s of CPU at home and '
                      f'{elsewhere:.2f} s elsewhere')


def difference(early, late):
    """What there is too much or too little of in `late`: lines of text."""
    lines = []
    for kind in sorted(early.keys() | late.keys()):
        old, new = early.get(kind, [0] * 4), late.get(kind, [0] * 4)
        for name, one, other in zip(('processes', 'threads', 'descriptors'), old, new):
            if one != other:
                lines.append(f'{kind}: {name} {one} -> {other}')
        if new[3] > old[3] + GROWTH:
            lines.append(f'{kind}: resident {old[3] >> 10} KiB -> {new[3] >> 10} KiB')
    return lines


def move_around(cluster, process, moves):
    first = 10 * len(CYCLE) - len(CYCLE)  # 45: the five moves behind it are measured
    early, problems = {}, []
    for number in range(1, moves + 1):
        index = (number - 1) % len(CYCLE)
        place = CYCLE[index]
        move = cluster.migrate(process.pid, place)
        if not move.real():
            raise Failure(f'move {number} {move}')
        if process.poll() is not None:
            raise Failure(f'the program ended after move {number}: {process.returncode}')
        if first < number <= first + len(CYCLE):
            early[index] = settled(process.pid)
            check_place(process.pid, place)
        elif number > moves - len(CYCLE):
            late = settled(process.pid, early[index])
            problems += [f'{place}, move {number}: {line}'
                         for line in difference(early[index], late)]
            check_place(process.pid, place)
    return problems


def run(options, product, base):
    cluster = Cluster(product, base / 'cluster').start()
    process = None
    try:
        work = base / 'work'
        work.mkdir()
        environment = {**product.environment(work), **cluster.environment(), 'HOME': str(work)}
        environment['LD_PRELOAD'] = environment.get('OM_PRELOAD') or product.preload
        process = subprocess.Popen([str(product.build / 'test/programs/steady')], cwd=work,
                                   env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, start_new_session=True)
        while not (work / 'state').exists() or not (work / 'state').stat().st_size:
            if process.poll() is not None:
                raise Failure(f'the program ended at its start: {process.returncode}')
            time.sleep(0.02)
        start = time.monotonic()
        problems = move_around(cluster, process, options.moves)
        print(f'{options.moves} moves in {time.monotonic() - start:.1f} s', flush=True)
        (work / 'stop').touch()
        output, _ = process.communicate(timeout=60)
        if process.returncode != 0 or output != b'sound\n':
            problems.append(f'the program ended with {process.returncode}: {output!r}')
        if problems:
            raise Failure('\n'.join(problems))
    finally:
        if process and process.poll() is None:
            om_process.kill_group(process.pid)
            process.wait()
        cluster.save_logs(base)
        problem = cluster.stop()
    if problem:
        raise Failure(f'om cluster dev stop: {problem}')
    left = om_process.end_descendants(grace=5)
    if left:
        raise Failure('left processes behind: ' + ', '.join(left))


def main():
    parser = argparse.ArgumentParser(description='Moves one process very often.')
    parser.add_argument('--build')
    parser.add_argument('--moves', type=int, default=200, help='a multiple of 5, at least 60')
    parser.add_argument('--work')
    options = parser.parse_args()
    if options.moves % len(CYCLE) or options.moves < 60:
        parser.error('--moves must be a multiple of 5 and at least 60')
    drop_privileges(options.work)
    base = work_directory(options.work, 'many')
    om_process.become_subreaper()
    try:
        run(options, Product(options.build), base)
    except Failure as failure:
        print(f'{failure}\nkept {base}', file=sys.stderr)
        return EXIT_FAILED
    remove_work(base)
    return EXIT_OK


if __name__ == '__main__':
    try:
        sys.exit(main())
    except BrokenSetup as setup:
        print(f'{setup.kind}: {setup}', file=sys.stderr)
        sys.exit(setup.status)
