#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who can reach a daemon's port can make connections, keep quiet, talk for ever and never listen. The daemon's memory
stays what it is, its log readable, and the peers get in."""

import json
import os
import pathlib
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cluster'))

from harness import WAIT_LIMIT, ClusterCase, main  # noqa: E402
import om_process  # noqa: E402
import om_wire  # noqa: E402

STRANGER = '127.0.0.77'      # nobody's peer
SILENT = 1100                # connections; more than a thousand have locked peers out
FLOOD_S = 4                  # of datagrams, as many as two processes can send
CALLS = 100_000              # of 200 bytes; each was 9 KB in the daemon
MORE_MIB = 24                # that a daemon may have grown by


class Strangers(ClusterCase):
    def address(self, node):
        state = json.loads(self.state_file().read_text(encoding='utf-8'))
        host, port = next(entry['address'] for entry in state['nodes'] if entry['name'] == node).rsplit(':', 1)
        return host, int(port)

    def connect(self, source, node='n2'):
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.bind((source, 0))
        connection.connect(self.address(node))
        connection.settimeout(WAIT_LIMIT)
        return connection

    def identity(self, node):
        return pathlib.Path(self.cluster.directory, node, 'identity')

    def is_closed(self, connection):
        try:
            return connection.recv(1) == b''
        except (ConnectionResetError, ssl.SSLError):
            return True
        except TimeoutError:
            return False

    def log_lines(self, node='n2'):
        return pathlib.Path(self.cluster.directory, node, 'log').read_text(errors='replace').count('\n')

    def wait_up(self, node, peer):
        self.wait_until(lambda: {entry['name']: entry['state'] for entry in self.om_json('nodes', node=node)}[peer]
                        == 'up', f'{peer} as seen by {node}')

    def test_a_stranger_is_not_listened_to(self):
        """Nobody in particular, and a member of another cluster."""
        other = self.folder / 'n3'
        om_wire.issue(self.product.build, self.folder / 'ca', other, 'n3')
        another = om_wire.context(other)
        another.verify_mode = ssl.CERT_NONE
        before = self.log_lines()
        for tls in (om_wire.context(), another):
            for _ in range(100):
                try:
                    with om_wire.connect(self.address('n2'), tls, STRANGER) as connection:
                        connection.sendall(b'\0\0\0\0\xff\xff\1\0')
                        self.assertTrue(self.is_closed(connection))
                except OSError:
                    pass  # refused before the end of the handshake
        self.assertLess(self.log_lines() - before, 20)
        refused = self.om_json('nodes', node='n2')[0]['refused']
        self.assertGreaterEqual(refused['no_certificate'] + refused['other_cluster'], 200)
        self.wait_up('n2', 'n3')

    def test_silent_connections_leave_room_for_peers(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < SILENT + 100:
            self.skipTest(f'needs {SILENT + 100} descriptors')
        resource.setrlimit(resource.RLIMIT_NOFILE, (SILENT + 100, hard))
        source = self.address('n3')[0]
        silent = [self.connect(source) for _ in range(SILENT)]
        self.restart_daemon(self.kill_daemon('n3'))
        self.wait_up('n3', 'n2')
        self.wait_up('n2', 'n3')
        for connection in silent:
            self.assertTrue(self.is_closed(connection), connection)

    def test_half_a_message_is_not_waited_for(self):
        tls = om_wire.context(self.identity('n3'))
        connection = om_wire.connect(self.address('n2'), tls, self.address('n3')[0])
        self.addCleanup(connection.close)
        connection.sendall(b'\0\0\0\0\xff\xff\1\0')  # one segment of nearly 1 MiB, which does not come
        self.assertTrue(self.is_closed(connection))

    def test_answers_that_are_not_read_do_not_pile_up(self):
        daemon = self.daemon_pid('n2')
        before = om_process.memory(daemon, 'VmRSS')
        host, port = self.address('n2')
        flood = subprocess.Popen([self.product.build / 'test' / 'hostile' / 'peer_flood', self.address('n3')[0],
                                  host, str(port), str(CALLS), self.identity('n3')],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, flood)
        self.assertTrue(flood.stdout.readline())
        self.om('ps', node='n2', limit=WAIT_LIMIT)
        self.wait_up('n3', 'n2')
        grown = (om_process.memory(daemon, 'VmRSS') - before) >> 20
        if os.environ.get('ASAN_OPTIONS') is None:  # which keeps what was freed
            self.assertLess(grown, MORE_MIB)
        flood.communicate(timeout=WAIT_LIMIT)
        self.assertEqual(0, flood.returncode)
        self.assertEqual(daemon, self.daemon_pid('n2'))
        self.assertTrue(om_process.alive(daemon))

    @staticmethod
    def pour(source, target):
        """In a child: random datagrams of all sizes, and some that begin like ours, until it is ended."""
        pid = os.fork()
        if pid != 0:
            return pid
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            noise = os.urandom(1 << 16)
            datagrams = [noise[at:at + 1 + at * 7 % 1400] for at in range(1000)]
            while True:
                for datagram in datagrams:
                    try:
                        sender.sendto(datagram, target)
                    except OSError:
                        pass  # nobody listens, or the queue is full

    def test_garbage_in_datagrams(self):
        """From a stranger and from a member's address: a member may be suspected, but is never down."""
        self.wait_up('n2', 'n3')
        daemon = self.daemon_pid('n2')
        before = om_process.memory(daemon, 'VmRSS')
        lines = self.log_lines()
        known = {node: len([event for event in self.om_json('events', node=node) if event['kind'] == 'down'])
                 for node in ('n1', 'n2', 'n3')}
        senders = [self.pour(source, self.address('n2')) for source in (STRANGER, self.address('n3')[0])]
        try:
            time.sleep(FLOOD_S)  # so long it lasts: nothing is waited for
            self.om('ps', node='n2', limit=WAIT_LIMIT)
        finally:
            for pid in senders:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        for node, peer in (('n2', 'n3'), ('n3', 'n2'), ('n1', 'n2')):
            self.wait_up(node, peer)
        for node, downs in known.items():
            events = [event for event in self.om_json('events', node=node) if event['kind'] == 'down']
            self.assertEqual(downs, len(events), f'{node}: {events}')
        refused = self.om_json('nodes', node='n2')[0]['refused']
        self.assertGreater(sum(count for cause, count in refused.items() if cause.startswith('datagram_')), 1000)
        self.assertLess(self.log_lines() - lines, 20)
        if os.environ.get('ASAN_OPTIONS') is None:
            self.assertLess((om_process.memory(daemon, 'VmRSS') - before) >> 20, MORE_MIB)
        self.assertEqual(daemon, self.daemon_pid('n2'))


main()
