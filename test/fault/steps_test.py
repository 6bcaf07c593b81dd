#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every step of a migration fails on demand (OM_FAULT, common/base/fault.h), by an error and by the death of the
program that is in it. Allowed outcomes: the process has arrived, or it goes on where it was; nothing is ever lost or
done twice. Only a keeper that dies after being told to let the body run takes the process with it, and that is
reported."""

import ctypes
import errno
import os
import pathlib
import re
import subprocess
import sys
import time

from faulty import ROUNDS, WAIT_LIMIT, DemandCase, NumberedJob, main  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = re.findall(r'^    \{"([a-z]+\.[a-z]+)", "', (ROOT / 'common/base/fault.cc').read_text(), re.M)
FIRST_HOME = STEPS.index('return.begin')
DEPARTURE, HOMECOMING = STEPS[:FIRST_HOME], STEPS[FIRST_HOME:STEPS.index('adopt.begin')]
# After the decision to be home nothing fails any more: another deputy completes it.
DECIDED = ('return.decided', 'return.leave', 'return.left')
MORE_THAN_UNREAD = 100  # lines that a job may have printed before a kill and that are still unread
# The keeper's steps in which the process is at the other node for good.
BODY_RUNS = ('guest.committed', 'guest.stop', 'guest.stopped', 'guest.collect')

# A program whose user may queue only a few more signals. Prints which it counts (from the first number on) and which
# one it blocks (the second), then how many it has counted, and how many more it may queue than at first.
QUEUED_SIGNALS = """
import resource, signal
got = []
caught, blocked = signal.SIGRTMIN, signal.SIGRTMIN + 3
for number in range(caught, blocked):
    signal.signal(number, lambda *_: got.append(1))
signal.pthread_sigmask(signal.SIG_BLOCK, [blocked])
used = int(next(l for l in open('/proc/self/status') if l.startswith('SigQ')).split()[1].split('/')[0])
limits = used + 3, resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]
resource.setrlimit(resource.RLIMIT_SIGPENDING, limits)
print(int(caught), int(blocked), flush=True)
input()
print(len(got), resource.getrlimit(resource.RLIMIT_SIGPENDING)[0] - used)
"""

# Prints the contents of a shared file mapping until that is 'z'.
MAPPED_FILE = """
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
view = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
seen = b''
while seen != b'z':
    if view[:1] != seen:
        seen = view[:1]
        print(seen.decode(), flush=True)
    time.sleep(0.01)
