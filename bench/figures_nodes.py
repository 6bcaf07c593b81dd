# SPDX-License-Identifier: Apache-2.0
"""What TLS between nodes costs: two clusters of two nodes, one under TLS and one with `--plain`, take turns.

`wire.rpc_ratio`: a hello, by bench/hello.cc, which speaks to a node as another one does. `wire.admit_ratio`: a whole
`om migrate` of a process of 4 MiB there and back, between nodes that have a connection. `wire.first_ms`: the same
with the connection to be made first, from the same measurements.
"""

import json
import os
import pathlib
import statistics
import subprocess

from figures_moved import pin, ratio
from om_cluster import Cluster
from om_product import BrokenSetup, remove_work, work_directory

ROUNDS = 21
SIZE_MIB = 4
TARGETS = {'wire.rpc_ratio': 1.3, 'wire.admit_ratio': 1.1}
PROGRAM = f'import time; block = bytearray(b"x" * ({SIZE_MIB} << 20)); print(len(block), flush=True); time.sleep(1e6)'


class Side:
    """A cluster, a process of n1 to move, and a node's voice to speak to n1 with."""

    def __init__(self, product, base, name, more=()):
        self.cluster = Cluster(product, base / name, 2, more)
        self.open = []
        try:
            self.cluster.start()
            self.job = self.start(['/usr/bin/python3', '-c', PROGRAM],
                                  {**self.cluster.environment(), 'LD_PRELOAD': product.preload})
            self.job.stdout.readline()
            identity = [] if more else [str(pathlib.Path(self.cluster.directory, 'n2', 'identity'))]
            # Without TLS a node is known by its address.
            address = {entry['name']: entry['address'] for entry in self.nodes()}
            self.voice = self.start([str(product.build / 'bench' / 'bench_hello'), address['n2'].rsplit(':', 1)[0],
                                     address['n1'], 'n2', *identity])
        except BaseException:
            self.end()
            raise

    def start(self, command, environment=None):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.open.append(process)
        return process

    def nodes(self):
        done = self.cluster.run('nodes', '--json', env=self.cluster.environment())
        return json.loads(done.stdout)

    def hello(self):
        """Microseconds for a connection and its first hello, and for one more."""
        self.voice.stdin.write('\n')
        self.voice.stdin.flush()
        answer = self.voice.stdout.readline().split()
        if len(answer) != 2:
            raise BrokenSetup('a node does not answer')
        return [float(number) for number in answer]

    def move(self):
        """Milliseconds and bytes for the way there; then it comes back."""
        there = None
        for to in ('n2', 'home'):
            move = self.cluster.migrate(self.job.pid, to)
            if not move.real():
                raise BrokenSetup(f'the process did not move: {move}')
            there = there or (move.data['total_ms'], move.data['bytes_raw'])
        return there

    def end(self):
        for process in self.open:
            process.kill()
            process.communicate()
        problem = self.cluster.stop()
        if problem:
            raise BrokenSetup(f'om cluster dev stop: {problem}')


def measure(product, rounds):
    rounds = rounds or ROUNDS
    before = os.sched_getaffinity(0)
    figures = {'wire.nodes_pinning': pin(), 'wire.nodes_rounds': rounds}
    base = work_directory(None, 'bench')
    sides = {}
    try:
        for name, more in (('tls', ()), ('plain', ('--plain',))):
            sides[name] = Side(product, base, name, more)
        first, hello, move, sizes = ({name: [] for name in sides} for _ in range(4))
        for number in range(rounds + 1):
            for name, side in sides.items():
                made, answered = side.hello()
                moved, size = side.move()
                if number:  # caches are warm after the first
                    first[name].append(made)
                    hello[name].append(answered)
                    move[name].append(moved)
                    sizes[name].append(size)
    finally:
        for side in sides.values():
            side.end()
        remove_work(base)
        os.sched_setaffinity(0, before)
    figures.update({
        'wire.rpc_ratio': ratio(hello['tls'], hello['plain']),
        'wire.admit_ratio': ratio(move['tls'], move['plain']),
        'wire.first_ms': statistics.median(move['tls']) + statistics.median(first['tls']) / 1000,
        'wire.hello_us': statistics.median(hello['tls']),
        'wire.plain_hello_us': statistics.median(hello['plain']),
        'wire.connect_us': statistics.median(first['tls']),
        'wire.plain_connect_us': statistics.median(first['plain']),
        'wire.admit_ms': statistics.median(move['tls']),
        'wire.plain_admit_ms': statistics.median(move['plain']),
        'wire.admit_bytes': statistics.median(sizes['tls']),
    })
    return figures
