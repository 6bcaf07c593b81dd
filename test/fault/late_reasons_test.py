#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A reason not to move that arises after the process has been checked and everything is prepared, while it still runs:
OM_FAULT holds the departure there. The move is refused with the same code as if the reason had existed from the
beginning; a process whose changes only invalidate the preparations moves all the same. Nothing moves that the target
was not told of; what is refused keeps running correctly and moves once the reason is gone."""

import concurrent.futures
import os
import pathlib
import signal
import subprocess

from faulty import DemandCase, main, om_process
from refusals_test import CURABLE, SKIPPED, RefusalCase

HELD = 'depart.prepared'
# Not in the process: the deputy has read it by then.
ELSEWHERE = ('VERSION',)
REFUSED = {cause: cause for cause in CURABLE if cause not in ELSEWHERE} | {'VFORK': 'SHARED_MM'}
MOVED = ('EXEC', 'LIMIT', 'NOTHING', 'PLACE')


class LateReasons(RefusalCase, DemandCase):
    nodes = 2

    def held(self, step):
        text = f'step {step} fails on demand, by being held'
        return sum(log.read_text(errors='replace').count(text)
                   for log in pathlib.Path(self.cluster.directory).glob('n*/log*'))

    def waiting(self, cause):
        """A program that brings about its cause on command."""
        job = self.start(self.product.build / 'test/fault/provoke', cause, 'later', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        return job

    def move_while(self, job, begin, step=HELD, then=''):
        """A move that is held at `step` while `begin` is called; returns the result of `begin`, and the move. `then`:
        the step to fail after that."""
        before = self.held(step)
        self.fault.write_text(f'{step}:1:hold\n')
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                move = pool.submit(self.cluster.migrate_once, job.pid, 'n2', 60)
                self.wait_until(lambda: self.held(step) > before or move.done(), 'a departure that is held')
                begun = begin()
                self.fault.write_text(then + '\n')
                return begun, move.result()
        finally:
            self.fault.unlink(missing_ok=True)

    def cause(self, job):
        job.stdin.write(b'\n')
        job.stdin.flush()
        return job.stdout.readline() == b'caused\n'

    def try_cause(self, cause, check):
        job = self.waiting(cause)
        begun, move = self.move_while(job, lambda: self.cause(job))
        print(f'{cause}: {move}', flush=True)
        if not begun:
            job.wait()
            self.assertEqual(SKIPPED, job.returncode, job.stderr.read())
            self.skipTest(f'{cause}: not on this machine')
        check(job, move)
        self.say(job, b'cured\n')
        if move.result != 'moved':
            self.assertEqual('n1', self.where(job))
            self.move(job, 'n2')
        self.end_right(job)

    def test_refused_as_ever(self):
        def check(_, move):
            self.assertEqual(('refused', REFUSED[cause]), (move.result, move.code), move)
        for cause in REFUSED:
            with self.subTest(cause=cause):
                self.try_cause(cause, check)

    def test_moved_as_it_is_then(self):
        def check(job, move):
            self.assertEqual('moved', move.result, move)
            self.assertEqual('n2', self.where(job))
        for cause in MOVED:
            with self.subTest(cause=cause):
                self.try_cause(cause, check)

    def test_a_signal_at_the_stop_ends_the_call(self):
        """Even if the process stays: its call does not continue after the handler."""
        for then in ('depart.arena', 'depart.taken', ''):
            with self.subTest(then=then):
                job = self.program('INTERRUPTED')

                def signals(pid=job.pid):
                    os.kill(pid, signal.SIGUSR1)
                    os.kill(pid, signal.SIGUSR2)
                _, move = self.move_while(job, signals, 'depart.stop', then)
                self.assertEqual('INTERNAL' if then else '', move.code, move)
                self.say(job, b'cured\n')
                self.end_right(job)

    def test_stopped(self):
        job = self.waiting('NOTHING')
        def stop():
            os.kill(job.pid, signal.SIGSTOP)
            self.wait_until(lambda: om_process.stat_fields(job.pid)[0] == 'T', 'the stop')
        _, move = self.move_while(job, stop)
        self.assertEqual(('refused', 'STOPPED'), (move.result, move.code), move)
        os.kill(job.pid, signal.SIGCONT)
        self.move(job, 'n2')
        self.say(job, b'caused\n')
        self.say(job, b'cured\n')
        self.end_right(job)


if __name__ == '__main__':
    main()
