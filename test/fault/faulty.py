# SPDX-License-Identifier: Apache-2.0
"""The base of the fault tests: a private cluster and a job that numbers every step (numbered.cc), so that losses and
repetitions show."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cluster'))

from harness import POLL, WAIT_LIMIT, ClusterCase, main  # noqa: E402, F401
import om_process  # noqa: E402, F401

RIGHT_END = 7     # exit status of numbered if nothing is wrong
ASKS_END = 5      # and of asks
ROUNDS = int(os.environ.get('OM_TEST_ROUNDS', '4'))
SESSION_TIMEOUT = 2  # seconds that a deputy waits for an unreachable keeper


class NumberedJob:
    """`numbered`, or a program with the same output, under `om run`: counts and checks its lines as they arrive."""

    def __init__(self, case, lines=50, pause_us=2000, program='numbered', more=()):
        self.case = case
        folder = case.folder / f'job-{len(list(case.folder.iterdir()))}'
        folder.mkdir()
        self.folder = folder
        program = case.product.build / 'test' / 'fault' / program
        self.runner = case.start(case.product.om, 'run', '--', program, lines, pause_us, *more,
                                 preload=False, cwd=folder)
        self.lines = 0
        self.problem = ''
        self.sound = False
        self.said = b''
        self.readers = [threading.Thread(target=self.read_lines, daemon=True),
                        threading.Thread(target=self.read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()
        self.wait_progress(3)
        self.pid = case.om_json('where', self.runner.pid)['pid']

    def read_lines(self):
        for line in self.runner.stdout:
            if line == b'sound\n':
                self.sound = True
            elif line == b'%d\n' % self.lines and not self.sound:
                self.lines += 1
            else:
                self.problem = self.problem or f'line {line!r} behind {self.lines} lines'

    def read_errors(self):
        for line in self.runner.stderr:
            self.said += line

    def ended(self):
        return self.runner.poll() is not None

    def progress(self, more):
        """True if there were `more` new lines, False if the job ended before, None if it hangs."""
        want = self.lines + more
        until = time.monotonic() + WAIT_LIMIT
        while self.lines < want:
            if self.ended():
                return False
            if time.monotonic() > until:
                return None
            time.sleep(POLL)
        return True

    def wait_progress(self, more):
        if not self.progress(more):
            self.case.fail(f'no {more} lines more after {self.lines}: status {self.runner.poll()}, '
                           f'{self.problem or self.said!r}; {self.case.om("ps").stdout}')

    def move(self, to):
        """A move without a fault, right after one with a fault: it may be refused for a moment."""
        until = time.monotonic() + WAIT_LIMIT
        while True:
            move = self.case.cluster.migrate(self.pid, to)
            if move.result == 'moved' or time.monotonic() > until:
                break
            time.sleep(0.1)
        self.case.assertEqual('moved', move.result, move)

    def finish(self):
        """Lets it run to its end, which must be right."""
        self.wait_progress(5)
        (self.folder / 'stop').touch()
        self.runner.wait(WAIT_LIMIT)
        for reader in self.readers:
            reader.join(WAIT_LIMIT)
        self.case.assertEqual((RIGHT_END, True, '', b''),
                              (self.runner.returncode, self.sound, self.problem, self.said))

    def check_lost(self):
        """Checks an end by loss: killed, nothing done twice, and the reason reported."""
        for reader in self.readers:
            reader.join(WAIT_LIMIT)
        self.case.assertEqual((128 + signal.SIGKILL, ''), (self.runner.returncode, self.problem), self.said)
        self.case.assertRegex(self.said.decode(), rf'^om: process {self.pid}: [A-Z_]+: .+\n$')
        said = self.said.decode().partition(f'{self.pid}: ')[2].strip()
        self.case.assertIn(said, self.case.om('why', self.pid, expect=4).stderr)
        kinds = [(event['kind'], event['code']) for event in self.case.om_json('events', self.pid)]
        self.case.assertTrue([code for kind, code in kinds if kind in ('lost', 'note') and code], kinds)


class FaultCase(ClusterCase):
    """`self.random` comes from a seed that is printed; OM_TEST_SEED repeats it."""

    session_timeout = SESSION_TIMEOUT

    @classmethod
    def setUpClass(cls):
        os.environ['OM_SESSION_TIMEOUT_S'] = str(cls.session_timeout)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        seed = os.environ.get('OM_TEST_SEED') or str(random.randrange(1 << 30))
        print(f'seed {seed}', file=sys.stderr, flush=True)
        self.random = random.Random(f'{seed} {self.id()}')

    def helpers(self, name):
        """Processes of the cluster, by program name."""
        return [pid for pid in om_process.descendants(os.getpid())
                if om_process.alive(pid) and om_process.read_proc(pid, 'comm').strip() == name]

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class DemandCase(FaultCase):
    """With OM_FAULT read from the file `fault`, which does not exist at first."""

    @classmethod
    def setUpClass(cls):
        cls.fault = pathlib.Path(tempfile.mkdtemp(prefix='om-fault-'), 'fault')
        cls.fault.parent.chmod(0o755)
        os.environ['OM_FAULT'] = f'@{cls.fault}'
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.fault.parent.rmdir()

    def set_fault(self, text):
        """Replaces the fault without a gap. Empty: none."""
        if not text:
            return self.fault.unlink(missing_ok=True)
        draft = self.fault.with_name('draft')
        draft.write_text(text + '\n')
        draft.rename(self.fault)

    def log_lines(self, text):
        """How often the daemons' children have logged this."""
        return sum(log.read_text(errors='replace').count(text)
                   for log in pathlib.Path(self.cluster.directory).glob('n*/log*'))

    def logged(self, pid):
        """The last lines of the daemons' children about the process."""
        lines = [line for log in pathlib.Path(self.cluster.directory).glob('n*/log*')
                 for line in log.read_text(errors='replace').splitlines() if f'process {pid}' in line]
        return '\n'.join(lines[-20:])

    def wait_held(self, step, before):
        self.wait_until(lambda: self.log_lines(f'step {step} fails on demand, by being held') > before,
                        f'a process at step {step}')


class AskerCase(FaultCase):
    """With programs that carry out commands (asks.cc)."""

    def asker(self, *arguments, **how):
        program = self.product.build / 'test' / 'fault' / 'asks'
        job = self.start(program, *arguments, stdin=subprocess.PIPE, **how)
        self.assertEqual(b'up\n', job.stdout.readline())
        return job

    def ask(self, job, line):
        job.stdin.write(line.encode() + b'\n')
        job.stdin.flush()
        return job.stdout.readline().decode().strip()

    def end_asker(self, job):
        job.stdin.write(b'end\n')
        job.stdin.flush()
        self.finish(job, ASKS_END)

    def only(self, name):
        found = self.helpers(name)
        self.assertEqual(1, len(found), name)
        return found[0]
