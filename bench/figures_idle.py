# SPDX-License-Identifier: Apache-2.0
"""`bench idle`: the cost of guests that do nothing.

Moves GUESTS programs that wait for input to the second node of a development cluster. Then reads from /proc the CPU
time that their keepers, bodies and deputies, and both daemons, use in WINDOW seconds, and scales it to a hundred
guests.
"""

import pathlib
import statistics
import subprocess
import time

from om_cluster import Cluster
from om_product import BrokenSetup, remove_work, work_directory

GUESTS = 24
WINDOW = 10     # seconds, a turn
ROUNDS = 5
PARTS = {'om-guest': 'keepers', 'om-body': 'bodies', 'om-deputy': 'deputies', 'om-migrator': 'daemons'}


def task_files(pid, name):
    return [(task / name).read_text(encoding='ascii') for task in pathlib.Path(f'/proc/{pid}/task').iterdir()]


def cpu_ns(pid):
    """CPU time of all threads, from the scheduler's own accounting."""
    return sum(int(text.split()[0]) for text in task_files(pid, 'schedstat'))


def helpers(directory):
    """The cluster's processes: program by process id. Bodies have no environment: find them through their keepers."""
    found, bodies = {}, set()
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            program = (folder / 'exe').readlink().name
            ours = str(directory).encode() in (folder / 'environ').read_bytes() + (folder / 'cmdline').read_bytes()
        except OSError:
            continue
        if program == 'om-body' or (program in PARTS and ours):
            found[int(folder.name)] = program
    for pid in [pid for pid, program in found.items() if program == 'om-guest']:
        bodies.update(int(child) for text in task_files(pid, 'children') for child in text.split())
    return {pid: program for pid, program in found.items() if program != 'om-body' or pid in bodies}


def measure(product, rounds):
    base = work_directory(None, 'bench')
    jobs = []
    try:
        with Cluster(product, base / 'c', 2) as cluster:
            environment = {**cluster.environment(), 'LD_PRELOAD': product.preload}
            for _ in range(GUESTS):
                jobs.append(subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                             env=environment))
            for job in jobs:
                move = cluster.migrate(job.pid, 'n2')
                if move.result != 'moved':
                    raise BrokenSetup(f'a guest stays at home: {move}')
            turns = [turn(base) for _ in range(rounds or ROUNDS)]
            for job in jobs:
                job.stdin.close()
                job.wait(60)
    finally:
        for job in jobs:
            job.kill()
            job.wait()
        remove_work(base)
    figures = {f'idle.{part}_cpu': statistics.median(t[part] for t in turns) for part in turns[0]}
    guests = [sum(ns for part, ns in t.items() if part != 'daemons') for t in turns]
    return {'idle.guests': GUESTS, 'idle.window_s': WINDOW, 'idle.guests_cpu': statistics.median(guests), **figures}


def turn(directory):
    """CPU seconds per second for a hundred guests, by part."""
    known = helpers(directory)
    if sum(program == 'om-guest' for program in known.values()) != GUESTS:
        raise BrokenSetup('not every guest has its keeper')
    start, before = time.monotonic(), {pid: cpu_ns(pid) for pid in known}
    time.sleep(WINDOW)
    used = {part: 0.0 for part in PARTS.values()}
    for pid, program in known.items():
        used[PARTS[program]] += cpu_ns(pid) - before[pid]
    scale = 100 / GUESTS / 1e9 / (time.monotonic() - start)
    return {part: ns * scale for part, ns in used.items()}
