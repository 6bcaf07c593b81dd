#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Connections between home and the remote node are cut at random moments (`om debug`): the process goes on after each
cut, and every call is executed exactly once."""

import errno
import os
import pathlib
import signal
import socket
import time

from faulty import ROUNDS, SESSION_TIMEOUT, WAIT_LIMIT, FaultCase, NumberedJob, main, om_process

STANDSTILL = SESSION_TIMEOUT + 13  # longer than anything waits


class LostLinks(FaultCase):
    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def cut(self, job, what):
        self.om('debug', what, job.pid)

    def cut_often(self, what):
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(5)
        for _ in range(6 * ROUNDS):
            self.cut(job, self.random.choice(what))
            job.wait_progress(self.random.randrange(1, 12))
        self.assertEqual('n2', self.om('where', job.pid).stdout.strip())
        job.move('home')
        job.wait_progress(5)
        job.finish()

    def test_channels(self):
        self.cut_often(['channels'])

    def test_session(self):
        self.cut_often(['session'])

    def test_both(self):
        self.cut_often(['channels', 'session', 'all'])

    def test_cuts_while_it_moves(self):
        """A cut may make a move fail, but never loses the process or a call."""
        job = NumberedJob(self)
        for _ in range(ROUNDS):
            for to in ('n2', 'n3', 'home'):
                mover = self.start(self.product.om, 'migrate', job.pid, to, preload=False)
                while mover.poll() is None:
                    self.cluster.run('debug', self.random.choice(['channels', 'session', 'all']),
                                     str(job.pid), env=self.cluster.environment())
                job.wait_progress(2)
        job.finish()

    @staticmethod
    def port_of(pid):
        """The port where the process listens for TCP connections."""
        inodes = {os.readlink(entry)[8:-1] for entry in pathlib.Path(f'/proc/{pid}/fd').iterdir()
                  if os.readlink(entry).startswith('socket:[')}
        rows = [line.split() for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]]
        return next(int(row[1].split(':')[1], 16) for row in rows if row[3] == '0A' and row[9] in inodes)

    def test_somebody_else_takes_the_connections_of_a_keeper(self):
        """Without its deputy and daemon home is lost, even if another process has the deputy's port and accepts
        silently: the guest is given up in time, without constant attempts to connect."""
        job = NumberedJob(self)
        before = self.helpers('om-guest'), self.helpers('om-deputy')
        job.move('n2')
        job.wait_progress(5)
        keeper, deputy = (next(pid for pid in self.helpers(name) if pid not in old)
                          for name, old in zip(('om-guest', 'om-deputy'), before))
        port = self.port_of(deputy)
        killed = self.kill_daemon('n1')
        self.kill(deputy)
        taken = []
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The kernel may still be closing the killed deputy's sockets.
            until = time.monotonic() + WAIT_LIMIT
            while not self.binds(listener, port):
                self.assertLess(time.monotonic(), until, 'the port of the deputy stays in use')
                time.sleep(0.01)
            listener.listen()
            listener.settimeout(0.1)
            until = time.monotonic() + 2 * SESSION_TIMEOUT + WAIT_LIMIT
            while om_process.alive(keeper) and time.monotonic() < until:
                try:
                    listener.accept()[0].close()
                    taken.append(time.monotonic())
                except TimeoutError:
                    pass
        self.assertFalse(om_process.alive(keeper))
        self.assertTrue(taken)
        self.assertLess(len(taken), 40, 'connections')
        self.kill(job.pid)
        self.restart_daemon(killed)

    @staticmethod
    def binds(listener, port):
        try:
            listener.bind(('127.0.0.1', port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True

    def test_helpers_that_stand_still(self):
        """A stopped keeper or deputy is not a lost one, however long it is stopped: calls need neither. Requests that
        wait for them are told."""
        jobs = [NumberedJob(self) for _ in range(2)]
        stopped = []
        self.addCleanup(lambda: [self.signal(pid, signal.SIGCONT) for pid in stopped])
        for job, name in zip(jobs, ('om-guest', 'om-deputy')):
            before = self.helpers(name)
            job.move('n2')
            stopped += [pid for pid in self.helpers(name) if pid not in before]
        self.assertEqual(2, len(stopped))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        late = self.om('migrate', jobs[1].pid, 'home', expect=7)
        self.assertRegex(late.stderr, rf'^om: TIMEOUT: [^\n]* process {stopped[1]}, is stopped')
        self.assertIn('late', [event['kind'] for event in self.om_json('events', jobs[1].pid)])
        until = time.monotonic() + STANDSTILL
        while time.monotonic() < until:
            for job in jobs:
                job.wait_progress(5)
        self.assertIn(' no contact ', self.om('ps').stdout)
        self.refuse(jobs[0], 'home', 'OUT_OF_REACH')
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        for job in jobs:
            job.wait_progress(5)
        self.wait_until(lambda: 'unreachable' not in self.om('ps').stdout, 'word from both')
        for job in jobs:
            job.move('home')
            job.wait_progress(5)
            job.finish()


if __name__ == '__main__':
    main()
