# SPDX-License-Identifier: Apache-2.0
"""The part of `bench member` that runs daemons: development clusters on loopback addresses of this machine.

`member.idle_ratio`: what a node that has nothing to do costs in a cluster of LARGE nodes, in CPU time, against one in a
cluster of SMALL ones; both clusters run at the same time and are looked at in turns, after the connections of their
start have been closed. `member.detect_s`: the daemon of one of WATCHERS nodes is killed; how long it takes until all
others have noted that it is down, by the times of their events; the 95th percentile.
"""

import datetime
import json
import os
import pathlib
import signal
import statistics
import subprocess
import time

import om_process
from om_cluster import Cluster, daemons_of
from om_product import BrokenSetup, remove_work, work_directory

SMALL, LARGE = 6, 48
SETTLED = 75    # seconds after which links without use are closed
WINDOW = 12     # seconds, a turn
ROUNDS = 5
WATCHERS = 16
KILLS = 20
PATIENCE = 60   # seconds
TARGETS = {'member.idle_ratio': 1.3, 'member.detect_s': 5}


def cpu_s(pids):
    """CPU seconds of all threads."""
    tasks = [task for pid in pids for task in pathlib.Path(f'/proc/{pid}/task').iterdir()]
    return sum(int((task / 'schedstat').read_text(encoding='ascii').split()[0]) for task in tasks) / 1e9


def turn(directory):
    """CPU seconds per node and minute."""
    pids = daemons_of(directory)
    start, before = time.monotonic(), cpu_s(pids)
    time.sleep(WINDOW)
    return (cpu_s(pids) - before) / len(pids) * 60 / (time.monotonic() - start)


def idle(product, base, rounds):
    with Cluster(product, base / 'small', SMALL) as small, Cluster(product, base / 'large', LARGE) as large:
        time.sleep(SETTLED)
        turns = [(turn(small.directory), turn(large.directory)) for _ in range(rounds)]
    few, many = (statistics.median(values) for values in zip(*turns))
    return {'member.idle_small_cpu_s': few, 'member.idle_large_cpu_s': many, 'member.idle_ratio': many / few}


class Watched:
    """A cluster whose daemons are killed and started again."""

    def __init__(self, cluster, base):
        self.cluster = cluster
        self.ready = base / 'ready'
        state = json.loads(pathlib.Path(cluster.directory, 'cluster.json').read_text(encoding='utf-8'))
        self.nodes = {node['name']: node for node in state['nodes']}
        self.state = state
        self.started = []

    def ask(self, node, *words):
        done = self.cluster.run(*words, '--json', env=self.cluster.environment(node))
        return json.loads(done.stdout)

    def wait(self, what, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise BrokenSetup(f'not within {PATIENCE} s: {what}')
            time.sleep(0.25)

    def downs(self, node, of, since):
        """When `node` has noted that `of` is down, in seconds after `since`."""
        for event in self.ask(node, 'events'):
            if (event['kind'], event['node']) == ('down', of):
                at = datetime.datetime.fromisoformat(event['time'].replace('Z', '+00:00')).timestamp()
                if at >= since:
                    return at - since
        return None

    def kill(self, name):
        """Seconds until the last of the others knows."""
        node = self.nodes[name]
        command = om_process.read_proc(node['pid'], 'cmdline').split('\0')[:-1]
        settings = dict(item.split('=', 1) for item in om_process.read_proc(node['pid'], 'environ').split('\0')
                        if '=' in item)
        since = int(time.time() * 1000) / 1000
        os.kill(node['pid'], signal.SIGKILL)
        late = {}
        for other in self.nodes:
            if other != name:
                self.wait(f'{other} to note {name}', lambda other=other: self.note(late, other, name, since))
        self.start(node, command, settings)
        for other in self.nodes:
            self.wait(f'{other} to see {name}', lambda other=other: all(
                row['state'] == 'up' for row in self.ask(other, 'nodes')))
        return max(late.values())

    def note(self, late, other, name, since):
        late[other] = self.downs(other, name, since)
        return late[other] is not None

    def start(self, node, command, settings):
        self.ready.unlink(missing_ok=True)
        for option in ('--ready-fd', '--ready-file'):
            if option in command:
                at = command.index(option)
                command[at:at + 2] = ['--ready-file', str(self.ready)]
        command[command.index('--listen') + 1] = node['address']
        daemon = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
        self.started.append(daemon)
        self.wait('the new daemon', self.ready.exists)
        node['pid'], node['start'] = daemon.pid, int(om_process.stat_fields(daemon.pid)[19])
        pathlib.Path(self.cluster.directory, 'cluster.json').write_text(json.dumps(self.state), encoding='utf-8')


def detect(product, base, kills):
    with Cluster(product, base / 'watched', WATCHERS) as cluster:
        watched = Watched(cluster, base)
        names = sorted(watched.nodes)
        took = sorted(watched.kill(names[number % len(names)]) for number in range(kills))
    for daemon in watched.started:
        daemon.wait(PATIENCE)
    return {'member.detect_kills': kills, 'member.detect_median_s': statistics.median(took),
            'member.detect_s': took[max(0, -(-len(took) * 95 // 100) - 1)]}


def measure(product, rounds):
    base = work_directory(None, 'bench')
    om_process.become_subreaper()
    try:
        return {**idle(product, base, rounds or ROUNDS), **detect(product, base, KILLS if not rounds else rounds)}
    finally:
        remove_work(base)
