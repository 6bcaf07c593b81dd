#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Deputies listen on the ports that the configuration names, and a process for which there is none stays at home."""

import os
import signal
import socket
import subprocess

from harness import main
from join_test import JoinCase
import om_process


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Ports(JoinCase):
    def listening(self, port):
        with open('/proc/net/tcp', encoding='ascii') as table:
            return any(line.split()[1].endswith(f':{port:04X}') and line.split()[3] == '0A'
                       for line in table.readlines()[1:])

    def test_one_port(self):
        port = free_port()
        n1, _ = self.cluster(2, '--ports', str(port))
        first, second = self.start_at(n1), self.start_at(n1)
        self.migrate(n1, first, 'n2')
        self.assertTrue(self.listening(port))
        self.assertIn(f'ports is {port}', n1.refused('FULL', 'migrate', second.pid, 'n2'))
        second.stdout.readline()
        # The deputy that takes over needs the port of the one that died.
        for pid in om_process.descendants(os.getpid()):
            if om_process.read_proc(pid, 'comm').strip() == 'om-deputy':
                os.kill(pid, signal.SIGKILL)
        n1.refused('FULL', 'migrate', second.pid, 'n2')
        self.wait_until(lambda: self.listening(port), 'another deputy')
        first.stdout.readline()
        # Its guest has to find the new one first.
        self.wait_until(lambda: n1.om('migrate', first.pid, 'home', expect=None).returncode == 0, 'it at home')
        self.wait_until(lambda: n1.om('migrate', second.pid, 'n2', expect=None).returncode == 0, 'the port')
        second.stdout.readline()
        first.stdout.readline()

    def test_bad_ranges(self):
        for bad in ('0', '5-4', 'x', '70000'):
            said = subprocess.run([self.product.found['om-migrator'], '--ports', bad], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(2, said.returncode)
            self.assertIn('no range of ports', said.stderr)


if __name__ == '__main__':
    main()
