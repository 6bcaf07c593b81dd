#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A guest runs on all CPUs of its node, also on those whose numbers home does not have, and never learns such a number;
programs that count on the numbers keep to home's. Home's deputies take it for a machine with one CPU (OM_TEST_CPUS)."""

import os
import subprocess

from harness import main
from join_test import Daemon, JoinCase
import om_process


def allowed(pid):
    """The CPUs that its threads may run on."""
    return {line for task in os.listdir(f'/proc/{pid}/task')
            for line in om_process.read_proc(pid, f'task/{task}/status').splitlines()
            if line.startswith('Cpus_allowed_list:')}


def listed(cpus):
    return {f'Cpus_allowed_list:\t{cpus}'}


class Cpus(JoinCase):
    @classmethod
    def lacks(cls):
        return '' if {0, 1} <= os.sched_getaffinity(0) else 'needs the CPUs 0 and 1'

    def setUp(self):
        super().setUp()
        os.environ['OM_TEST_CPUS'] = '1'
        self.addCleanup(os.environ.pop, 'OM_TEST_CPUS')

    def start_use(self, node, listed_too=False, *run_options):
        program = self.product.build / 'test/cluster' / ('cpu_use_listed' if listed_too else 'cpu_use')
        job = subprocess.Popen([self.product.om, 'run', *run_options, '--', program], env=node.environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.folder,
                               start_new_session=True)
        self.addCleanup(self.end, job)
        self.assertEqual('ready\n', job.stdout.readline())
        return job

    def program_of(self, job):
        return next(pid for pid in om_process.descendants(job.pid)
                    if om_process.read_proc(pid, 'comm').startswith('cpu_use'))

    def body(self):
        self.wait_until(lambda: self.bodies(), 'the body')
        return self.bodies()[0]

    def bodies(self):
        return [pid for pid in om_process.descendants(os.getpid())
                if om_process.read_proc(pid, 'cmdline').startswith('om-body')]

    def ask(self, job):
        """For both threads: the highest number that they have been told, and the one in the area."""
        job.stdin.write('\n')
        job.stdin.flush()
        return [tuple(map(int, job.stdout.readline().split()[1:])) for _ in range(2)]

    def check_unknown(self, job):
        """That it runs on CPUs whose numbers home does not have: glibc registers no area for a thread that is made by
        one that does not know its CPU, and says so by -2."""
        self.assertEqual([0, 0], [most for most, _area in self.ask(job)])
        (_most, first), (_most, new) = self.ask(job)
        self.assertEqual(-1, first)
        self.assertIn(new, (-1, -2))

    def finish(self, job, without):
        job.stdin.close()
        job.stdin = None
        self.assertEqual(f'right {int(without)}\n', job.stdout.readline())
        self.assertEqual(0, job.wait(30))

    def test_all_cpus_of_the_node(self):
        n1, n2, _n3 = self.cluster(3)
        job = self.start_use(n1)
        pid = self.program_of(job)
        both = listed(om_process.read_proc(n2.process.pid, 'status').split('Cpus_allowed_list:\t')[1].split('\n')[0])
        for to in ('n2', 'n3'):
            self.assertEqual('moved', n1.json('migrate', pid, to)['result'])
            self.check_unknown(job)
            self.assertEqual(both, allowed(self.body()))
        self.assertEqual('moved', n1.json('migrate', pid, 'home')['result'])
        for most, area in self.ask(job):
            self.assertIn(most, os.sched_getaffinity(0))
            self.assertIn(area, os.sched_getaffinity(0))
        self.assertEqual('moved', n1.json('migrate', pid, 'n2')['result'])
        self.check_unknown(job)
        self.finish(job, without=True)

    def test_what_counts_on_the_numbers_keeps_them(self):
        n1, _n2 = self.cluster(2)
        for job in self.start_use(n1, True), self.start_use(n1, False, '--home-cpus'):
            pid = self.program_of(job)
            self.assertEqual('moved', n1.json('migrate', pid, 'n2')['result'])
            self.assertEqual([(0, 0), (0, 0)], self.ask(job))
            self.assertEqual(listed('0'), allowed(self.body()))
            self.assertEqual('moved', n1.json('migrate', pid, 'home')['result'])
            self.finish(job, without=False)

    def test_a_node_without_such_a_number(self):
        n1 = self.daemon('n1')
        self.started.append(Daemon(self, 'n2', 2, prefix=('taskset', '-c', '1')))
        n2 = self.started[-1]
        token = n1.json('cluster', 'init', 'lab')['token']
        n2.om('cluster', 'join', token, n1.address)
        self.wait_until(lambda: n1.sees('n2'), 'n1 to see n2')
        counts = self.start_use(n1, True)
        self.assertIn('below 1', n1.refused('CPU_COUNT', 'migrate', self.program_of(counts), 'n2'))
        free = self.start_use(n1)
        self.assertEqual('moved', n1.json('migrate', self.program_of(free), 'n2')['result'])
        self.check_unknown(free)
        self.assertEqual(listed('1'), allowed(self.body()))
        self.finish(free, without=True)
        self.finish(counts, without=False)


if __name__ == '__main__':
    main()
