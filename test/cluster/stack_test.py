#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`om stack`: the same backtraces at home, away, and home again; the process runs on undisturbed."""

import os
import signal
import subprocess

from harness import WAIT_LIMIT, ClusterCase, main, om_process

BLOCKED = ['(anonymous namespace)::middle()', '(anonymous namespace)::outer()', 'main']
SPINNING = ['(anonymous namespace)::spin_inner()', '(anonymous namespace)::spin_outer()',
            '(anonymous namespace)::spin(void*)']
HANDLING = ['(anonymous namespace)::handler(int)', '(anonymous namespace)::raise_outer()',
            '(anonymous namespace)::in_handler(void*)']


class Stack(ClusterCase):
    def job(self):
        job = self.start_program('known_stacks', stdin=subprocess.PIPE)
        self.assertEqual(b'ready\n', job.stdout.readline())
        self.wait_until(lambda: self.call_of(job.pid) == '0', 'the read')
        return job

    @staticmethod
    def call_of(pid):
        with open(f'/proc/{pid}/syscall', encoding='ascii') as file:
            return file.read().split()[0]

    def check_stacks(self, pid, *at):
        data = self.om_json('stack', pid)
        self.assertEqual((pid, 3), (data['pid'], len(data['threads'])))
        self.assertIn(data['at'], at)
        found = {}
        for thread in data['threads']:
            names = [frame.get('symbol', '') for frame in thread['frames']]
            for key, want in (('blocked', BLOCKED), ('spinning', SPINNING), ('handling', HANDLING)):
                if want[1] in names:
                    found[key] = thread
                    self.assertEqual(want, [name for name in names if name in want], thread)
        self.assertEqual({'blocked', 'spinning', 'handling'}, set(found), data)
        self.assertEqual(pid, found['blocked']['tid'])
        self.assertEqual(('read', 'read'), (found['blocked']['call'], found['handling']['call']))
        self.assertNotIn('call', found['spinning'])
        self.assertEqual(1, sum(frame.get('signal', False) for frame in found['handling']['frames']))
        self.assertTrue(found['blocked']['frames'][-1]['symbol'].startswith('_start'), found['blocked'])
        for thread in found.values():
            self.assertTrue(any(frame['module'].endswith('known_stacks') for frame in thread['frames']))

    def test_the_same_everywhere(self):
        job = self.job()
        self.check_stacks(job.pid, 'n1')
        for node, at in (('n2', 'n2'), ('home', 'n1'), ('n3', 'n3'), ('n2', 'n2')):
            self.om_json('migrate', job.pid, node)
            self.check_stacks(job.pid, at)
            self.check_stacks(job.pid, at)
        text = self.om('stack', job.pid).stdout
        self.assertIn('in read\n', text)
        self.assertIn('<signal handler called>', text)
        self.om_json('migrate', job.pid, 'home')
        out, err = job.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'done 3\n', b''), (job.returncode, out, err))

    def test_while_it_moves(self):
        job = self.job()
        moving = self.start(self.product.om, 'migrate', job.pid, 'n2', preload=False)
        self.check_stacks(job.pid, 'n1', 'n2')
        self.finish(moving)
        self.check_stacks(job.pid, 'n2')
        out, _ = job.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'done 3\n'), (job.returncode, out))

    def test_who_cannot_be_looked_at(self):
        self.assertIn('there is no process', self.om('stack', 2 ** 22, expect=4).stderr)
        native = self.start('/bin/sleep', '100', preload=False)
        self.assertIn('NOT_PRELOADED', self.om('stack', native.pid, expect=6).stderr)

    def test_stopped_by_job_control(self):
        """Its stacks are read without letting it run."""
        job = self.job()
        for at in ('n1', 'n2'):
            if at != 'n1':
                self.om_json('migrate', job.pid, at)
            os.kill(job.pid, signal.SIGSTOP)
            if at != 'n1':
                # The body stops a moment after its process at home.
                self.wait_until(lambda: self.body_states() == {'T'}, 'the stop')
            for _ in range(3):
                self.check_stacks(job.pid, at)
                if at != 'n1':
                    self.assertEqual({'T'}, self.body_states())
            os.kill(job.pid, signal.SIGCONT)
        out, _ = job.communicate(b'go\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'done 3\n'), (job.returncode, out))

    def body_states(self):
        """States of all threads of the only body."""
        bodies = [pid for pid in om_process.descendants(os.getpid())
                  if om_process.read_proc(pid, 'comm').strip() == 'om-body']
        self.assertEqual(1, len(bodies))
        return {line.split()[1] for tid in os.listdir(f'/proc/{bodies[0]}/task')
                for line in om_process.read_proc(bodies[0], f'task/{tid}/status').splitlines()
                if line.startswith('State:')}


if __name__ == '__main__':
    main()