"""


class Steps(DemandCase):
    def fired(self, step):
        """How often the daemons' children have logged that they fail at the step."""
        return self.log_lines(f'fault: step {step} fails on demand')

    def go_on(self, job, more=5):
        """True if it goes on, False if it is lost in an allowed way."""
        more = job.progress(more)
        if more is None:
            self.fail(f'hangs: {self.om("ps").stdout}{self.om("events", job.pid).stdout}{self.logged(job.pid)}')
        if not more:
            job.check_lost()
        return more

    @staticmethod
    def natively(job):
        """The kernel's state of the process that must be as before at home: signal masks and dispositions of every
        thread, open descriptors."""
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
        """A move without a fault, which must be possible whatever has happened before."""
        until = time.monotonic() + WAIT_LIMIT
        while True:
            move = self.cluster.migrate(job.pid, to)
            if move.result == 'moved' or time.monotonic() > until:
                break
            time.sleep(0.1)
        self.assertEqual('moved', move.result, move)

    def migrate_with(self, fault, job, to):
        """One attempt, with OM_FAULT set to `fault` meanwhile."""
        self.fault.write_text(fault + '\n')
        try:
            return self.cluster.migrate_once(job.pid, to, WAIT_LIMIT)
        finally:
            self.fault.unlink()

    def try_step(self, job, step, how):
        """Makes `step` of a move fail; returns the job to continue with."""
        returning = STEPS.index(step) >= FIRST_HOME
        if returning:
            self.bring(job, 'n2')
        before = self.fired(step)
        move = self.migrate_with(f'{step}:1:{how}', job, 'home' if returning else 'n2')
        print(f'{step} {how}: {move}', file=sys.stderr, flush=True)
        self.assertEqual(before + 1, self.fired(step), f'{step}: {move}')
        if (how, step) == ('fail', 'guest.committed') and move.result != 'moved':
            self.assertEqual('TARGET_UNREACHABLE', move.code, move)  # all that home can know
        elif how == 'fail' and move.result != 'moved' and step not in DECIDED:
            self.assertEqual('INTERNAL', move.code, move)
            self.assertIn('on demand', move.message)
        alive = self.go_on(job, MORE_THAN_UNREAD if (how, step in BODY_RUNS) == ('kill', True) else 5)
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

    def test_every_step_has_its_place(self):
        """A name that no code has is never reached, and one that the table lacks is never tried."""
        sources = [path.read_text() for folder in ('deputy', 'guest') for path in (ROOT / folder).rglob('*.cc')]
        places = [name for text in sources for name in re.findall(r'fault(?:_at)?\("([^"]+)"\)', text)]
        self.assertEqual(sorted(STEPS), sorted(places))
        self.assertEqual('adopt.begin', STEPS[-1])

    def test_departure_fails(self):
        self.try_all(DEPARTURE, 'fail')

    def test_departure_dies(self):
        self.try_all(DEPARTURE, 'kill')

    def test_homecoming_fails(self):
        self.try_all(HOMECOMING, 'fail')

    def test_homecoming_dies(self):
        self.try_all(HOMECOMING, 'kill')

    def hold_commit(self, pid):
        """Sends the process to n2, whose keeper lets the body run but does not answer home yet."""
        before = self.log_lines('step guest.committed fails on demand, by being held')
        self.set_fault('guest.committed:1:hold')
        self.addCleanup(self.set_fault, '')
        mover = self.start(self.product.om, 'migrate', pid, 'n2', preload=False)
        self.wait_held('guest.committed', before)
        return mover

    def answer_commit(self, mover, how):
        self.set_fault(f'guest.committed:1:{how}')
        mover.wait(WAIT_LIMIT)
        self.set_fault('')

    def test_answer_to_commit_is_lost(self):
        """The body has acted by then: the process has moved, and the keeper reconnects."""
        job = NumberedJob(self)
        for _ in range(ROUNDS):
            mover = self.hold_commit(job.pid)
            job.wait_progress(5)
            self.answer_commit(mover, 'fail')
            self.assertEqual(0, mover.returncode, mover.stderr.read())
            job.wait_progress(5)
            self.assertEqual('n2', self.om('where', job.pid).stdout.strip())
            self.bring(job, 'home')
            job.wait_progress(5)
        job.finish()

    def test_keeper_dies_with_its_answer_to_commit(self):
        """Its body has acted, and ends with it: that is reported, with the name of the lost node."""
        job = NumberedJob(self)
        mover = self.hold_commit(job.pid)
        job.wait_progress(5)
        self.answer_commit(mover, 'kill')
        self.assertFalse(self.go_on(job, MORE_THAN_UNREAD))
        notes = [event for event in self.om_json('events', job.pid) if event['code'] == 'NODE_LOST']
        self.assertEqual(1, len(notes), notes)
        self.assertIn('node n2', notes[0]['message'])

    def test_no_call_is_made_while_a_departure_is_taken_back(self):
        """The process hardly gets the CPU: its threads are stopped anywhere on their way to a call."""
        job = NumberedJob(self)
        cpu = min(os.sched_getaffinity(0))
        spinner = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
        os.sched_setaffinity(spinner.pid, [cpu])
        self.addCleanup(spinner.wait)
        self.addCleanup(spinner.kill)
        for tid in map(int, os.listdir(f'/proc/{job.pid}/task')):
            os.sched_setscheduler(tid, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setaffinity(tid, [cpu])
        for _ in range(2 * ROUNDS):
            self.migrate_with('guest.committed:1:fail', job, 'n2')
            job.wait_progress(5)
            self.bring(job, 'home')
        job.finish()

    def test_program_execs_before_the_answer_to_commit(self):
        """It is then another program, at home, and remains so whatever becomes of the answer."""
        new = 'echo new; read x; echo "$x"; exit 3'
        for how in ('fail', 'kill'):
            with self.subTest(how=how):
                go = self.folder / f'go-{how}'
                script = f"echo up; while [ ! -e '{go}' ]; do :; done; exec /bin/sh -c '{new}'"
                job = self.start('/bin/sh', '-c', script, stdin=subprocess.PIPE)
                self.assertEqual(b'up\n', job.stdout.readline())
                mover = self.hold_commit(job.pid)
                go.touch()
                self.assertEqual(b'new\n', job.stdout.readline())
                self.answer_commit(mover, how)
                self.wait_until(lambda pid=job.pid: self.om('where', pid).stdout == 'n1\n', 'it at home')
                self.bring(job, 'n2')
                out, _ = job.communicate(b'right\n', timeout=WAIT_LIMIT)
                self.assertEqual((3, b'right\n'), (job.returncode, out))

    def test_caught_signals_come_home_although_no_more_may_be_queued(self):
        """They wait at home, caught for a stopped body; others use up the queue before they are queued again."""
        job = self.start('/usr/bin/python3', '-c', QUEUED_SIGNALS, stdin=subprocess.PIPE)
        caught, blocked = map(int, job.stdout.readline().split())
        self.bring(job, 'n2')
        before = self.log_lines('step return.hold fails on demand, by being held')
        self.set_fault('return.hold:1:hold')
        self.addCleanup(self.set_fault, '')
        mover = self.start(self.product.om, 'migrate', job.pid, 'home', preload=False)
        self.wait_held('return.hold', before)
        queue = ctypes.CDLL(None, use_errno=True).sigqueue
        for number in range(caught, blocked):
            self.assertEqual(0, queue(job.pid, number, None), os.strerror(ctypes.get_errno()))
        self.wait_until(lambda: int(self.status(job.pid, 'ShdPnd'), 16) == 0, 'the catcher')
        while queue(job.pid, blocked, None) == 0:
            pass
        self.assertEqual(errno.EAGAIN, ctypes.get_errno())
        self.set_fault('')
        self.assertEqual(0, mover.wait(WAIT_LIMIT), mover.stderr.read())
        self.assertEqual('n1\n', self.om('where', job.pid).stdout)
        out, _ = job.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'3 3\n'), (job.returncode, out))

    @staticmethod
    def status(pid, name):
        return re.search(rf'^{name}:\s*(\w+)', pathlib.Path(f'/proc/{pid}/status').read_text(), re.M)[1]

    def test_calls_are_whole_behind_a_stop(self):
        """Stops at home without effect: failed moves, and looks at the stack."""
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
        """Stops of executors without effect, or that another deputy has to deal with."""
        job = NumberedJob(self, program='transfers')
        for how in ('fail', 'kill'):
            for _ in range(ROUNDS):
                for step in ('return.stop', 'return.settled', 'return.memory', 'return.left'):
                    self.bring(job, 'n2')
                    self.goes_on_behind(f'{step}:1:{how}', job, 'home')
        self.bring(job, 'home')
        job.finish()

    def test_calls_are_whole_when_the_deputy_dies(self):
        """Before any decision: the threads go on by themselves."""
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


