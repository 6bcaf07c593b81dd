#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`om trace`: every forwarded call once, in full; exact counts; through moves until the end."""

import json
import signal
import subprocess
import threading

from harness import WAIT_LIMIT, ClusterCase, main, om_process

SCRIPT = 'echo up; while read x; do if [ -e "$x" ]; then echo yes; else echo no; fi; done; exit 3'

BLOCKED = """
import os, threading, time
ended = threading.Event()
def look():
    while not ended.wait(0.01):
        os.access('/nowhere', os.F_OK)
looker = threading.Thread(target=look)
looker.start()
os.write(1, b'up\\n')
os.write(1, os.read(0, 100))
os.read(0, 100)
ended.set()
looker.join()
"""


class Trace(ClusterCase):
    def job(self):
        job = self.start('/bin/sh', '-c', SCRIPT, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        return job

    def tracer(self, job, *more):
        return self.start(self.product.om, 'trace', '--json', *more, job.pid, preload=False)

    def ask(self, job, name, answer=b'no\n'):
        job.stdin.write(name.encode() + b'\n')
        job.stdin.flush()
        self.assertEqual(answer, job.stdout.readline())

    def until_traced(self, job, seen, word):
        """Repeats requests until a call is shown: from then on every call is."""
        number = 0
        while not any(word in line['arguments'] for line in seen()):
            number += 1
            self.ask(job, f'/nowhere/{word}/{number}')

    @staticmethod
    def lines_of(process):
        """A list that grows with the process's output."""
        lines = []

        def read():
            for line in process.stdout:
                lines.append(line.decode())
        threading.Thread(target=read, daemon=True).start()
        return lines

    def test_every_call_once_through_moves(self):
        job = self.job()
        tracer = self.tracer(job)
        counter = self.tracer(job, '--summary')
        lines = self.lines_of(tracer)

        def seen():
            return [json.loads(line) for line in list(lines)]
        names = []
        for node in ('n2', 'n3'):
            self.om_json('migrate', job.pid, node)
            self.until_traced(job, seen, 'first-' + node)
            for i in range(100):
                names.append(f'/nowhere/{node}/{i}')
                self.ask(job, names[-1])
                if i % 20 == 19:  # not faster than it can be read
                    self.wait_until(lambda: any(names[-1] in line['arguments'] for line in seen()), names[-1])
            self.ask(job, '/', b'yes\n')
        shown = [line for line in seen() if line['arguments'].startswith('AT_FDCWD, "/nowhere/n')]
        self.assertEqual([f'"{name}"' for name in names], [line['arguments'].split(', ')[1] for line in shown])
        for line in shown:
            self.assertEqual((job.pid, 'ENOENT', -2), (line['tid'], line['error'], line['result']))
            self.assertGreater(line['took_ns'], 0)
        writes = [line for line in seen() if line['call'] == 'write' and line['arguments'].startswith('1, ')]
        self.assertGreaterEqual(len(writes), 2 * 101)
        self.assertTrue(all('error' not in line and line['result'] in (3, 4) for line in writes))
        counter.send_signal(signal.SIGINT)
        out, _ = self.finish(counter)
        counts = {item['call']: item for item in json.loads(out)}
        call = counts[shown[0]['call']]
        self.assertGreaterEqual(call['calls'], len(names) + 2)
        self.assertGreaterEqual(call['errors'], len(names))
        self.assertGreater(call['ns'], 0)
        job.communicate(timeout=WAIT_LIMIT)
        self.assertEqual((3, 0), (job.returncode, tracer.wait(WAIT_LIMIT)))

    def test_in_words(self):
        job = self.job()
        self.om_json('migrate', job.pid, 'n2')
        tracer = self.start(self.product.om, 'trace', job.pid, preload=False)
        lines = self.lines_of(tracer)
        while not any('/nowhere/word' in line for line in list(lines)):
            self.ask(job, '/nowhere/word')
        line = next(line for line in lines if '/nowhere/word' in line)
        self.assertRegex(line, rf'^\d\d:\d\d:\d\d\.\d{{6}} \[{job.pid}\] \w+\(AT_FDCWD, "/nowhere/word", .*\) = '
                               r'-1 ENOENT <\d+\.\d{6}>$')
        tracer.send_signal(signal.SIGINT)
        self.assertEqual(0, tracer.wait(WAIT_LIMIT))

    def test_a_call_that_was_blocked_when_it_left(self):
        job = self.start('/usr/bin/python3', '-S', '-c', BLOCKED, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.wait_until(lambda: om_process.current_syscall(job.pid, job.pid) == 0, 'the read')
        self.om_json('migrate', job.pid, 'n2')
        lines = self.lines_of(self.tracer(job))
        self.wait_until(lambda: any('/nowhere' in line for line in list(lines)), 'calls')
        job.stdin.write(b'line\n')
        job.stdin.flush()
        self.assertEqual(b'line\n', job.stdout.readline())
        self.wait_until(lambda: any('"read"' in line for line in list(lines)), 'the read')
        read = next(call for call in map(json.loads, list(lines)) if call['call'] == 'read')
        self.assertEqual((job.pid, 5), (read['tid'], read['result']))
        self.assertTrue(read['arguments'].startswith('0, '), read)
        self.assertGreater(read['took_ns'], 0)
        job.communicate(timeout=WAIT_LIMIT)
        self.assertEqual(0, job.returncode)

    def test_at_home_it_says_that_nothing_is_forwarded(self):
        job = self.job()
        tracer = self.tracer(job)
        self.assertIn(b'is at home', tracer.stderr.readline())
        job.communicate(timeout=WAIT_LIMIT)
        self.assertEqual((b'', b''), self.finish(tracer))

    def test_who_cannot_be_traced(self):
        self.om('trace', 2 ** 22, expect=4)
        native = self.start('/bin/sleep', '100', preload=False)
        self.assertIn('NOT_PRELOADED', self.om('trace', native.pid, expect=6).stderr)


if __name__ == '__main__':
    main()
