#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The threads of a body may run on the same CPUs as at home, whoever changed that, even while nobody could be notified,
and as far as the other node has given the body those CPUs."""

import os
import unittest

from faulty import FaultCase, NumberedJob, main, om_process


def threads_of(pid):
    try:
        return [int(tid) for tid in os.listdir(f'/proc/{pid}/task')]
    except FileNotFoundError:
        return []


class Affinity(FaultCase):
    @classmethod
    def setUpClass(cls):
        cls.all = os.sched_getaffinity(0)
        if len(cls.all) < 2:
            raise unittest.SkipTest('only one CPU')
        cls.one, cls.other = ({cpu} for cpu in sorted(cls.all)[:2])
        super().setUpClass()

    def body(self):
        self.wait_until(lambda: len(self.helpers('om-body')) == 1, 'the only body')
        return self.helpers('om-body')[0]

    @staticmethod
    def give(job, cpus):
        """Like `taskset -ap`."""
        for tid in threads_of(job.pid):
            os.sched_setaffinity(tid, cpus)

    def masks(self):
        masks = set()
        for tid in threads_of(self.body()):
            try:
                masks.add(frozenset(os.sched_getaffinity(tid)))
            except ProcessLookupError:
                pass
        return masks

    def wait_for(self, cpus):
        self.wait_until(lambda: self.masks() == {frozenset(cpus)}, f'threads of the body on {cpus}')

    def away(self, cpus=None):
        job = NumberedJob(self)
        if cpus:
            self.give(job, cpus)
        job.move('n2')
        return job

    def finish(self, job):
        job.move('home')
        job.finish()

    def test_before_the_body_runs(self):
        job = self.away(self.other)
        self.assertEqual({frozenset(self.other)}, self.masks())
        self.finish(job)

    def test_changed_from_outside(self):
        job = self.away()
        self.assertEqual({frozenset(self.all)}, self.masks())
        for cpus in (self.one, self.other, self.all):
            self.give(job, cpus)
            self.wait_for(cpus)
        self.finish(job)

    def test_one_of_its_threads(self):
        job = self.away()
        os.sched_setaffinity(max(threads_of(job.pid)), self.other)
        self.wait_until(lambda: self.masks() == {frozenset(self.all), frozenset(self.other)},
                        'one thread of the body elsewhere')
        self.finish(job)

    def test_changed_without_a_session(self):
        job = self.away(self.one)
        self.om('debug', 'session', job.pid)
        self.give(job, self.other)
        self.wait_for(self.other)
        self.om('debug', 'session', job.pid)
        self.give(job, self.all)
        self.wait_for(self.all)
        self.finish(job)

    def test_changed_without_a_deputy(self):
        job = self.away(self.one)
        self.kill(self.helpers('om-deputy')[0])
        self.give(job, self.other)
        self.wait_for(self.other)
        self.finish(job)

    def test_the_other_node_decides(self):
        """Nobody at home can give CPUs that the other node has not given."""
        daemon = self.daemon_pid('n2')
        for tid in threads_of(daemon):
            os.sched_setaffinity(tid, self.one)
        try:
            job = self.away(self.other)
            self.assertEqual({frozenset(self.one)}, self.masks())
            self.give(job, self.all)
            job.wait_progress(5)
            self.assertEqual({frozenset(self.one)}, self.masks())
            self.finish(job)
        finally:
            for tid in threads_of(daemon):
                os.sched_setaffinity(tid, self.all)


if __name__ == '__main__':
    main()
