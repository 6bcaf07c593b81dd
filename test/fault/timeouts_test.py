#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Socket timeouts (timeouts.cc) expire when they do natively, whatever stops the process meanwhile: the results are the
same, and a call takes no longer than natively plus the time stopped for a move and one more stop, the one in which the
timeout expires."""

import time

from faulty import RIGHT_END, DemandCase, main
from harness import WAIT_LIMIT

LIMIT_MS = 4000
SLACK_MS = 3000    # that a loaded machine may take to run a thread; less than another LIMIT_MS
EARLY_MS = 10      # the kernel's clock ticks
PAUSE = 0.3        # between two stops


class Timeouts(DemandCase):
    def setUp(self):
        super().setUp()
        self.program = self.product.build / 'test' / 'fault' / 'timeouts'
        self.longest = self.frozen = 0  # seconds

    def lines(self, job):
        out, err = job.stdout.read(), job.stderr.read()
        self.assertEqual((RIGHT_END, b''), (job.wait(WAIT_LIMIT), err))
        said = {}
        for line in out.decode().splitlines():
            name, result, error, took = line.split()
            said[name] = ((result, error), int(took))
        return said

    def begin(self, preload):
        job = self.start(self.program, LIMIT_MS, preload=preload)
        self.assertEqual(b'ready\n', job.stdout.readline())
        return job

    def check(self, act):
        """Calls `act` repeatedly while a job waits."""
        native = self.lines(self.begin(preload=False))
        self.assertEqual(16, len(native), native)
        job = self.begin(preload=True)
        until = time.monotonic() + WAIT_LIMIT
        while job.poll() is None:
            self.assertLess(time.monotonic(), until, 'the calls do not end')
            began = time.monotonic()
            act(job)
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(PAUSE)
        for name, (answer, took) in self.lines(job).items():
            with self.subTest(call=name):
                self.assertEqual(native[name][0], answer)
                self.assertGreaterEqual(took, LIMIT_MS - EARLY_MS)
                extra = (self.longest + self.frozen) * 1000
                self.assertLessEqual(took, native[name][1] + extra + SLACK_MS)

    def test_looks_at_the_stack(self):
        self.check(lambda job: self.om('stack', job.pid, expect=None))

    def test_moves_to_and_fro(self):
        places = ['n2', 'home']

        def move(job):
            result = self.cluster.migrate(job.pid, places[0])
            if result.result == 'moved':
                places.reverse()
                self.frozen += result.data['freeze_ms'] / 1000
        self.check(move)

    def test_moves_that_fail(self):
        """First at home, then away."""
        moves = [('depart.taken', 'n2'), ('depart.registers', 'n2'), ('', 'n2')]
        moves += 50 * [('return.settled', 'home'), ('return.memory', 'home')]

        def fail(job):
            step, to = moves[0]
            self.fault.write_text(step + '\n')
            result = self.cluster.migrate_once(job.pid, to, WAIT_LIMIT).result
            self.fault.unlink()
            if step or result == 'moved':
                moves.pop(0)
        self.check(fail)


if __name__ == '__main__':
    main()
