#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Daemons of other versions of the protocol (om-migrator-other): with another minor number they are one cluster and
processes move both ways; with another major number a node is refused, and nobody else notices."""

import signal

from harness import main
from join_test import Daemon, JoinCase


class OtherDaemon(Daemon):
    """An om-migrator of this version, until speak()."""

    def speak(self, protocol):
        """The same node after an upgrade, or after going back."""
        self.kill(signal.SIGTERM)
        self.environment['OM_TEST_PROTOCOL'] = protocol
        self.program = self.case.product.build / 'test/cluster/om-migrator-other'
        self.start()
        self.case.assertEqual(protocol, self.json('version')['daemon']['protocol'])


class Protocols(JoinCase):
    def own(self, node):
        major, minor = (int(part) for part in node.json('version')['daemon']['protocol'].split('.'))
        return major, minor

    def daemon(self, name, *options):
        self.started.append(OtherDaemon(self, name, len(self.started) + 1, options=options))
        return self.started[-1]

    def check_moves(self, one, other):
        for home, away in ((one, other), (other, one)):
            job = self.start_at(home)
            home.om('migrate', job.pid, away.name)
            self.assertEqual(away.name, home.om('where', job.pid).stdout.strip())
            self.assertEqual(b'1\n', job.stdout.readline())
            home.om('migrate', job.pid, 'home')
            self.assertEqual(b'2\n', job.stdout.readline())

    def test_another_minor_version_is_a_member_like_others(self):
        n1, n2, n3 = self.cluster(3)
        major, minor = self.own(n1)
        for number in (minor - 1, minor + 1):
            n2.speak(f'{major}.{number}')
            self.wait_until(lambda: n1.sees('n2', 'n3') and n2.sees('n1', 'n3') and n3.sees('n1', 'n2'),
                            f'minor {number} to be in')
            row = {row['name']: row for row in n1.json('nodes')}['n2']
            self.assertEqual(f'{major}.{number}', row['protocol'])
            self.check_moves(n1, n2)
        # It joins as well.
        n4 = self.daemon('n4')
        n4.speak(f'{major}.{minor + 1}')
        n4.om('cluster', 'join', self.token, n1.address)
        self.wait_until(lambda: n4.sees('n1', 'n2', 'n3') and n1.sees('n2', 'n3', 'n4'), 'n4 to be in')
        self.check_moves(n4, n1)

    def test_another_major_version_is_refused_and_named(self):
        n1, n2, n3 = self.cluster(3)
        major, _ = self.own(n1)
        job = self.start_at(n1)
        n1.om('migrate', job.pid, 'n3')
        n2.speak(f'{major + 1}.0')
        for node in (n1, n3):
            self.wait_until(lambda node=node: 'VERSION' in node.om('node', 'why', 'n2').stdout,
                            f'{node.name} to name the version')
            self.assertIn('n2', {row['name'] for row in node.json('nodes', '--all')})
        self.wait_until(lambda: 'VERSION' in n2.om('node', 'why', 'n1').stdout, 'n2 to name the version')
        n1.refused(f'it speaks protocol {major + 1}.0', 'migrate', self.start_at(n1).pid, 'n2')
        # The others go on as they did.
        self.assertEqual('n3', n1.om('where', job.pid).stdout.strip())
        self.assertTrue(n1.sees('n3') and n3.sees('n1'))
        n1.om('migrate', job.pid, 'home')
        n1.om('migrate', job.pid, 'n3')
        self.assertEqual(b'1\n', job.stdout.readline())
        # Who goes back to the old version is in again.
        n2.speak(f'{major}.{self.own(n1)[1]}')
        self.wait_until(lambda: n1.sees('n2', 'n3') and n2.sees('n1', 'n3'), 'n2 to be in again')
        n1.om('migrate', job.pid, 'n2')

    def test_another_major_version_does_not_join(self):
        n1, = self.cluster(1)
        token = n1.json('token', 'create')['token']
        n2 = self.daemon('n2')
        n2.speak(f'{self.own(n1)[0] + 1}.0')
        self.assertIn('VERSION', n2.om('cluster', 'join', token, n1.address, expect=None).stderr)
        self.assertFalse(n2.status()['member'])
        self.assertEqual(['n1'], [member['name'] for member in n1.status()['members']])


if __name__ == '__main__':
    main()
