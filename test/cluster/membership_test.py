#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Members find each other, notice who dies, comes back or leaves, and say so once. Daemons on loopback addresses; and,
as root, between network namespaces with nothing but a switch."""

import collections
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from harness import main
from join_test import Daemon, JoinCase
import om_machine

CHANGES = ('joined', 'left', 'suspected', 'down', 'up', 'denied')


class MemberCase(JoinCase):
    def changes(self, node, of):
        """What `node` has noted about the membership of `of`, in order."""
        return [event['kind'] for event in node.json('events') if event['node'] == of and event['kind'] in CHANGES]

    def state(self, node, of):
        rows = {row['name']: row for row in node.json('nodes')}
        return rows.get(of, {}).get('state')

    def wait_state(self, node, of, state):
        self.wait_until(lambda: self.state(node, of) == state, f'{of} to be {state} for {node.name}')


class Watching(MemberCase):
    def test_a_killed_node_is_down_for_all_and_comes_back(self):
        n1, n2, n3 = self.cluster(3)
        before = {node.name: len(self.changes(node, 'n3')) for node in (n1, n2)}
        n3.kill()
        for node in (n1, n2):
            self.wait_state(node, 'n3', 'down')
        job = self.start_at(n1)
        self.assertIn('TARGET_UNREACHABLE', n1.om('migrate', job.pid, 'n3', expect=None).stderr)
        n3.start()
        for node in (n1, n2):
            self.wait_state(node, 'n3', 'up')
            since = self.changes(node, 'n3')[before[node.name]:]
            self.assertEqual({'down': 1, 'up': 1}, {kind: since.count(kind) for kind in ('down', 'up')}, since)
            self.assertLess(since.index('down'), since.index('up'))
            self.assertLessEqual(since.count('suspected'), 1)
        self.migrate(n1, job, 'n3')

    def test_a_frozen_daemon_is_down_and_comes_back_by_itself(self):
        n1, n2 = self.cluster(2)
        os.kill(n2.process.pid, signal.SIGSTOP)
        try:
            self.wait_state(n1, 'n2', 'down')
        finally:
            os.kill(n2.process.pid, signal.SIGCONT)
        self.wait_state(n1, 'n2', 'up')
        self.wait_state(n2, 'n1', 'up')

    def test_joining_and_leaving_are_one_event_each(self):
        n1, n2, n3 = self.cluster(3)
        for node in (n1, n2):
            self.wait_until(lambda node=node: 'joined' in self.changes(node, 'n3'), f'{node.name} to meet n3')
        n3.om('cluster', 'leave')
        for node in (n1, n2):
            self.wait_until(lambda node=node: 'left' in self.changes(node, 'n3'), f'{node.name} to hear of it')
            self.wait_until(lambda node=node: self.state(node, 'n3') is None, f'{node.name} to forget it')
            self.assertEqual(['joined', 'left'], [kind for kind in self.changes(node, 'n3') if kind != 'up'])
        # It stays among those that were there, and is no peer.
        self.wait_until(lambda: [row for row in n2.json('nodes', '--all')
                                 if (row['name'], row['state']) == ('n3', 'left')], 'n2 to list it')
        n1.om('cluster', 'remove', 'n2', '--reason', 'tested')
        self.assertEqual(1, self.changes(n1, 'n3').count('left'))
        self.assertEqual(1, self.changes(n1, 'n2').count('denied'))
        self.wait_until(lambda: self.state(n1, 'n2') is None, 'n1 to forget n2')
        gone = {row['name']: row for row in n1.json('nodes', '--all')}
        self.assertEqual(('denied', 'removed: tested'), (gone['n2']['state'], gone['n2']['reason']))
        self.assertIn('tested', n1.om('node', 'why', 'n2').stdout)

    def test_a_name_is_seen_by_a_node_that_was_away(self):
        """What happened meanwhile is learnt from the others."""
        n1, n2, n3 = self.cluster(3)
        n3.kill()
        self.wait_state(n1, 'n3', 'down')
        n4 = self.daemon('n4')
        n4.om('cluster', 'join', self.token, n1.address)
        n2.om('cluster', 'leave')
        n3.start()
        self.wait_until(lambda: n3.sees('n1', 'n4'), 'n3 to see who is there now')
        self.wait_until(lambda: 'joined' in self.changes(n3, 'n4'), 'n3 to meet n4')
        self.assertEqual(['joined'], [kind for kind in self.changes(n3, 'n4') if kind in ('joined', 'left')])

    def test_without_it_members_dial_each_other(self):
        n1, n2 = self.daemon('n1'), self.daemon('n2')
        for node in (n1, n2):
            node.kill()
            node.more = ('--membership', 'off')
            node.start()
        token = n1.json('cluster', 'init', 'lab')['token']
        n2.om('cluster', 'join', token, n1.address)
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other')
        n2.kill()
        self.wait_state(n1, 'n2', 'down')

    def test_a_port_that_is_taken_for_datagrams(self):
        node = self.daemon('n1')
        node.kill()
        host, port = node.address.rsplit(':', 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((host, int(port)))
            daemon = subprocess.run(
                [self.product.found['om-migrator'], '--control', self.folder / 'c', '--listen', node.address],
                capture_output=True, text=True, timeout=60, check=False, env=node.environment)
        self.assertEqual(1, daemon.returncode)
        self.assertIn(f'bind UDP port {node.address}', daemon.stderr)

    def test_garbage_changes_nothing(self):
        n1, _n2 = self.cluster(2)
        host, port = n1.address.rsplit(':', 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for size in (0, 1, 36, 256, 1200, 60000):
                for start in (b'', b'omg\x01', b'omd\x01'):
                    for _ in range(50):
                        stranger.sendto((start + os.urandom(size))[:size], (host, int(port)))
            self.assertTrue(n1.sees('n2'))
            # Of a flood some are lost.
            for cause, datagram in (('malformed', b'x'), ('unknown_key', b'omg\x01\xff\xff\xff\x7f' + bytes(100))):
                def counted(cause=cause, datagram=datagram):
                    stranger.sendto(datagram, (host, int(port)))
                    return n1.json('node', 'info')['refused'].get(f'datagram_{cause}')
                self.wait_until(counted, f'{cause} to be counted')


class Network(MemberCase):
    """Each node is in a network namespace, where it has an address on a switch and no default route."""
    needs_root = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lacking = om_machine.lacks_network_namespaces()
        if lacking:
            raise unittest.SkipTest(lacking)
        cls.tag = f'omt{os.getpid()}'
        cls.spaces = collections.OrderedDict()
        cls.ip('netns', 'add', f'{cls.tag}-sw')
        cls.addClassCleanup(cls.ip, 'netns', 'delete', f'{cls.tag}-sw')
        cls.ip('-n', f'{cls.tag}-sw', 'link', 'add', 'br0', 'type', 'bridge')
        cls.ip('-n', f'{cls.tag}-sw', 'link', 'set', 'br0', 'up')
        for number in range(1, 5):
            space = f'{cls.tag}-{number}'
            cls.ip('netns', 'add', space)
            cls.addClassCleanup(cls.ip, 'netns', 'delete', space)
            cls.ip('-n', space, 'link', 'set', 'lo', 'up')
            cls.ip('link', 'add', 'eth0', 'netns', space, 'type', 'veth', 'peer', 'name', f'p{number}', 'netns',
                   f'{cls.tag}-sw')
            cls.ip('-n', f'{cls.tag}-sw', 'link', 'set', f'p{number}', 'master', 'br0', 'up')
            cls.ip('-n', space, 'address', 'add', f'10.199.0.{number}/24', 'dev', 'eth0')
            cls.ip('-n', space, 'link', 'set', 'eth0', 'up')

    @staticmethod
    def ip(*words):
        subprocess.run(['ip', *words], check=True, capture_output=True)

    def daemon(self, name):
        number = len(self.started) + 1
        self.started.append(Daemon(self, name, number, listen=f'10.199.0.{number}',
                                   prefix=('ip', 'netns', 'exec', f'{self.tag}-{number}')))
        return self.started[-1]

    def test_a_token_is_enough(self):
        n1, n2, n3 = (self.daemon(f'n{number}') for number in (1, 2, 3))
        token = n1.json('cluster', 'init', 'lab')['token']
        # Nobody of this cluster is there but n1; n2 is found by n3 although it may not sign.
        n2.om('cluster', 'join', token)
        n3.om('cluster', 'join', token)
        for node, others in ((n1, ('n2', 'n3')), (n2, ('n1', 'n3')), (n3, ('n1', 'n2'))):
            self.wait_until(lambda node=node, others=others: node.sees(*others), f'{node.name} to see {others}')
        # Somebody else's cluster on the same network is another one, and is shown.
        other = self.daemon('o1')
        other.om('cluster', 'init', 'lab')
        def strangers():
            return [row for row in n1.json('nodes', '--all') if row['state'] == 'stranger']
        self.wait_until(strangers, 'n1 to see the other cluster')
        self.assertEqual([('o1', other.address)], [(row['name'], row['address']) for row in strangers()])
        self.assertIn('another CA', strangers()[0]['reason'])
        self.assertTrue(re.search('TARGET_UNREACHABLE.*another CA', n1.om('node', 'why', 'o1').stdout))
        self.assertTrue(other.sees())
        fifth = json.loads(n1.om('nodes', '--json').stdout)
        self.assertNotIn('o1', {row['name'] for row in fifth})

    def test_nobody_is_there(self):
        n1, n2 = self.daemon('n1'), self.daemon('n2')
        token = n1.json('cluster', 'init', 'lab')['token']
        n1.kill()
        said = n2.refused('NO_MEMBER', 'cluster', 'join', token, expect=1)
        self.assertIn('none of the cluster lab', said)

    def drop_datagrams(self):
        """Of n1 and n2, from now on; returns what ends it."""
        rule = ('pref', '1', 'ipproto', 'udp', 'blackhole')
        for number in (1, 2):
            self.ip('-n', f'{self.tag}-{number}', 'rule', 'add', *rule)
        def end():
            for number in (1, 2):
                self.ip('-n', f'{self.tag}-{number}', 'rule', 'del', *rule)
        return end

    def test_no_datagrams(self):
        """TCP goes through and UDP does not: said once, and then there is peace."""
        n1, n2 = self.daemon('n1'), self.daemon('n2')
        token = n1.json('cluster', 'init', 'lab')['token']
        n2.om('cluster', 'join', token)
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other')
        def events(node, kind):
            return [event for event in node.json('events') if event['kind'] == kind]
        open_again = self.drop_datagrams()
        try:
            for node in (n1, n2):
                self.wait_until(lambda node=node: events(node, 'tcp_only'), f'{node.name} to say it', limit=60)
            self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other as before')
            said = {node: len(self.changes(node, other)) for node, other in ((n1, 'n2'), (n2, 'n1'))}
            dialled = n2.json('events')[-1]['number']
            # Long enough for several pings and dials.
            job = self.start_at(n1)
            for _ in range(6):
                self.migrate(n1, job, 'n2')
                self.migrate(n1, job, 'home')
                job.stdout.readline()
                time.sleep(1)
            self.assertGreater(n2.json('events')[-1]['number'], dialled)
            self.assertEqual(said, {node: len(self.changes(node, other)) for node, other in ((n1, 'n2'), (n2, 'n1'))})
            self.assertEqual([1, 1], [len(events(node, 'tcp_only')) for node in (n1, n2)])
            self.assertNotIn('down', self.changes(n1, 'n2'))
        finally:
            open_again()
        for node in (n1, n2):
            self.wait_until(lambda node=node: events(node, 'datagrams'), f'{node.name} to hear it again', limit=60)
        self.assertEqual([1, 1], [len(events(node, 'datagrams')) for node in (n1, n2)])
        # Who dies is down, without datagrams as well.
        open_again = self.drop_datagrams()
        try:
            for node in (n1, n2):
                self.wait_until(lambda node=node: len(events(node, 'tcp_only')) == 2, f'{node.name} to say it',
                                limit=60)
            n2.kill()
            self.wait_until(lambda: self.state(n1, 'n2') == 'down', 'n2 to be down', limit=120)
        finally:
            open_again()

    def test_a_pulled_cable(self):
        n1, n2 = self.daemon('n1'), self.daemon('n2')
        token = n1.json('cluster', 'init', 'lab')['token']
        n2.om('cluster', 'join', token)
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other')
        self.ip('-n', f'{self.tag}-sw', 'link', 'set', 'p2', 'nomaster')
        try:
            self.wait_state(n1, 'n2', 'down')
            self.wait_state(n2, 'n1', 'down')
        finally:
            self.ip('-n', f'{self.tag}-sw', 'link', 'set', 'p2', 'master', 'br0')
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other again')
        self.assertEqual(1, self.changes(n1, 'n2').count('down'))


if __name__ == '__main__':
    main()
