#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A process is killed at a step of a departure or of a homecoming (in the full suite, at each): the answer is that it
has ended or has moved, never that something of ours failed; nothing of it is left.

OM_FAULT names a named pipe. Every step reads it, and so stops until it is told to go on."""

import os
import signal
import sys
import threading
import time

from faulty import POLL, WAIT_LIMIT, DemandCase, NumberedJob, main, om_process  # noqa: F401

FULL = bool(os.environ.get('OM_TEST_FULL'))


class Endings(DemandCase):
    def release(self):
        """Releases whatever waits at the gate, or returns False."""
        try:
            os.close(os.open(self.fault, os.O_WRONLY | os.O_NONBLOCK))
            return True
        except OSError:
            return False

    @staticmethod
    def runs(pid):
        # A deputy that traces it sees its end before its parent does: it may remain a zombie.
        stat = om_process.read_proc(pid, 'stat')
        return bool(stat) and stat.rpartition(')')[2].split()[0] not in 'ZX'

    def kill_at(self, number, to):
        """Kills a process at the `number`-th step of its move; returns its Move, or None if there are fewer steps."""
        job = NumberedJob(self)
        if to == 'home':
            job.move('n2')
        moves = []
        os.mkfifo(self.fault)
        thread = threading.Thread(target=lambda: moves.append(
            self.cluster.migrate_once(job.pid, to, WAIT_LIMIT)))
        thread.start()
        passed = 0
        until = time.monotonic() + WAIT_LIMIT
        try:
            while passed < number and not moves and time.monotonic() < until:
                if self.release():
                    passed += 1
                time.sleep(POLL / 4)
            killed = passed == number and not moves
            os.kill(job.pid, signal.SIGKILL)
            while self.runs(job.pid) and time.monotonic() < until:
                time.sleep(POLL / 4)
            while not moves and time.monotonic() < until:
                self.release()
                time.sleep(POLL / 4)
        finally:
            late = os.open(self.fault, os.O_RDWR | os.O_NONBLOCK)
            os.unlink(self.fault)
            os.close(late)
            thread.join(WAIT_LIMIT)
        job.runner.wait(WAIT_LIMIT)
        for reader in job.readers:
            reader.join(WAIT_LIMIT)
        self.assertEqual((128 + signal.SIGKILL, ''), (job.runner.returncode, job.problem))
        self.assertTrue(moves, f'step {number} to {to}: no answer')
        return moves[0] if killed else None

    def kill_at_all(self, to):
        stride = 1 if FULL else 6
        number = self.random.randint(1, stride)
        while (move := self.kill_at(number, to)) is not None:
            print(f'{to} {number}: {move}', file=sys.stderr, flush=True)
            with self.subTest(to=to, number=number):
                self.assertIn(move.result, ('ended', 'moved'), move)
            number += stride
        self.assertGreater(number, 10)

    def test_departure(self):
        self.kill_at_all('n2')

    def test_homecoming(self):
        self.kill_at_all('home')


if __name__ == '__main__':
    main()
