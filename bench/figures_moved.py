# SPDX-License-Identifier: Apache-2.0
"""`bench call`, `bench cpu`, `bench io`, `bench freeze`: a program that measures itself where it runs.

bench/probe.cc runs twice: natively, and preloaded on a development cluster, moved to its second node with `om migrate`.
Both get their commands in turn on stdin. The measured code runs away from home: the probe's place is checked before and
after.
"""

import os
import statistics
import subprocess

from om_cluster import Cluster
from om_product import BrokenSetup, remove_work, work_directory

ROUNDS = 11
SHORT_ROUNDS = 101  # of a few milliseconds: other work on the machine disturbs only a few
REPLY_LIMIT = 120


class Asked:
    """A program that answers one number to every line."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, env=environment)
        self.pid = self.process.pid

    def __call__(self, line):
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ''
        if not answer:
            status = self.process.wait(REPLY_LIMIT)
            raise BrokenSetup(f'{self.process.args[0]}: ended with status {status} at "{line}"')
        return float(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Away:
    """A cluster of two nodes with a probe on it, native and preloaded. `plain`: without encryption."""

    def __init__(self, product, plain=False):
        self.product = product
        self.base = work_directory(None, 'bench')
        self.cluster = Cluster(product, self.base / 'c', 2, ['--plain'] if plain else [])
        self.open = []

    def __enter__(self):
        try:
            self.cluster.start()
            probe = [str(self.product.build / 'bench' / 'bench_probe'), str(self.base / 'file')]
            plain = self.cluster.environment()
            loaded = {**plain, 'LD_PRELOAD': self.product.preload}
            self.native = self.keep(Asked(probe, plain))
            self.moved = self.keep(Asked(probe, loaded))
        except BaseException:
            self.__exit__()
            raise
        return self

    def keep(self, asked):
        self.open.append(asked)
        return asked

    def __exit__(self, *_):
        for asked in self.open:
            asked.__exit__()
        problem = self.cluster.stop()
        remove_work(self.base)
        if problem:
            raise BrokenSetup(f'om cluster dev stop: {problem}')

    def move(self, to):
        move = self.cluster.migrate(self.moved.pid, to)
        if not move.real():
            raise BrokenSetup(f'the probe did not move: {move}')
        return move.data

    def check_away(self):
        done = self.cluster.run('where', str(self.moved.pid), env=self.cluster.environment())
        if done.stdout.strip() != 'n2':
            raise BrokenSetup(f'the probe is not on n2 but "{done.stdout.strip()}"')


def pin():
    """Pins this process and its children to one CPU; returns which."""
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return f'every process of both nodes, and the native ones, to CPU {cpu}'


def ratio(above, below):
    """Of the medians."""
    return statistics.median(above) / statistics.median(below)


def call(product, rounds):
    rounds = rounds or SHORT_ROUNDS
    before = os.sched_getaffinity(0)
    figures = {'call.pinning': pin(), 'call.rounds': rounds}
    with Away(product) as away:
        ping = away.keep(Asked([str(product.build / 'bench' / 'bench_ping_pong')]))
        away.move('n2')
        # Which probe, which command, how often in one turn.
        turns = {'ping': (ping, '{}', 200), 'empty': (away.moved, 'empty {}', 160),
                 'native_call': (away.native, 'empty {}', 20000),
                 'getpid': (away.moved, 'getpid {}', 1600),
                 'native_yield': (away.native, 'yield {}', 6000),
                 'yield': (away.moved, 'yield {}', 1200),
                 'native_clock': (away.native, 'clock {}', 120000),
                 'clock': (away.moved, 'clock {}', 120000)}
        times = {name: [] for name in turns}
        for who, line, count in turns.values():
            who(line.format(count))  # caches are warm from here on
        away.check_away()
        for _ in range(rounds):
            for name, (who, line, count) in turns.items():
                times[name].append(who(line.format(count)))
        away.check_away()
    os.sched_setaffinity(0, before)
    figures.update({
        'call.empty_ratio': ratio(times['empty'], times['ping']),
        'call.trap_ratio': ratio(times['getpid'], times['native_call']),
        'call.yield_ratio': ratio(times['yield'], times['native_call']),
        'call.clock_ratio': ratio(times['clock'], times['native_clock']),
    })
    figures.update({f'call.{name}_ns': statistics.median(values)
                    for name, values in times.items()})
    return figures


def cpu(product, rounds):
    rounds = rounds or SHORT_ROUNDS
    before = os.sched_getaffinity(0)
    figures = {'cpu.pinning': pin(), 'cpu.rounds': rounds}
    with Away(product) as away:
        away.move('n2')
        count = max(1, int(4e6 / away.native('cpu 50')))  # 4 ms
        native, moved = [], []
        away.check_away()
        for turn in range(rounds):
            for side in (native, moved) if turn % 2 else (moved, native):
                who = away.native if side is native else away.moved
                side.append(who(f'cpu {count}'))
        away.check_away()
    os.sched_setaffinity(0, before)
    figures.update({'cpu.ratio': ratio(moved, native),
                    'cpu.minima_ratio': min(moved) / min(native),
                    'cpu.native_ms': statistics.median(native) * count / 1e6,
                    'cpu.away_ms': statistics.median(moved) * count / 1e6})
    return figures


def io(product, rounds, mib=200):
    """A file at home, in the page cache, read from the other node: throughput compared to a bare connection."""
    rounds = rounds or ROUNDS
    with Away(product) as away:
        raw = away.keep(Asked([str(product.build / 'bench' / 'bench_ping_pong'), 'stream']))
        away.native(f'write {mib}')
        away.move('n2')
        turns = {'raw': (raw, str(mib)), 'read': (away.moved, f'read {mib}'),
                 'write': (away.moved, f'write {mib}'),
                 'native_read': (away.native, f'read {mib}'),
                 'native_write': (away.native, f'write {mib}')}
        times = {name: [] for name in turns}
        for who, line in turns.values():
            who(line)
        away.check_away()
        for _ in range(rounds):
            for name, (who, line) in turns.items():
                times[name].append(who(line))
        away.check_away()
    figures = {'io.pinning': 'none', 'io.rounds': rounds, 'io.mib': mib,
               'io.read_ratio': ratio(times['raw'], times['read']),
               'io.write_ratio': ratio(times['raw'], times['write'])}
    figures.update({f'io.{name}_mb_per_s': (1 << 20) * 1e3 / statistics.median(values)
                    for name, values in times.items()})
    return figures


def freeze(product, rounds, mib=64, reserved_tib=8):
    rounds = rounds or ROUNDS
    name = f'freeze.{mib}'
    there, back, with_reserve = [], [], []
    with Away(product) as away:
        away.moved(f'fill {mib}')

        def there_and_back():
            yield away.move('n2')
            away.moved('check 1')
            yield away.move('home')
            away.moved('check 1')

        for _ in range(rounds):
            out, home = there_and_back()
            there.append(out)
            back.append(home)
            away.moved(f'reserve {reserved_tib}')
            with_reserve.append(tuple(there_and_back()))
            away.moved('release 1')

    def median(records, key):
        return statistics.median(record[key] for record in records)

    def speed(records):
        return statistics.median(r['bytes_raw'] / 1e3 / r['freeze_ms'] for r in records)

    def more(plain, way):
        """The cost of reserved address space: uses the minima, because it is small next to the rest of a freeze."""
        return (min(records[way]['freeze_ms'] for records in with_reserve)
                - min(record['freeze_ms'] for record in plain))

    return {'freeze.pinning': 'none', 'freeze.rounds': rounds,
            'freeze.reserved_more_ms': more(there, 0),
            'freeze.reserved_home_more_ms': more(back, 1),
            f'{name}.freeze_ms': median(there, 'freeze_ms'),
            f'{name}.mb_per_s': speed(there),
            f'{name}.total_ms': median(there, 'total_ms'),
            f'{name}.bytes_raw': median(there, 'bytes_raw'),
            f'{name}.home_freeze_ms': median(back, 'freeze_ms'),
            f'{name}.home_mb_per_s': speed(back)}
