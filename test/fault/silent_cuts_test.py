#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The network between home and the node where processes run silently swallows packets, as behind a router: neither end
of a connection is notified. A cut shorter than the patience (OM_SESSION_TIMEOUT_S) less two seconds costs its own
length, and no call; a longer one costs the process, and that is reported.

Needs root: every node has a network namespace, and a cut removes a bridge port."""

import json
import pathlib
import subprocess
import sys
import time

from faulty import POLL, WAIT_LIMIT, FaultCase, NumberedJob, main

PATIENCE = 10
CUTS = (0.5, 2.5, 6.5, PATIENCE - 2.2)  # seconds
# It goes on within two seconds of the link's return; a busy machine gets more. Waiting for the kernel's retransmission
# would take as long as the cut, or twice that.
LATE_LIMIT = 4
AFTER = 5  # lines that can only come from after the cut


class SilentCuts(FaultCase):
    netns = True
    nodes = 2
    session_timeout = PATIENCE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        state = json.loads(pathlib.Path(cls.cluster.directory, 'cluster.json').read_text(encoding='utf-8'))
        cls.switch = state['switch_namespace']
        cls.spaces = [node['namespace'] for node in state['nodes']]
        addresses = [node['address'].rpartition(':')[0] for node in state['nodes']]
        # Use no neighbour discovery: a missing answer to it would be reported.
        for here, there, address in ((0, 1, addresses[1]), (1, 0, addresses[0])):
            link = json.loads(cls.ip('-json', '-n', cls.spaces[there], 'link', 'show', 'eth0'))
            cls.ip('-n', cls.spaces[here], 'neigh', 'replace', address, 'lladdr', link[0]['address'],
                   'dev', 'eth0', 'nud', 'permanent')

    @staticmethod
    def ip(*words):
        return subprocess.run(['ip', *words], check=True, capture_output=True, text=True).stdout

    def cut(self):
        self.addCleanup(self.heal)
        self.ip('-n', self.switch, 'link', 'set', 'p2', 'nomaster')

    def heal(self):
        self.ip('-n', self.switch, 'link', 'set', 'p2', 'master', 'br0')

    def sleeper(self):
        """A program that waits for a line: it has nothing on the wire."""
        job = self.start('/bin/sh', '-c', 'echo up; read x; echo "$x"; exit 3', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        return job

    def test_cuts_that_are_short_enough(self):
        job = NumberedJob(self)
        for seconds in CUTS:
            with self.subTest(seconds=seconds):
                job.move('n2')
                idle = self.sleeper()
                self.move(idle, 'n2')
                job.wait_progress(AFTER)
                self.cut()
                time.sleep(seconds)
                lines = job.lines
                self.heal()
                healed = time.monotonic()
                while job.lines < lines + AFTER and time.monotonic() < healed + WAIT_LIMIT and not job.ended():
                    time.sleep(POLL)
                late = time.monotonic() - healed
                out, _ = idle.communicate(b'right\n', timeout=WAIT_LIMIT)
                idle_late = time.monotonic() - healed - late
                print(f'cut of {seconds} s: goes on after {late:.2f} s; one that waits for a line {idle_late:.2f} s '
                      'behind it', file=sys.stderr, flush=True)
                self.assertFalse(job.ended(), job.said)
                self.assertEqual((3, b'right\n'), (idle.returncode, out))
                self.assertLess(late, LATE_LIMIT)
                job.move('home')
                job.wait_progress(AFTER)
        job.finish()

    def test_cut_that_is_too_long(self):
        """It is reported meanwhile, and nothing is left on either node."""
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(AFTER)
        self.cut()
        self.wait_until(lambda: ' no contact ' in self.om('ps').stdout, 'word of it in om ps')
        refused = self.om('migrate', job.pid, 'home', expect=6)
        self.assertRegex(refused.stderr, r'^om: OUT_OF_REACH: [^\n]*: n2\n')
        job.runner.wait(WAIT_LIMIT)
        job.check_lost()
        self.assertIn('node n2', job.said.decode())
        self.wait_until(lambda: not self.helpers('om-guest') and not self.helpers('om-body'), 'no guest left',
                        limit=WAIT_LIMIT + 2 * PATIENCE)
        self.heal()


if __name__ == '__main__':
    main()
