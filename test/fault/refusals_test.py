#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every reason not to move (docs/REASONS.md) that can be provoked is: `om why` and `om migrate` name it
with a message and a remedy, the program goes on at home and does right, and once the cause has gone
the process moves. Codes that nothing can provoke here are listed in NOT_HERE with the reason."""

import json
import os
import resource
import signal
import subprocess
import unittest

from faulty import FaultCase, main, om_process
from om_product import DEFAULT_UID

RIGHT_END = 5  # of provoke
SKIPPED = 77

# In the process, taken away again by the program.
CURABLE = ('AIO', 'CPU_TIMER', 'DEVICE_MAPPED', 'GS_BASE', 'HUGETLB', 'IO_URING', 'NOT_DUMPABLE',
           'PKEYS', 'SHARED_FILE', 'SHARED_MM', 'SHARED_WRITABLE', 'TRACED', 'UFFD', 'UNINTERRUPTIBLE',
           'IN_CALL', 'VERSION')
# Found when the threads stand, or by the target: om why cannot know.
AT_THE_STOP = ('GS_BASE', 'CPU_TIMER', 'UNINTERRUPTIBLE', 'IN_CALL', 'VERSION')
LASTING = ('FD_LIMIT', 'SECCOMP')
ELSEWHERE = {'NOT_PRELOADED', 'STATIC_BINARY', 'SANITIZER', 'STOPPED', 'SETUID', 'CPU_FEATURE', 'NO_MEMORY',
             'BLOCKED', 'TARGET_UNREACHABLE', 'NO_SUCH_PROCESS', 'PERMISSION', 'ALREADY_THERE', 'TIMEOUT',
             'HOME_MEMORY',
             'INTERNAL'}  # what steps_test.py makes fail
NOT_HERE = {
    'CET': 'needs a CPU, kernel and C library with shadow stacks (unit test of the preflight)',
    'CPU_COUNT': 'one machine has one set of CPU numbers (unit test of the admission)',
}


class Refusals(FaultCase):
    def program(self, cause, **how):
        """A running `provoke CAUSE` that has taken its cause on; None if this machine cannot."""
        program = self.product.build / 'test' / 'fault' / 'provoke'
        job = self.start(program, cause, stdin=subprocess.PIPE, **how)
        line = job.stdout.readline()
        if line != b'caused\n':
            job.wait()
            self.assertEqual(SKIPPED, job.returncode, (line, job.stderr.read()))
            return None
        return job

    def say(self, job, answer):
        """Lets it go on."""
        job.stdin.write(b'\n')
        job.stdin.flush()
        self.assertEqual(answer, job.stdout.readline())

    def end_right(self, job):
        self.say(job, b'right\n')
        self.finish(job, RIGHT_END)

    def codes(self, job):
        why = self.om_json('why', job.pid)
        self.assertEqual(why['can_move'], not why['reasons'])
        for reason in why['reasons']:
            self.check_reason(reason)
        return [reason['code'] for reason in why['reasons']]

    def check_reason(self, reason):
        self.assertTrue(reason['message'].endswith('.') or ': ' in reason['message'], reason)
        self.assertTrue(reason['remedy'].endswith('.'), reason)

    def check_refused(self, job, code, to='n2'):
        """`om migrate` says no, with code, message and remedy; the process stays as it is."""
        self.refuse(job, to, code)
        done = self.om('migrate', job.pid, to, expect=6)
        self.assertEqual('', done.stdout)
        lines = done.stderr.splitlines()
        self.assertTrue(lines[0].startswith(f'om: {code}: '), lines)
        self.assertGreater(len(lines), 1, 'no remedy')
        self.assertIn(code, [event['code'] for event in self.om_json('events', job.pid)])

    def test_every_code_has_its_place(self):
        page = subprocess.run(['sed', '-n', r's/^| \([A-Z_]*\) |.*/\1/p',
                               os.path.join(os.path.dirname(__file__), '../../docs/REASONS.md')],
                              capture_output=True, text=True, check=True).stdout.split()
        self.assertGreater(len(page), 30)
        known = set(CURABLE) | set(LASTING) | ELSEWHERE | set(NOT_HERE)
        self.assertEqual(set(), set(page) - known, 'codes without a test or a reason for none')

    def test_causes_that_come_and_go(self):
        for code in CURABLE:
            with self.subTest(code=code):
                job = self.program(code)
                if job is None:
                    print(f'{code}: cannot be provoked here')
                    continue
                self.assertEqual([] if code in AT_THE_STOP else [code], self.codes(job))
                self.check_refused(job, code)
                if code == 'NOT_DUMPABLE':  # all that can be told
                    self.assertIn(code, self.om('where', job.pid, expect=1).stderr)
                else:
                    self.assertEqual('n1', self.where(job))
                self.say(job, b'cured\n')
                self.assertEqual([], self.codes(job))
                self.move(job, 'n2')
                self.end_right(job)

    def test_causes_that_last(self):
        for code in LASTING:
            with self.subTest(code=code):
                job = self.program(code)
                if job is None:
                    print(f'{code}: cannot be provoked here')
                    continue
                self.assertEqual([code], self.codes(job))
                self.check_refused(job, code)
                self.end_right(job)

    def test_stopped(self):
        job = self.program('NOTHING')
        os.kill(job.pid, signal.SIGSTOP)
        self.wait_until(lambda: self.codes(job) == ['STOPPED'], 'STOPPED')
        self.check_refused(job, 'STOPPED')
        os.kill(job.pid, signal.SIGCONT)
        self.wait_until(lambda: self.codes(job) == [], 'the reason gone')
        self.move(job, 'n3')
        self.say(job, b'cured\n')
        self.end_right(job)

    def build(self, name, *flags):
        source = self.folder / 'program.c'
        source.write_text('#include <stdio.h>\nint main(void) { puts("up"); fflush(stdout); getchar(); '
                          'puts("right"); return 5; }\n', encoding='ascii')
        done = subprocess.run(['gcc', source, *flags, '-o', self.folder / name], check=False,
                              capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f'gcc {flags}: {done.stderr.splitlines()[-1:]}')
        return self.folder / name

    def check_stays_home(self, program, code):
        """`om check` knows before the start; `om run` runs it and says so in a line."""
        done = self.om('check', '--json', '--', program, expect=6)
        check = json.loads(done.stdout)
        self.assertEqual((False, [code]), (check['can_move'], [r['code'] for r in check['reasons']]))
        for reason in check['reasons']:
            self.check_reason(reason)
        self.assertIn(code, self.om('check', '--', program, expect=6).stdout)
        job = self.start(self.product.om, 'run', '--', program, preload=False, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        out, err = job.communicate(b'\n', timeout=30)
        self.assertEqual((RIGHT_END, b'right\n'), (job.returncode, out))
        self.assertEqual((True, 1), (err.startswith(b'om: '), err.count(b'\n')), err)

    def test_static_binary(self):
        program = self.build('static', '-static')
        self.check_stays_home(program, 'STATIC_BINARY')
        job = self.start(program, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.assertEqual(['STATIC_BINARY'], self.codes(job))
        self.check_refused(job, 'STATIC_BINARY')

    def test_sanitizer(self):
        program = self.build('sanitized', '-fsanitize=address')
        self.check_stays_home(program, 'SANITIZER')
        job = self.start(program, stdin=subprocess.PIPE, preload=False)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.assertIn('SANITIZER', self.codes(job))
        self.check_refused(job, 'SANITIZER')

    def test_not_preloaded(self):
        job = self.program('NOTHING', preload=False)
        self.assertEqual(['NOT_PRELOADED'], self.codes(job))
        self.check_refused(job, 'NOT_PRELOADED')
        self.say(job, b'cured\n')
        self.end_right(job)

    def test_home_memory(self):
        """Away the process maps more than home may: it stays away until there is room."""
        limit = 400 << 20
        script = ('import mmap, resource, sys\n'
                  'print("up", flush=True)\n'
                  'sys.stdin.readline()\n'
                  'try:\n'
                  f'    m = mmap.mmap(-1, {limit}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n'
                  '    print("mapped", flush=True)\n'
                  'except OSError as error:\n'
                  '    print(error.strerror, flush=True)\n'
                  'sys.stdin.readline()\n')
        job = self.start('/usr/bin/python3', '-S', '-c', script, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        # Of the process at home only: the body keeps the old limit.
        before = resource.prlimit(job.pid, resource.RLIMIT_AS)
        used = int(om_process.read_proc(job.pid, 'statm').split()[0]) * resource.getpagesize()
        resource.prlimit(job.pid, resource.RLIMIT_AS, (used + (64 << 20), before[1]))
        self.say(job, b'mapped\n')
        self.check_refused(job, 'HOME_MEMORY', 'home')
        self.assertEqual('n2', self.where(job))
        resource.prlimit(job.pid, resource.RLIMIT_AS, before)
        self.move(job, 'home')
        job.stdin.write(b'\n')
        job.stdin.close()
        job.stdin = None
        self.assertEqual(0, job.wait(30))

    # What the target says no to.

    def restart_n3(self, *options):
        node, command, settings = self.kill_daemon('n3')
        command = [word for at, word in enumerate(command)
                   if word not in ('--accept', '--config') and command[at - 1] not in ('--accept', '--config')]
        self.restart_daemon((node, [*command, *map(str, options)], settings))
        self.wait_until(lambda: {n['name']: n['state'] for n in self.om_json('nodes')}['n3'] == 'up', 'n3 up')

    def refused_until_restarted(self, code, *options):
        job = self.program('NOTHING')
        self.restart_n3(*options)
        # n1 may hold on to the connection of the old daemon for a moment.
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).code == code, code)
        self.check_refused(job, code, 'n3')
        self.restart_n3()
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).result == 'moved', 'a move')
        self.say(job, b'cured\n')
        self.end_right(job)

    def config(self, text):
        path = self.folder / 'om.toml'
        path.write_text(text, encoding='ascii')
        return '--config', path

    def test_blocked(self):
        self.refused_until_restarted('BLOCKED', '--accept', 'never')

    def test_no_memory(self):
        self.refused_until_restarted('NO_MEMORY', *self.config('memory_headroom_mib = 900000000\n'))

    def test_cpu_feature(self):
        self.refused_until_restarted('CPU_FEATURE', *self.config('hide_cpu_features = ["sse4_2"]\n'))

    def test_target_unreachable(self):
        job = self.program('NOTHING')
        killed = self.kill_daemon('n3')
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).code == 'TARGET_UNREACHABLE',
                        'TARGET_UNREACHABLE')
        self.check_refused(job, 'TARGET_UNREACHABLE', 'n3')
        self.move(job, 'n2')
        self.restart_daemon(killed)
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).result == 'moved', 'a move')
        self.say(job, b'cured\n')
        self.end_right(job)


class RefusalsOfRoot(FaultCase):
    needs_root = True
    nodes = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.base, 0o755)  # other users reach the control socket

    program = Refusals.program
    say = Refusals.say
    end_right = Refusals.end_right
    codes = Refusals.codes
    check_reason = Refusals.check_reason
    check_refused = Refusals.check_refused

    def test_changed_user(self):
        job = self.program('SETUID')
        self.assertEqual(['SETUID'], self.codes(job))
        self.check_refused(job, 'SETUID')
        self.say(job, b'cured\n')
        self.assertEqual([], self.codes(job))
        self.move(job, 'n2')
        self.end_right(job)

    def test_permission(self):
        job = self.program('NOTHING')
        done = subprocess.run([self.product.om, 'migrate', str(job.pid), 'n2'], check=False, text=True,
                              env=self.cluster.environment(), capture_output=True, user=DEFAULT_UID,
                              timeout=60, cwd='/')
        self.assertEqual((5, ''), (done.returncode, done.stdout), done.stderr)
        self.assertIn('PERMISSION', done.stderr)
        self.say(job, b'cured\n')
        self.end_right(job)


if __name__ == '__main__':
    main()