class PatientSteps(DemandCase):
    session_timeout = 60

    def test_nobody_can_take_over_for_a_while(self):
        """The process is reported lost, but is not: it goes on once a deputy is available."""
        job = NumberedJob(self)
        job.move('n2')
        self.set_fault('adopt.begin')
        self.addCleanup(self.set_fault, '')
        for pid in self.helpers('om-deputy'):
            self.kill(pid)
        self.wait_until(lambda: 'lost' in [event['kind'] for event in self.om_json('events', job.pid)], 'giving up')
        self.assertIn('DEPUTY_LOST', self.om('why', job.pid, expect=None).stdout)
        self.assertEqual('DEPUTY_LOST', self.cluster.migrate_once(job.pid, 'home', WAIT_LIMIT).code)
        self.set_fault('')
        job.wait_progress(100)
        job.move('home')
        job.finish()

    def test_file_changes_while_there_is_no_deputy(self):
        """The dead deputy had leased a file that the process has mapped: the process sees the change all the same."""
        path = self.folder / 'mapped'
        path.write_text('a')
        job = self.start(sys.executable, '-c', MAPPED_FILE, path)
        self.assertEqual(b'a\n', job.stdout.readline())
        self.move(job, 'n2')
        before = self.log_lines('step adopt.begin fails on demand, by being held')
        self.set_fault('adopt.begin:1:hold')
        self.addCleanup(self.set_fault, '')
        for pid in self.helpers('om-deputy'):
            self.kill(pid)
        self.wait_held('adopt.begin', before)
        with open(path, 'r+', encoding='ascii') as changed:
            changed.write('z')
        self.set_fault('')
        self.assertEqual((b'z\n', b''), job.communicate(timeout=WAIT_LIMIT))
        self.assertEqual(0, job.returncode)


if __name__ == '__main__':
    main()
