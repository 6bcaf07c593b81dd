#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Threads frozen for any length of time while their process is on its way home and home has decided: this deputy or the
next waits for what must be done in them, as long as the process lives.

Needs root: a control group freezes the process, of version 1 and of version 2 as far as available. A thread frozen by
version 1 does not even stop for a tracer."""

import os
import pathlib

from faulty import WAIT_LIMIT, DemandCase, NumberedJob, main

GROUPS = pathlib.Path('/sys/fs/cgroup')
V1, V2 = GROUPS / 'freezer', (GROUPS, GROUPS / 'unified')
WAITS = 'takes long; it is waited for'
WAITS_TO_COMPLETE = 'its return is completed when its threads stop'


class Freezer:
    """A control group of its own, which must already exist."""

    def __init__(self, folder):
        self.folder = folder
        self.second = (folder.parent / 'cgroup.controllers').exists()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    def release(self):
        if not self.folder.exists():
            return
        self.set(False)
        for pid in (self.folder / 'cgroup.procs').read_text().split():
            (self.folder.parent / 'cgroup.procs').write_text(pid)
        self.folder.rmdir()

    def take(self, pid):
        (self.folder / 'cgroup.procs').write_text(f'{pid}')

    def set(self, on):
        if self.second:
            (self.folder / 'cgroup.freeze').write_text(f'{on:d}')
        else:
            (self.folder / 'freezer.state').write_text('FROZEN' if on else 'THAWED')

    def is_frozen(self):
        if self.second:
            return 'frozen 1' in (self.folder / 'cgroup.events').read_text()
        return (self.folder / 'freezer.state').read_text() == 'FROZEN\n'


class Frozen(DemandCase):
    needs_root = True
    nodes = 2

    def freezer(self, second):
        parents = [parent for parent in (V2 if second else (V1,))
                   if (parent / ('cgroup.controllers' if second else 'cgroup.procs')).exists()]
        if not parents:
            self.skipTest(f'no control groups with a freezer, version {2 if second else 1}')
        freezer = Freezer(parents[0] / f'om-test-{os.getpid()}')
        try:
            freezer.folder.mkdir()
        except OSError as error:
            self.skipTest(f'no control groups can be made: {error}')
        return freezer

    def freeze(self, freezer):
        freezer.set(True)
        self.wait_until(freezer.is_frozen, 'the frozen process')

    def hold_return(self, job, step):
        """Brings it home, with its deputy held after the decision."""
        job.move('n2')
        before = self.log_lines(f'step {step} fails on demand, by being held')
        self.set_fault(f'{step}:1:hold')
        self.addCleanup(self.set_fault, '')
        mover = self.start(self.product.om, 'migrate', job.pid, 'home', preload=False)
        self.wait_held(step, before)
        return mover

    def lost(self, job):
        return [event for event in self.om_json('events', job.pid) if event['kind'] == 'lost']

    def wait_waiting(self, job, text, before):
        self.wait_until(lambda: self.log_lines(text) > before or self.lost(job), text)
        self.assertEqual([], self.lost(job))

    def try_both(self, work):
        for second in (True, False):
            with self.subTest(second=second), self.freezer(second) as freezer:
                job = NumberedJob(self)
                freezer.take(job.pid)
                work(freezer, job)
                self.wait_until(lambda pid=job.pid: self.om('where', pid).stdout == 'n1\n', 'it at home')
                job.wait_progress(5)
                freezer.release()
                job.finish()

    def test_deputy_waits(self):
        def work(freezer, job):
            mover = self.hold_return(job, 'return.decided')
            before = self.log_lines(WAITS)
            self.freeze(freezer)
            self.set_fault('')
            self.wait_waiting(job, WAITS, before)
            freezer.set(False)
            self.assertEqual(0, mover.wait(WAIT_LIMIT), mover.stderr.read())
        self.try_both(work)

    def test_next_deputy_waits(self):
        def work(freezer, job):
            mover = self.hold_return(job, 'return.decided')
            text = WAITS if freezer.second else WAITS_TO_COMPLETE
            before = self.log_lines(text)
            self.freeze(freezer)
            self.set_fault('return.decided:1:kill')
            mover.wait(WAIT_LIMIT)
            self.set_fault('')
            self.wait_waiting(job, text, before)
            freezer.set(False)
        self.try_both(work)


if __name__ == '__main__':
    main()
