#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node is emptied: om node drain, om cluster leave and a daemon's end with --on-stop drain. Guests go home, what is
away comes home, nobody comes or leaves meanwhile, and no program notices."""

import os
import signal

from harness import main
from join_test import JoinCase
import om_process


class Steady(JoinCase):
    """Programs that are read line by line, and miss none."""

    def job_of(self, node, to=None):
        job = self.start_at(node)
        job.read = 1
        if to:
            node.om('migrate', job.pid, to.name)
        return job

    def check_steady(self, job):
        for number in range(job.read, job.read + 5):
            self.assertEqual(b'%d\n' % number, job.stdout.readline())
        job.read += 5

    def where(self, node, job):
        return node.om('where', job.pid).stdout.strip()

    def check_home(self, jobs):
        for node, job in jobs:
            self.wait_until(lambda node=node, job=job: self.where(node, job) == node.name, 'it at home')
            self.check_steady(job)

    def deputy_of(self, job):
        return next(pid for pid in om_process.descendants(os.getpid())
                    if om_process.read_proc(pid, 'comm').strip() == 'om-deputy'
                    and str(job.pid) in om_process.read_proc(pid, 'cmdline').split('\0'))


class Drained(Steady):
    def scene(self, *options):
        """A guest from n1 and one from n3 at n2, and n2's own process at n1."""
        n1, n2, n3 = self.cluster(3, *options)
        jobs = [(n1, self.job_of(n1, n2)), (n3, self.job_of(n3, n2)), (n2, self.job_of(n2, n1))]
        self.assertEqual(['n2', 'n2', 'n1'], [self.where(*job) for job in jobs])
        return (n1, n2, n3), jobs

    def test_drain_and_undrain(self):
        (n1, n2, _), jobs = self.scene()
        self.assertEqual({'home': 1, 'failed': [], 'guests': 0}, n2.json('node', 'drain'))
        self.check_home(jobs)
        events = n1.json('events', jobs[0][1].pid)
        self.assertIn(('CAME_HOME', True), [(event['code'], 'takes no guests any more' in event['message'])
                                            for event in events])
        n1.refused('BLOCKED', 'migrate', jobs[0][1].pid, 'n2')
        n2.refused('BLOCKED', 'migrate', jobs[2][1].pid, 'n1')
        self.assertIn('is being emptied', n2.om('node', 'why', 'n2').stdout)
        self.assertEqual({'was_closed': True}, n2.json('node', 'undrain'))
        n1.om('migrate', jobs[0][1].pid, 'n2')
        n2.om('migrate', jobs[2][1].pid, 'n1')
        for _, job in jobs:
            self.check_steady(job)

    def test_guest_whose_home_is_frozen_stays(self):
        (n1, n2, _), jobs = self.scene()
        deputy = self.deputy_of(jobs[0][1])
        os.kill(deputy, signal.SIGSTOP)
        try:
            said = n2.om('node', 'drain', '--timeout', 3, expect=8).stderr
            self.assertIn('1 guest is still here', said)
        finally:
            os.kill(deputy, signal.SIGCONT)
        self.check_home(jobs)  # its home has been asked

    def test_leave_empties_the_node(self):
        (n1, n2, n3), jobs = self.scene()
        left = n2.json('cluster', 'leave')
        self.assertEqual((1, [], 0), (left['home'], left['failed'], left['guests']))
        self.check_home(jobs)
        self.wait_until(lambda: n1.sees('n3') and n3.sees('n1'), 'n2 gone')

    def test_end_of_the_daemon(self):
        (n1, n2, n3), jobs = self.scene('--on-stop', 'drain')
        n2.kill(signal.SIGTERM)
        self.assertEqual(0, n2.process.returncode)
        for node in (n1, n3):
            self.wait_until(lambda node=node: ('left', 'n2') in [(event['kind'], event['node'])
                                                                  for event in node.json('events')], 'the farewell')
        for node, job in jobs[:2]:
            self.assertEqual(node.name, self.where(node, job))
        n2.start()
        self.check_home(jobs)
        for node, others in ((n1, ('n2', 'n3')), (n2, ('n1', 'n3')), (n3, ('n1', 'n2'))):
            self.wait_until(lambda node=node, others=others: node.sees(*others), 'all to see each other again')

    def test_end_at_once(self):
        (_, n2, _), jobs = self.scene()
        n2.kill(signal.SIGTERM)
        self.assertEqual(['n2', 'n2'], [self.where(*job) for job in jobs[:2]])
        for _, job in jobs:
            self.check_steady(job)


if __name__ == '__main__':
    main()
