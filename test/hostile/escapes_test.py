#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A guest tries each way out of its confinement (escapes.h), as a raw call by the gate's own instruction, on a node
with guest_namespaces "require" and on one with "off": the filter ends it at the first call, and what is outside has not
noticed. walls.cc tries the same without a filter."""

import subprocess

from hostile_test import SANDBOX, HostileCase, main
import om_process


class Escapes(HostileCase):
    def prepare(self):
        namespaces = self.id().rpartition('_')[2]
        if namespaces == 'require':
            probe = subprocess.run(['unshare', '--user', '--pid', '--net', '--mount', '--ipc', '--uts', '--cgroup',
                                    '--fork', 'true'], capture_output=True, text=True, check=False)
            if probe.returncode:
                self.skipTest('no namespaces for an ordinary user: ' + probe.stderr.strip())
        self.set_namespaces(namespaces)

    def try_all(self):
        attacker = self.product.build / 'test' / 'hostile' / 'attacker'
        names = subprocess.run([attacker, 'escapes'], capture_output=True, text=True, check=True).stdout.splitlines()
        self.assertGreater(len(names), 35)
        # A process of the node, of the same user.
        outside = subprocess.Popen(['sleep', '600'], stdin=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.end, outside)
        before = om_process.read_proc(outside.pid, 'status')
        for number, name in enumerate(names):
            with self.subTest(escape=name):
                self.check_killed(self.attack('escape', number, outside.pid), SANDBOX)
        self.assertIsNone(outside.poll())
        after = om_process.read_proc(outside.pid, 'status')
        for line in ('TracerPid:', 'SigPnd:', 'ShdPnd:', 'Uid:'):
            self.assertEqual([row for row in before.splitlines() if row.startswith(line)],
                             [row for row in after.splitlines() if row.startswith(line)])

    def test_namespaces_require(self):
        self.try_all()

    def test_namespaces_off(self):
        self.try_all()


if __name__ == '__main__':
    main()
