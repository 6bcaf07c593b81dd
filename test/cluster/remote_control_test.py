#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""om node drain and undrain of another node: through its daemon, and only if that has remote_control = "node"."""

import json
import os
import signal

from harness import main
from join_test import JoinCase
import om_process


class RemoteControl(JoinCase):
    def where(self, node, job):
        return node.om('where', job.pid).stdout.strip()

    def closed(self, node):
        return 'is being emptied' in node.om('node', 'why', node.name).stdout

    def test_not_unless_it_is_allowed(self):
        n1, n2 = self.cluster(2)
        job = self.start_at(n1)
        n1.om('migrate', job.pid, 'n2')
        for verb in ('drain', 'undrain'):
            said = n1.refused('REMOTE_CONTROL', 'node', verb, 'n2', expect=5)
            self.assertIn('remote_control', said)
        self.assertEqual('n2', self.where(n1, job))
        self.assertFalse(self.closed(n2))
        self.assertIn('n1 asks this node to empty, refused', n2.log())
        self.assertNotIn('drain', [event['kind'] for event in n2.json('events')])
        n1.refused('NO_SUCH_NODE', 'node', 'drain', 'n9', expect=4)

    def test_another_node_is_emptied_and_opened(self):
        n1, n2 = self.cluster(2, '--remote-control', 'node')
        guest, own = self.start_at(n1), self.start_at(n2)
        n1.om('migrate', guest.pid, 'n2')
        n2.om('migrate', own.pid, 'n1')
        self.assertEqual({'home': 1, 'failed': [], 'guests': 0}, n1.json('node', 'drain', 'n2'))
        self.wait_until(lambda: self.where(n1, guest) == 'n1', 'the guest to be at home')
        self.assertEqual('n2', self.where(n2, own))
        self.assertTrue(self.closed(n2))
        self.assertFalse(self.closed(n1))
        self.assertIn('as n1 has asked', [event['message'] for event in n2.json('events')
                                          if event['kind'] == 'drain'][-1])
        n1.refused('BLOCKED', 'migrate', guest.pid, 'n2')
        self.assertEqual({'was_closed': True}, n1.json('node', 'undrain', 'n2'))
        self.assertEqual({'was_closed': False}, n1.json('node', 'undrain', 'n2'))
        self.assertIn("0 of n2's processes came home", n1.om('node', 'drain', 'n2').stdout)
        n1.om('node', 'undrain', 'n2')
        n1.om('migrate', guest.pid, 'n2')

    def test_what_did_not_come_home_is_named(self):
        n1, n2 = self.cluster(2, '--remote-control', 'node')
        own = self.start_at(n2)
        n2.om('migrate', own.pid, 'n1')
        deputy = next(pid for pid in om_process.descendants(os.getpid())
                      if om_process.read_proc(pid, 'comm').strip() == 'om-deputy'
                      and str(own.pid) in om_process.read_proc(pid, 'cmdline').split('\0'))
        os.kill(deputy, signal.SIGSTOP)
        try:
            said = n1.om('node', 'drain', 'n2', '--timeout', 2, expect=8)
            self.assertIn(f'{own.pid}: ', said.stderr)
            self.assertIn('not all went home', said.stderr)
        finally:
            os.kill(deputy, signal.SIGCONT)

    def test_a_node_that_is_gone(self):
        n1, n2 = self.cluster(2, '--remote-control', 'node')
        n2.kill()
        n1.refused('TARGET_UNREACHABLE', 'node', 'drain', 'n2', expect=1)


if __name__ == '__main__':
    main()
