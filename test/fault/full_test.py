#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node takes no more guests than configured: in all, of one home, of one user of one home. A process beyond that is
refused with FULL and the limit, keeps running correctly, and moves once a guest has left."""

import concurrent.futures
import os

from faulty import main
from om_product import DEFAULT_UID
from refusals_test import RefusalCase


class Full(RefusalCase):
    def test_full(self):
        """Guests of an earlier daemon count; each that leaves makes room for one."""
        self.restart('n3', *self.config('max_guests = 1\n'))
        first, second = self.program('NOTHING'), self.program('NOTHING')
        self.move_at_last(first, 'n3')
        self.check_refused(second, 'FULL', 'n3')
        self.restart('n3', '--max-guests', 1)
        self.wait_until(lambda: self.cluster.migrate_once(second.pid, 'n3', 60).code == 'FULL', 'FULL')
        self.assertIn(': node n3 has 1 guest, max_guests is 1\n', self.om('migrate', second.pid, 'n3', expect=6).stderr)
        self.move(first, 'home')
        self.move_at_last(second, 'n3')
        self.restart('n3')
        self.move_at_last(first, 'n3')
        for job in (first, second):
            self.say(job, b'cured\n')
            self.end_right(job)

    def test_full_for_one_home(self):
        self.restart('n3', '--max-guests-per-home', 1)
        first, second, other = [self.program('NOTHING', node=node) for node in ('n1', 'n1', 'n2')]
        self.move_at_last(first, 'n3')
        self.check_refused(second, 'FULL', 'n3')
        self.wait_until(lambda: self.om('migrate', other.pid, 'n3', node='n2', expect=None).returncode == 0,
                        'a move of another home')
        self.restart('n3')
        for job in (first, second, other):
            self.say(job, b'cured\n')
            self.end_right(job)

    def test_full_by_many_at_once(self):
        """Guests whose keepers are still being started count as well."""
        self.restart('n3', '--max-guests', 2)
        jobs = [self.program('NOTHING') for _ in range(8)]
        self.move_at_last(jobs[0], 'n3')
        self.move(jobs[0], 'home')
        self.wait_until(lambda: self.guests('n3') == 0, 'its keeper to be gone')
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            moves = list(pool.map(lambda job: self.cluster.migrate_once(job.pid, 'n3', 60), jobs))
        self.assertEqual([('moved', '')] * 2 + [('refused', 'FULL')] * 6,
                         sorted((move.result, move.code) for move in moves))
        self.assertEqual(2, self.guests('n3'))
        self.restart('n3')
        for job in jobs:
            self.say(job, b'cured\n')
            self.end_right(job)

    def guests(self, node):
        return next(each['guests'] for each in self.om_json('nodes', node=node) if each['self'])


class FullOfRoot(RefusalCase):
    needs_root = True
    nodes = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.base, 0o755)  # other users reach the control socket

    def test_full_for_one_user(self):
        self.restart('n2', '--max-guests-per-user', 1)
        first, second = self.program('NOTHING'), self.program('NOTHING')
        other = self.program('NOTHING', user=DEFAULT_UID, group=DEFAULT_UID, extra_groups=[], cwd='/')
        self.move_at_last(first, 'n2')
        self.check_refused(second, 'FULL', 'n2')
        self.assertIn(': node n2 has 1 guest of user 0 of node n1, max_guests_per_user is 1\n',
                      self.om('migrate', second.pid, 'n2', expect=6).stderr)
        self.move(other, 'n2')
        self.move(first, 'home')
        self.move_at_last(second, 'n2')
        self.restart('n2')
        for job in (first, second, other):
            self.say(job, b'cured\n')
            self.end_right(job)


if __name__ == '__main__':
    main()
