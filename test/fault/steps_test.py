#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every step of a migration fails on demand (OM_FAULT, common/fault.h), both by an error and by the
death of the program that is in it. What may follow: the process has arrived, or it goes on where it
was; never is anything lost or done twice. Only a keeper that dies after it was told to let the body
run takes the process with it, and that is told."""

import pathlib
import re
import sys
import time

from faulty import ROUNDS, WAIT_LIMIT, DemandCase, NumberedJob, main  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = re.findall(r'^    \{"([a-z]+\.[a-z]+)", "', (ROOT / 'common/fault.cc').read_text(), re.M)
FIRST_HOME = STEPS.index('return.begin')
# Behind the decision to be home nothing fails any more: another deputy completes it.
DECIDED = ('return.decided', 'return.leave', 'return.left')
# Steps of the keeper in which the process is at the other node for good.
BODY_RUNS = ('guest.stop', 'guest.stopped', 'guest.collect')


class Steps(DemandCase):
    def fired(self, step):
        """How often daemons' children have said that they fail at the step."""
        text = f'fault: step {step} fails on demand'
        return sum(log.read_text(errors='replace').count(text)
                   for log in pathlib.Path(self.cluster.directory).glob('n*/log*'))

    def go_on(self, job):
        """True if it goes on, False if it is lost as it may be."""
        more = job.progress(5)
        if more is None:
            self.fail(f'hangs: {self.om("ps").stdout}{self.om("events", job.pid).stdout}')
        if not more:
            job.check_lost()
        return more

    @staticmethod
    def natively(job):
        """What the kernel knows of the process and must be as before at home: signal masks and
        dispositions of every thread, open descriptors."""
        folder = pathlib.Path('/proc', str(job.pid))
        signals = sorted(re.findall(r'Sig(?:Blk|Ign|Cgt):\t(\w+)', (task / 'status').read_text())
                         for task in (folder / 'task').iterdir())
        return signals, sorted(int(entry.name) for entry in (folder / 'fd').iterdir())

    def check_native(self, job):
        until = time.monotonic() + WAIT_LIMIT
        while self.natively(job) != job.native and time.monotonic() < until:
            time.sleep(0.02)
        self.assertEqual(job.native, self.natively(job))

    def new_job(self):
        job = NumberedJob(self)
        job.native = self.natively(job)
        return job

    def bring(self, job, to):
        """A move without a fault must be possible whatever has happened before."""
        until = time.monotonic() + WAIT_LIMIT
        while True:
            move = self.cluster.migrate(job.pid, to)
            if move.result == 'moved' or time.monotonic() > until:
                break
            time.sleep(0.1)
        self.assertEqual('moved', move.result, move)

    def migrate_with(self, fault, job, to):
        """One try, with OM_FAULT set to `fault` meanwhile."""
        self.fault.write_text(fault + '\n')
        try:
            return self.cluster.migrate_once(job.pid, to, WAIT_LIMIT)
        finally:
            self.fault.unlink()

    def try_step(self, job, step, how):
        """The process fails at `step` on its way; gives the job to go on with."""
        returning = STEPS.index(step) >= FIRST_HOME
        if returning:
            self.bring(job, 'n2')
        before = self.fired(step)
        move = self.migrate_with(f'{step}:1:{how}', job, 'home' if returning else 'n2')
        print(f'{step} {how}: {move}', file=sys.stderr, flush=True)
        self.assertEqual(before + 1, self.fired(step), f'{step}: {move}')
        if how == 'fail' and move.result != 'moved' and step not in DECIDED:
            self.assertEqual('INTERNAL', move.code, move)
            self.assertIn('on demand', move.message)
        alive = self.go_on(job)
        if not alive:
            self.assertEqual(('kill', True), (how, step in BODY_RUNS), f'{step}: lost')
            return self.new_job()
        if not returning and self.om('where', job.pid).stdout.strip() == 'n1':
            self.check_native(job)
        self.bring(job, 'home')
        self.assertTrue(self.go_on(job), step)
        self.check_native(job)
        return job

    def try_all(self, steps, how):
        job = self.new_job()
        for step in steps:
            with self.subTest(step=step, how=how):
                job = self.try_step(job, step, how)
            if job.ended():  # said above
                job = self.new_job()
        job.finish()

    def test_departure_fails(self):
        self.try_all(STEPS[:FIRST_HOME], 'fail')

    def test_departure_dies(self):
        self.try_all(STEPS[:FIRST_HOME], 'kill')

    def test_homecoming_fails(self):
        self.try_all(STEPS[FIRST_HOME:], 'fail')

    def test_homecoming_dies(self):
        self.try_all(STEPS[FIRST_HOME:], 'kill')

    def test_calls_are_whole_behind_a_stop(self):
        """Stops at home that lead to nothing: moves that fail, and looks at the stack."""
        job = NumberedJob(self, program='transfers')
        for _ in range(3 * ROUNDS):
            for step in ('depart.stop', 'depart.describe', 'depart.taken'):
                move = self.migrate_with(step, job, 'n2')
                self.assertNotEqual('moved', move.result, move)
                self.assertEqual(0, self.om('stack', job.pid).returncode)
            job.wait_progress(1)
        for to in ('n2', 'home'):
            job.move(to)
            job.wait_progress(2)
        job.finish()

    def goes_on_behind(self, fault, job, to):
        move = self.migrate_with(fault, job, to)
        print(f'{fault}: {move}', file=sys.stderr, flush=True)
        if job.progress(1) is False:
            self.fail(f'{fault}: {job.said!r}')

    def test_calls_are_whole_behind_a_homecoming_that_fails(self):
        """Stops of executors that lead to nothing, or that another deputy has to make something of."""
        job = NumberedJob(self, program='transfers')
        for how in ('fail', 'kill'):
            for _ in range(ROUNDS):
                for step in ('return.stop', 'return.settled', 'return.memory', 'return.left'):
                    self.bring(job, 'n2')
                    self.goes_on_behind(f'{step}:1:{how}', job, 'home')
        self.bring(job, 'home')
        job.finish()

    def test_calls_are_whole_when_the_deputy_dies(self):
        """Before anything is decided: the threads go on by themselves."""
        job = NumberedJob(self, program='transfers')
        for _ in range(ROUNDS):
            for step in STEPS[STEPS.index('depart.stop'):STEPS.index('depart.decided')]:
                self.goes_on_behind(f'{step}:1:kill', job, 'n2')
                self.bring(job, 'home')
        job.finish()

    def test_calls_end_while_a_homecoming_fails(self):
        job = NumberedJob(self, program='sleepers')
        job.move('n2')
        for time_of_it in range(1, 10 * ROUNDS + 1):
            for step in ('return.hold', 'return.stop'):
                move = self.migrate_with(f'{step}:{time_of_it}', job, 'home')
                self.assertIn('on demand', move.message, move)
                job.wait_progress(3)
        job.move('home')
        job.finish()


if __name__ == '__main__':
    main()
