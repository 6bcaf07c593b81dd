#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs many behaviour cases, (program, mode) each, against one cluster with parallel jobs.

  run_suite.py                                   quick selection
  run_suite.py --modes native --jobs 4 -k pipe   what contains "pipe", natively
  run_suite.py --modes all --suite full          everything
  run_suite.py --list                            programs and what they declare

Prints one line per case; keeps the directory of a failed case and prints the command that repeats it. --junit and
--json write a summary. Exit: 0 all ok or skipped, 1 a failure, 77 all skipped, 99 broken.
"""

import argparse
import collections
import json
import os
import random
import selectors
import signal
import sys
import time
import xml.etree.ElementTree as xml

from om_behaviour import MODES, QUICK_MODES, all_behaviours
from om_case import Result, exit_code, print_result, repeat_command, result_of, start_case
from om_cluster import NO_END, Cluster, shared_cluster
from om_product import (BrokenSetup, Product, drop_privileges, remove_work,
                        work_directory)


NO_DAEMON = 'NO_DAEMON'  # `om` reports this if nothing answers at the control socket


class Suite:
    """Schedules the cases: the modes of a program wait for its native run, their oracle.

    A cluster whose daemons no longer answer counts as one failure, and its logs are kept. A new one replaces it for the
    remaining cases, and those that were affected run once more.
    """

    def __init__(self, product, cluster, base, seed, modes, jobs):
        self.product = product
        self.cluster = cluster
        self.clusters = 1
        self.again = set()  # cases that met a daemon that did not answer, and run once more
        self.met = set()    # those that did so since the cluster was made
        self.suspect = False
        self.base = base
        self.seed = seed
        self.modes = modes
        self.jobs = jobs
        self.todo = collections.deque()
        self.running = {}   # worker -> (behaviour, mode, seed, directory, round)
        self.natives = {}   # (name, round) -> outcome of the native run
        self.results = []
        self.stopping = False
        self.selector = selectors.DefaultSelector()

    def add(self, behaviours, repeat):
        for round_number in range(repeat):
            self.todo += [(behaviour, 'native', None, round_number) for behaviour in behaviours]

    def start(self, behaviour, mode, native, round_number):
        seed = self.seed + round_number
        base = self.base / str(round_number) if round_number else self.base
        base.mkdir(exist_ok=True)
        worker = start_case(behaviour, mode, self.product, self.cluster, base, seed, native)
        self.running[worker] = (behaviour, mode, seed, base, round_number)
        self.selector.register(worker.fd, selectors.EVENT_READ, worker)

    def finish(self, worker):
        self.selector.unregister(worker.fd)
        behaviour, mode, seed, base, round_number = self.running.pop(worker)
        result = result_of(worker, behaviour, mode, seed, base)
        if mode == 'native':
            for other in self.modes:
                if other == 'native':
                    continue
                if result.verdict == 'ok':
                    self.natives[behaviour.name, round_number] = result.outcome
                    self.todo.appendleft((behaviour, other, result.outcome, round_number))
        case = (behaviour.name, mode, round_number)
        if self.met_dead_cluster(result) and case not in self.again:
            self.again.add(case)
            self.met.add(f'{behaviour.name} [{mode}]')
            self.suspect = True
            native = self.natives[behaviour.name, round_number]
            self.todo.appendleft((behaviour, mode, native, round_number))
            return
        if mode in self.modes or result.verdict not in ('ok', 'skip'):
            self.results.append(result)
            print_result(result)
            if result.verdict in ('fail', 'broken'):
                print('       repeat: ' + repeat_command(self.product, behaviour, mode, seed),
                      flush=True)

    @staticmethod
    def met_dead_cluster(result):
        return any(move.code in (NO_DAEMON, NO_END) for move in result.moves)

    def check_cluster(self):
        """Replaces a dead cluster; called between cases, after one has met a daemon that did not answer."""
        self.suspect = False
        if not self.cluster.owned or self.cluster.answers():
            self.met.clear()
            return
        logs = self.base / f'cluster-{self.clusters}'
        self.cluster.save_logs(logs)
        self.cluster.stop()
        self.clusters += 1
        reason = 'a daemon ended or hung; met by ' + ', '.join(sorted(self.met))
        self.results.append(Result('cluster', 'daemons', 'fail', reason, seed=self.seed,
                                   directory=str(logs)))
        print_result(self.results[-1])
        self.met.clear()
        self.cluster = Cluster(self.product, self.base / f'c{self.clusters}').start()

    def run(self):
        while self.running or (self.todo and not self.stopping):
            if self.suspect and not self.running:
                self.check_cluster()
            while (self.todo and len(self.running) < self.jobs and not self.stopping
                   and not self.suspect):
                self.start(*self.todo.popleft())
            for key, _ in self.selector.select():
                worker = key.data
                if worker.feed():
                    self.finish(worker)
        return self.results

    def stop(self, *_):
        """For Ctrl-C or a time limit of the caller: every worker ends its own program."""
        self.stopping = True
        for worker in self.running:
            worker.stop()


def write_json(path, results, seed, seconds):
    records = [{'name': r.name, 'mode': r.mode, 'verdict': r.verdict, 'reason': r.reason,
                'seconds': round(r.seconds, 3), 'moves': r.done(), 'seed': r.seed} for r in results]
    totals = collections.Counter(r.verdict for r in results)
    with open(path, 'w', encoding='utf-8') as out:
        json.dump({'seed': seed, 'seconds': round(seconds, 1), 'totals': totals, 'cases': records},
                  out, indent=1)
        out.write('\n')


def write_junit(path, results, seconds):
    totals = collections.Counter(r.verdict for r in results)
    top = xml.Element('testsuite', name='behaviour', tests=str(len(results)),
                      failures=str(totals['fail']), errors=str(totals['broken']),
                      skipped=str(totals['skip']), time=f'{seconds:.3f}')
    for r in results:
        case = xml.SubElement(top, 'testcase', classname=f'behaviour.{r.mode}', name=r.name,
                              time=f'{r.seconds:.3f}')
        kind = {'fail': 'failure', 'broken': 'error', 'skip': 'skipped'}.get(r.verdict)
        if kind:
            text = ''.join(c if c.isprintable() or c == '\n' else '?' for c in r.reason)
            xml.SubElement(case, kind, message=text.split('\n')[0]).text = text
    xml.ElementTree(top).write(path, encoding='utf-8', xml_declaration=True)


def parse_modes(text):
    if text == 'all':
        return MODES
    if text == 'quick':
        return QUICK_MODES
    modes = tuple(text.split(','))
    for mode in modes:
        if mode not in MODES:
            raise BrokenSetup(f'no mode {mode}; there are {", ".join(MODES)}, quick, all')
    return modes


def print_list(behaviours):
    for behaviour in behaviours:
        facts = [f'points {behaviour.points}'] if behaviour.points != '1' else []
        facts += [f'refused {behaviour.expect}'] if behaviour.expect else []
        facts += [f'suite {behaviour.suite}'] if behaviour.suite != 'quick' else []
        facts += [f'needs {" ".join(behaviour.needs)}'] if behaviour.needs else []
        print(behaviour.name + (f'  ({", ".join(facts)})' if facts else ''))


def parse_options():
    parser = argparse.ArgumentParser(description='Runs behaviour programs in many modes.')
    parser.add_argument('--build', help='build directory (default: $OM_TEST_BUILD or build)')
    parser.add_argument('--mode', '--modes', dest='modes', default='quick',
                        help='comma-separated modes, "quick" or "all" (default: quick)')
    parser.add_argument('--suite', choices=('quick', 'full'), default='quick')
    parser.add_argument('-k', dest='pattern', default='', help='only names that contain this')
    parser.add_argument('-j', '--jobs', type=int, default=0, help='parallel cases')
    parser.add_argument('--repeat', type=int, default=1, help='run each case this often')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--work', help='where the directories of cases go')
    parser.add_argument('--junit', help='write a junit summary here')
    parser.add_argument('--json', help='write a JSON summary here')
    parser.add_argument('--list', action='store_true')
    return parser.parse_args()


def main():
    options = parse_options()
    behaviours = all_behaviours(options.pattern, options.suite)
    if options.list:
        print_list(behaviours)
        return 0
    if not behaviours:
        raise BrokenSetup(f'no behaviour contains {options.pattern!r}')
    drop_privileges(options.work, options.junit, options.json)
    modes = parse_modes(options.modes)
    product = Product(options.build)
    seed = options.seed if options.seed is not None else random.randrange(1 << 30)
    jobs = options.jobs or 3 * (os.cpu_count() or 1)  # most of a case is waiting
    base = work_directory(options.work, 'suite')
    start = time.monotonic()
    print(f'{len(behaviours)} behaviours, modes {" ".join(modes)}, {jobs} jobs, seed {seed}, uid '
          f'{os.geteuid()}', flush=True)
    cluster = shared_cluster(product)
    if 'preload' in modes:
        product.require('libom.so')
    if cluster is None and set(modes) - {'native', 'preload'}:
        cluster = Cluster(product, base / 'cluster').start()
    suite = Suite(product, cluster, base, seed, modes, jobs)
    suite.add(behaviours, options.repeat)
    signal.signal(signal.SIGTERM, suite.stop)
    signal.signal(signal.SIGINT, suite.stop)
    stop_problem = ''
    try:
        results = suite.run()
    finally:
        if suite.cluster is not None:
            suite.cluster.save_logs(base)
            stop_problem = suite.cluster.stop()
    seconds = time.monotonic() - start
    if options.json:
        write_json(options.json, results, seed, seconds)
    if options.junit:
        write_junit(options.junit, results, seconds)
    totals = collections.Counter(result.verdict for result in results)
    print(', '.join(f'{totals[v]} {v}' for v in ('ok', 'skip', 'fail', 'broken')) +
          f' in {seconds:.0f} s')
    for verdict in ('fail', 'broken'):
        names = sorted(f'{r.name} [{r.mode}]' for r in results if r.verdict == verdict)
        if names:
            print(f'{verdict}: ' + ', '.join(names))
    if stop_problem:
        print(f'om cluster dev stop: {stop_problem}')
        return 1
    if suite.stopping:
        print('interrupted')
        return 1
    if totals['fail'] or totals['broken']:
        print(f'kept {base}')
    else:
        remove_work(base)
    return exit_code(results)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except BrokenSetup as setup:
        print(f'{setup.kind}: {setup}', file=sys.stderr)
        sys.exit(setup.status)
