#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who runs here: om guests; sending them home: om expel; bringing home what is away: om bring. No program notices."""

import os
import signal
import time

from harness import main
from drain_test import Steady
import om_process


class Guests(Steady):
    def guests(self, node):
        return sorted(node.json('guests'), key=lambda guest: guest['home_pid'])

    def body_command(self, guest):
        return om_process.read_proc(guest['pid'], 'cmdline').split('\0')[0]

    def test_list(self):
        n1, n2, n3 = self.cluster(3)
        self.assertEqual([], self.guests(n2))
        before = int(time.time()) - 2
        jobs = sorted((self.job_of(n1, n2), self.job_of(n3, n2)), key=lambda job: job.pid)
        found = self.guests(n2)
        self.assertEqual([job.pid for job in jobs], [guest['home_pid'] for guest in found])
        self.assertEqual({'n1', 'n3'}, {guest['home'] for guest in found})
        for guest in found:
            self.assertEqual(f'om-body: {guest["home_pid"]}@{guest["home"]} python3', self.body_command(guest))
            self.assertEqual((os.geteuid(), 'python3', 1), (guest['uid'], guest['command'], guest['threads']))
            self.assertTrue(before <= guest['since'] <= time.time() + 2, guest)
            self.assertGreater(guest['rss_bytes'], 1 << 20)
        self.wait_until(lambda: all(guest['cpu_s'] > 0 for guest in self.guests(n2)), 'CPU time')
        table = n2.om('guests').stdout
        for word in ('OWNER', 'SINCE', 'python3', str(jobs[0].pid), time.strftime('%Y-')):
            self.assertIn(word, table)
        # Another daemon knows those of the one before.
        n2.kill()
        n2.start()
        self.assertEqual([(guest['pid'], guest['home_pid'], guest['home']) for guest in found],
                         [(guest['pid'], guest['home_pid'], guest['home']) for guest in self.guests(n2)])
        for job in jobs:
            self.check_steady(job)

    def test_expel(self):
        n1, n2, n3 = self.cluster(3)
        jobs = [(n1, self.job_of(n1, n2)), (n3, self.job_of(n3, n2)), (n1, self.job_of(n1, n2))]
        first = next(guest for guest in self.guests(n2) if guest['home_pid'] == jobs[0][1].pid)
        self.assertIn('no guest', n2.refused('NO_SUCH_PROCESS', 'expel', os.getpid(), expect=4))
        n2.om('expel', expect=2)
        n2.om('expel', first['pid'], '--all', expect=2)
        self.assertEqual({'gone': 1, 'left': []}, n2.json('expel', first['pid']))
        self.check_home(jobs[:1])
        self.assertEqual(2, len(self.guests(n2)))
        self.assertEqual('2 guests went home.\n', n2.om('expel', '--all').stdout)
        self.check_home(jobs)
        self.assertEqual({'gone': 0, 'left': []}, n2.json('expel', '--all'))
        n1.om('migrate', jobs[0][1].pid, 'n2')  # welcome again
        self.check_steady(jobs[0][1])

    def test_whose_home_is_frozen_stays_and_is_named(self):
        n1, n2 = self.cluster(2)
        stuck, free = self.job_of(n1, n2), self.job_of(n1, n2)
        deputy = self.deputy_of(stuck)
        os.kill(deputy, signal.SIGSTOP)
        try:
            said = n2.om('expel', '--all', '--timeout', 3, expect=8).stderr
            self.assertIn(f'process {stuck.pid} of n1 is still here', said)
        finally:
            os.kill(deputy, signal.SIGCONT)
        self.check_home([(n1, free), (n1, stuck)])

    def test_bring(self):
        n1, n2, n3 = self.cluster(3)
        jobs = [(n1, self.job_of(n1, n2)), (n1, self.job_of(n1, n3)), (n1, self.job_of(n1))]
        self.assertEqual('moved', n1.json('bring', jobs[0][1].pid)['result'])
        self.assertEqual('n1', self.where(*jobs[0]))
        n1.om('bring', expect=2)
        self.assertEqual([], n1.json('bring', '--all')['failed'])
        self.check_home(jobs)


if __name__ == '__main__':
    main()
