#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`om run` with jobs that really move: exit status, signals, streams and the terminal pass through wherever the job is.
om_run_test.py tests the same without a daemon."""

import os
import pty
import select
import signal
import subprocess
import time

from harness import WAIT_LIMIT, ClusterCase, main
import om_process
from om_cluster import TRANSIENT

CTRL_C = b'\x03'
SYS_READ = 0


class RunMoving(ClusterCase):
    def job(self, script, **how):
        """`om run -- sh -c SCRIPT`, moved to n2; returns the process of om run. The script waits for its first line
        before it goes on."""
        runner = self.start(self.product.om, 'run', '--', '/bin/sh', '-c', 'echo up; ' + script,
                            preload=False, stdin=subprocess.PIPE, **how)
        self.assertEqual(b'up\n', runner.stdout.readline())
        self.job_pid = self.om_json('where', runner.pid)['pid']
        self.assertNotEqual(runner.pid, self.job_pid)
        record = self.om_json('migrate', runner.pid, 'n2')
        self.assertEqual(('moved', self.job_pid), (record['result'], record['pid']))
        return runner

    def test_status_of_a_job_that_ends_away(self):
        for script, status in (('read x; exit 0', 0), ('read x; exit 41', 41), ('read x; exit 255', 255),
                               ('read x; kill -TERM $$', 128 + signal.SIGTERM),
                               ('read x; kill -KILL $$', 128 + signal.SIGKILL)):
            with self.subTest(script=script):
                runner = self.job(script)
                out, err = runner.communicate(b'go\n', timeout=WAIT_LIMIT)
                self.assertEqual((status, b'', b''), (runner.returncode, out, err))

    def test_the_way_to_the_deputy_needs_no_folder(self):
        """Whatever somebody else has created where a user's sockets usually are."""
        node, command, settings = self.kill_daemon('n1')
        self.restart_daemon((node, command, {**settings, 'XDG_RUNTIME_DIR': '/proc/nobody'}))
        runner = self.job('read x; exit 3')
        runner.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual(3, runner.returncode)

    def test_status_of_a_job_that_comes_home(self):
        runner = self.job('read x; exit 9')
        self.om('migrate', runner.pid, 'home')
        runner.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual(9, runner.returncode)

    def test_signals_to_om_run_reach_the_job(self):
        runner = self.job('trap "echo got it; exit 5" TERM; echo set; while :; do read x; done')
        self.assertEqual(b'set\n', runner.stdout.readline())
        runner.send_signal(signal.SIGTERM)
        runner.stdin.write(b'\n')
        out, _ = runner.communicate(timeout=WAIT_LIMIT)
        self.assertEqual((5, b'got it\n'), (runner.returncode, out))

    def test_default_action_of_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):
            with self.subTest(number=number):
                runner = self.job('read x')
                os.kill(runner.pid, number)
                self.assertEqual(128 + number, runner.wait(WAIT_LIMIT))

    def test_killed_om_run_takes_the_job_along(self):
        runner = self.job('read x')
        runner.kill()
        self.wait_until(lambda: self.om('where', self.job_pid, expect=None).returncode == 4, 'the end')

    def test_streams(self):
        runner = self.job('exec cat')
        self.om('migrate', runner.pid, 'n3')
        data = os.urandom(3 << 20)
        out, err = runner.communicate(data, timeout=WAIT_LIMIT)
        self.assertEqual((0, len(data), b''), (runner.returncode, len(out), err))
        self.assertEqual(data, out)

    def test_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        start = ('import fcntl, os, sys, termios\n'
                 'fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n'
                 'os.execv(sys.argv[1], sys.argv[1:])\n')
        runner = self.start('/usr/bin/python3', '-c', start, self.product.om, 'run', '--', '/bin/sh', '-c',
                            'trap "echo [int]" INT; tty; while [ "$line" != quit ]; do read line && '
                            'echo "<$line>"; done; echo end',
                            preload=False, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b''

        def expect(text):
            nonlocal shown
            until = time.monotonic() + WAIT_LIMIT
            while text not in shown:
                self.assertLess(time.monotonic(), until, f'{text} not in {shown}')
                if select.select([master], [], [], 0.05)[0]:
                    shown += os.read(master, 4096)
            shown = shown[shown.index(text) + len(text):]
        expect(b'/dev/pts/')
        self.wait_until(lambda: self.om('where', runner.pid, expect=None).returncode == 0, 'the job')
        job = self.om_json('where', runner.pid)['pid']
        for place in ('n2', 'home', 'n3'):
            self.om('migrate', runner.pid, place)
            os.write(master, b'at ' + place.encode() + b'\n')
            expect(b'<at ' + place.encode() + b'>')
            # dash runs a trap once its read() is interrupted: it must be in that call, itself at home or through its
            # executor.
            self.wait_until(lambda: om_process.current_syscall(job, job) == SYS_READ, 'the shell to read')
            os.write(master, CTRL_C)
            expect(b'[int]')
            os.write(master, b'more\n')
            expect(b'<more>')
        os.write(master, b'quit\n')
        expect(b'end')
        self.assertEqual(0, runner.wait(WAIT_LIMIT))

    def test_without_a_daemon(self):
        runner = self.start(self.product.om, 'run', '--', '/bin/sh', '-c', 'echo right; exit 6',
                            preload=False, environment={'OM_CONTROL': '/nowhere/control.sock'})
        out, err = self.finish(runner, 6)
        self.assertEqual((b'right\n', b''), (out, err))

    def test_moves_while_it_starts(self):
        """A request at any moment of its start: it moves, or is refused for now, and runs correctly."""
        script = ('import threading\n'
                  'barrier = threading.Barrier(4)\n'
                  'def work():\n'
                  '    data = bytearray(5 << 20)\n'
                  '    barrier.wait()\n'
                  '    done.append(sum(data[::4096]))\n'
                  'done = []\n'
                  'threads = [threading.Thread(target=work) for _ in range(4)]\n'
                  'for thread in threads: thread.start()\n'
                  'for thread in threads: thread.join()\n'
                  'input()\n'
                  'print(done)\n')
        moved = 0
        for number in range(20):
            job = self.start('/usr/bin/python3', '-c', script, stdin=subprocess.PIPE)
            time.sleep(number * 0.005)
            move = self.cluster.migrate_once(job.pid, 'n2', 60)
            self.assertTrue(move.result == 'moved' or (move.result == 'refused' and move.code in
                                                       TRANSIENT | {'NOT_PRELOADED'}), move)
            moved += move.result == 'moved'
            out, err = job.communicate(b'\n', timeout=WAIT_LIMIT)
            self.assertEqual((0, b'[0, 0, 0, 0]\n', b''), (job.returncode, out, err))
        self.assertGreater(moved, 0)

    def test_a_chain_of_programs_stays_movable(self):
        runner = self.job('read x; exec /bin/sh -c "read y; exit 12"')
        runner.stdin.write(b'go\n')
        runner.stdin.flush()
        self.wait_until(lambda: self.om_json('where', self.job_pid)['state'] == 'home', 'exec at home')
        self.om('migrate', self.job_pid, 'n3')
        runner.communicate(b'on\n', timeout=WAIT_LIMIT)
        self.assertEqual(12, runner.returncode)


if __name__ == '__main__':
    main()
