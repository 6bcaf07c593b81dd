#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of om-deputy, om-guest, om-body and om-migrator at random moments: on the way there, away, on the way home.
Allowed outcomes: the process has arrived, or goes on at home; or, once it had left for good, it ends by SIGKILL and the
reason is reported. It never hangs, never does anything twice, and is never lost silently."""

import datetime
import os
import pathlib
import signal
import subprocess
import time

from faulty import ROUNDS, SESSION_TIMEOUT, WAIT_LIMIT, FaultCase, NumberedJob, main, om_process


MORE_THAN_UNREAD = 100  # lines that a job may have printed before the kill and that are still unread


class KilledHelpers(FaultCase):
    def move_and_kill(self, job, to, victims):
        """Kills `victims()` at a random moment of a move; returns the exit status of om migrate."""
        mover = self.start(self.product.om, 'migrate', job.pid, to, preload=False)
        until = time.monotonic() + self.random.uniform(0, 0.15)
        while time.monotonic() < until and mover.poll() is None:
            time.sleep(0.001)
        for pid in victims():
            self.kill(pid)
        _, said = mover.communicate(timeout=WAIT_LIMIT)
        if mover.returncode != 0:
            self.assertIn(mover.returncode, (1, 3, 4, 6), said)
            self.assertTrue(said.startswith(b'om: '), said)
        return mover.returncode

    def settle(self, job):
        """After a kill: True if the job goes on, False if it is lost in an allowed way."""
        # The deputy waits for an unreachable keeper before it gives up.
        until = time.monotonic() + SESSION_TIMEOUT + WAIT_LIMIT
        while True:
            more = job.progress(MORE_THAN_UNREAD)
            if more:
                return True
            if more is False:
                job.check_lost()
                return False
            if time.monotonic() > until:
                self.fail(f'hangs: {self.om("ps").stdout}{self.om("events", job.pid).stdout}')

    def rounds(self, name):
        job = NumberedJob(self)

        def victims():
            return self.helpers(name)

        def lost():
            nonlocal job
            job = NumberedJob(self)
        for number in range(ROUNDS):
            self.move_and_kill(job, 'n2', victims)
            # From outside one cannot tell whether it had left when its helper died.
            if not self.settle(job):
                lost()
            if number % 2:
                job.move('n2')
                for pid in victims():
                    self.kill(pid)
            else:
                job.move('n3')
                self.move_and_kill(job, 'home', victims)
            if not self.settle(job):
                lost()
        job.move('home')
        job.finish()

    def test_keepers(self):
        self.rounds('om-guest')

    def test_bodies(self):
        self.rounds('om-body')

    def test_deputies(self):
        self.rounds('om-deputy')

    def test_deputies_that_die_again_and_again(self):
        """Each is replaced, however many die, but after growing pauses."""
        job = NumberedJob(self)
        job.move('n2')
        log = pathlib.Path(self.cluster.directory, 'n1', 'log')
        back = f'process {job.pid}: the keeper at n2 is back'
        deaths = 9
        for number in range(deaths):
            for pid in self.helpers('om-deputy'):
                self.kill(pid)
            self.wait_until(lambda n=number: log.read_text(encoding='utf-8').count(back) > n, 'the next deputy')
        job.wait_progress(MORE_THAN_UNREAD)
        times = [datetime.datetime.fromisoformat(event['time'].replace('Z', '+00:00')).timestamp()
                 for event in self.om_json('events', job.pid) if event['kind'] == 'adopt']
        self.assertEqual(deaths, len(times))
        # The last of these pauses were 30 ms, doubled seven times.
        self.assertGreater(times[-1] - times[0], sum(0.030 * (1 << min(n, 7)) for n in range(deaths - 1)))
        job.move('home')
        job.finish()

    def test_deputy_of_a_process_that_stands_still(self):
        """Job control has stopped it: it stays stopped under the next deputy, and goes on when continued."""
        job = NumberedJob(self)
        job.move('n2')
        os.kill(job.pid, signal.SIGSTOP)
        self.wait_until(lambda: om_process.stat_fields(job.pid)[0] == 'T', 'the stop')
        killed = self.helpers('om-deputy')
        for pid in killed:
            self.kill(pid)
        log = pathlib.Path(self.cluster.directory, 'n1', 'log')
        back = f'process {job.pid}: the keeper at n2 is back'
        self.wait_until(lambda: back in log.read_text(encoding='utf-8'), 'the next deputy')
        self.wait_until(lambda: om_process.stat_fields(job.pid)[0] == 'T', 'the stop again')
        os.kill(job.pid, signal.SIGCONT)
        os.kill(job.runner.pid, signal.SIGCONT)
        job.wait_progress(MORE_THAN_UNREAD)
        job.move('home')
        job.finish()

    def daemon_rounds(self, node):
        """Daemons may die at any time without any loss. A service manager restarts them."""
        job = NumberedJob(self)
        for to in ('n2', 'home') * ROUNDS:
            mover = self.start(self.product.om, 'migrate', job.pid, to, preload=False)
            time.sleep(self.random.uniform(0, 0.15))
            killed = self.kill_daemon(node)
            mover.communicate(timeout=WAIT_LIMIT)
            job.wait_progress(3)
            self.restart_daemon(killed)
            job.wait_progress(3)
            job.move(to)
            job.wait_progress(3)
        job.move('home')
        job.finish()

    def test_daemon_at_home(self):
        self.daemon_rounds('n1')

    def test_daemon_of_the_target(self):
        self.daemon_rounds('n2')

    def test_daemon_and_deputy(self):
        """Both at once, while the process is away or on its way: a daemon started later finds out what to do."""
        job = NumberedJob(self)
        for to in ('n2', 'home') * ROUNDS:
            mover = self.start(self.product.om, 'migrate', job.pid, to, preload=False)
            time.sleep(self.random.uniform(0, 0.3))
            killed = self.kill_daemon('n1')
            for deputy in self.helpers('om-deputy'):
                self.kill(deputy)
            mover.communicate(timeout=WAIT_LIMIT)
            self.restart_daemon(killed)
            job.wait_progress(3)
            job.move('n3')
            job.wait_progress(3)
        job.move('home')
        job.finish()

    def test_daemon_and_deputy_right_after_many_moves(self):
        """However fast it has moved before, what another deputy needs is recorded when it leaves."""
        job = NumberedJob(self)
        for _ in range(ROUNDS):
            for to in ('n2', 'home') * 3 + ('n3',):
                job.move(to)
            killed = self.kill_daemon('n1')
            for deputy in self.helpers('om-deputy'):
                self.kill(deputy)
            self.restart_daemon(killed)
            job.wait_progress(MORE_THAN_UNREAD)
        job.move('home')
        job.finish()

    def test_deputies_that_may_not_fetch_descriptors(self):
        """If pidfd_getfd is forbidden, the deputy socket is made in another way, by the next deputy too."""
        pidfd_getfd = 438
        forbid = self.product.build / 'test' / 'fault' / 'forbid'
        if subprocess.run([forbid, str(pidfd_getfd), '/bin/true'], check=False).returncode != 0:
            self.skipTest('no system call filters')
        node, command, settings = self.kill_daemon('n1')
        self.restart_daemon((node, [forbid, str(pidfd_getfd), *command], settings))
        job = NumberedJob(self)
        for to in ('n2', 'n3'):
            job.move(to)
            for pid in self.helpers('om-deputy'):
                self.kill(pid)
            job.wait_progress(MORE_THAN_UNREAD)
        job.move('home')
        log = pathlib.Path(self.cluster.directory, 'n1', 'log').read_text(encoding='utf-8')
        self.assertIn('by name instead', log)
        job.finish()


if __name__ == '__main__':
    main()
