#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""python3 with six threads: Monte Carlo by blocks, locks, condition variables with time limits,
files, and a KeyboardInterrupt at the end, sent while the main thread waits."""

import os
import signal

from moving import MovingProgram, main

SCRIPT = '''\
import random, sys, threading, time

BLOCKS, TRIES = int(sys.argv[1]), 4000
lock, turn = threading.Lock(), threading.Condition()
todo, results = list(range(BLOCKS)), {}
log = open('log', 'w')


def block(number):
    generator = random.Random(number)
    hits = 0
    for _ in range(TRIES):
        x, y = generator.random(), generator.random()
        hits += x * x + y * y < 1
    return hits


def worker(name):
    while True:
        with lock:
            if not todo:
                return
            number = todo.pop()
        hits = block(number)
        with turn:
            results[number] = hits
            turn.notify()
            turn.wait(timeout=0.0005)


threads = [threading.Thread(target=worker, args=(i,)) for i in range(6)]
for thread in threads:
    thread.start()
reported = 0
with turn:
    while len(results) < BLOCKS:
        turn.wait(timeout=0.05)
        while reported in results:
            if reported % 50 == 0:
                log.write('%d %d\\n' % (reported, results[reported]))
            reported += 1
for thread in threads:
    thread.join()
log.close()
total = sum(results.values())
print('pi is about', 4 * total / (BLOCKS * TRIES))
print('checksum', sum(n * hits for n, hits in results.items()))
print('waiting', flush=True)
idle = threading.Condition()
try:
    with idle:
        while True:
            idle.wait(timeout=0.2)
except KeyboardInterrupt:
    print('interrupted')
    sys.exit(3)
'''


class PythonMonteCarlo(MovingProgram):
    name = 'python_monte_carlo'
    needs = ('/usr/bin/python3',)
    first_work = 4000  # blocks
    status = 3

    def make_input(self, folder, rng):
        (folder / 'monte_carlo.py').write_text(SCRIPT, encoding='ascii')

    def command(self, work):
        return ['/usr/bin/python3', '-B', 'monte_carlo.py', str(self.work)]

    def talk(self, run):
        run.wait_text('stdout', b'waiting\n')
        run.pace(1, 1)
        os.kill(run.process.pid, signal.SIGINT)


if __name__ == '__main__':
    main(PythonMonteCarlo)
