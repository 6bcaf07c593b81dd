#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who is believed: nodes meet under TLS, with certificates of their cluster, wherever their connections come from.
Others are refused, both sides say why, and nobody else is disturbed."""

import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import WAIT_LIMIT, ClusterCase, main  # noqa: E402
import om_wire  # noqa: E402

DAY = 86400
TRANSLATED = '127.0.0.99'  # from where a relay connects


class TrustCase(ClusterCase):
    def identity(self, node):
        return pathlib.Path(self.cluster.directory, node, 'identity')

    def issue(self, node, ca=None, age=0):
        om_wire.issue(self.product.build, ca or self.cluster.directory, self.identity(node), node, age)

    def ask(self, node, **request):
        """One request on the control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(WAIT_LIMIT)
            control.connect(self.cluster.environment(node)['OM_CONTROL'])
            control.sendall(json.dumps(request).encode() + b'\n')
            return json.loads(control.makefile().readline())

    def view(self, node):
        return {entry['name']: entry for entry in self.om_json('nodes', node=node)}

    def address(self, node):
        host, port = self.view(node)[node]['address'].rsplit(':', 1)
        return host, int(port)

    def refused(self, node):
        return self.view(node)[node]['refused']

    def wait_up(self, node, peer):
        self.wait_until(lambda: self.view(node)[peer]['state'] == 'up', f'{peer} as seen by {node}')

    def wait_down(self, node, peer, *reasons):
        """Until the peer is down for one of these reasons."""
        def seen():
            entry = self.view(node)[peer]
            return entry['state'] == 'down' and entry['reason'] in reasons
        try:
            self.wait_until(seen, f'{peer} as seen by {node}: {reasons}')
        except AssertionError:
            self.fail(f'{self.view(node)[peer]} for {reasons}')

    def restart(self, node, wire='sealed'):
        killed, command, settings = self.kill_daemon(node)
        if '--wire' in command:
            at = command.index('--wire')
            del command[at:at + 2]
        self.restart_daemon((killed, [*command, '--wire', wire], settings))

    def restore(self, node):
        self.issue(node)
        # Of its own cluster it has the key that all share.
        shutil.copy(self.identity('n2' if node == 'n1' else 'n1') / 'group.key', self.identity(node) / 'group.key')
        self.restart(node)
        for other in ('n1', 'n2', 'n3'):
            if other != node:
                self.wait_up(node, other)
                self.wait_up(other, node)


class Members(TrustCase):
    def test_all_connections_are_encrypted(self):
        ids = set()
        for node in ('n1', 'n2', 'n3'):
            for entry in self.view(node).values():
                self.assertTrue(entry['encrypted'], entry)
            own = self.view(node)[node]['cluster']
            self.assertEqual('dev', own['name'])
            self.assertGreater(own['number'], 0)
            ids.add(own['node_id'])
        self.assertEqual(3, len(ids))

    def test_a_member_of_another_cluster(self):
        self.addCleanup(self.restore, 'n3')
        self.issue('n3', ca=self.folder / 'other')
        self.assertTrue(self.ask('n3', verb='cluster.reload')['ok'])
        self.wait_down('n1', 'n3', 'another cluster')
        self.wait_down('n3', 'n1', 'another cluster')
        self.wait_up('n1', 'n2')
        self.assertGreater(self.refused('n1')['other_cluster'], 0)
        self.assertGreater(self.refused('n3')['other_cluster'], 0)
        job = self.start_program('steady')
        self.assertEqual('TARGET_UNREACHABLE', self.refuse(job, 'n3', 'TARGET_UNREACHABLE')['code'])
        self.assertIn('another cluster', self.om('nodes').stdout)

    def test_certificates_out_of_their_time(self):
        self.addCleanup(self.restore, 'n3')
        for age, ours, theirs, counted in (
                (40 * DAY, 'certificate expired', 'it refuses this node: certificate expired', 'expired'),
                (-DAY, 'certificate not yet valid', 'it refuses this node: bad certificate', 'not_yet_valid')):
            with self.subTest(age=age):
                self.issue('n3', age=age)
                self.restart('n3')
                self.wait_down('n1', 'n3', ours)
                self.wait_down('n3', 'n1', theirs)
                self.assertGreater(self.refused('n1')[counted], 0)

    def test_another_node_than_the_one_that_was_dialled(self):
        self.addCleanup(self.wait_up, 'n2', 'n3')
        self.addCleanup(self.ask, 'n2', verb='peers.reload')
        host, port = self.address('n1')
        peers = [{'name': name, 'address': f'{host}:{port}'} for name in ('n1', 'n3')]
        self.assertTrue(self.ask('n2', verb='peers.set', peers=peers)['ok'])
        self.wait_down('n2', 'n3', 'certificate of another node')
        self.wait_up('n2', 'n1')
        self.assertGreater(self.refused('n2')['wrong_name'], 0)

    def test_plain_text_to_a_port_with_tls(self):
        before = self.refused('n1').get('plain_text', 0)
        for text in (b'GET / HTTP/1.0\r\n\r\n', bytes(64), b'\x80' * 70000):
            with socket.create_connection(self.address('n1'), timeout=WAIT_LIMIT) as peer:
                try:
                    peer.sendall(text)
                    while peer.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.assertGreater(self.refused('n1')['plain_text'], before)
        self.assertEqual('up', self.view('n1')['n2']['state'])

    def test_tls_to_a_node_in_plain_text(self):
        self.addCleanup(self.restore, 'n3')
        self.restart('n3', wire='plain')
        self.wait_down('n1', 'n3', 'plain text instead of TLS', 'it has hung up')
        self.wait_until(lambda: self.view('n3')['n1']['state'] == 'down', 'n1 as seen by n3')
        self.wait_until(lambda: self.refused('n1').get('plain_text'), 'the count')
        self.assertIsNotNone(self.view('n3')['n3']['cluster'])
        self.assertFalse(self.view('n3')['n3']['encrypted'])

    def test_strangers_are_told_no_more_than_the_certificate(self):
        """Without a certificate nobody gets an answer, whatever he asks for."""
        for tls in (om_wire.context(), om_wire.context(protocol='http/1.1')):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                with om_wire.connect(self.address('n1'), tls) as peer:
                    peer.sendall(bytes(64))
                    self.assertEqual(b'', peer.recv(1))
                    raise ConnectionError
        self.assertGreater(self.refused('n1')['no_certificate'], 0)
        self.assertGreater(self.refused('n1')['protocol'], 0)

    def test_a_renewed_certificate_while_a_process_is_away(self):
        job = self.start('/bin/sh', '-c', 'echo up; while read x; do echo "$x"; done', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        def downs():
            return [event for event in self.om_json('events') if event['kind'] == 'peer_down']
        until = self.view('n1')['n1']['cluster']['certificate_until']
        before = downs()
        self.issue('n1', age=DAY)
        os.kill(self.daemon_pid('n1'), signal.SIGHUP)
        self.wait_until(lambda: self.view('n1')['n1']['cluster']['certificate_until'] < until, 'the new certificate')
        job.stdin.write(b'there\n')
        job.stdin.flush()
        self.assertEqual(b'there\n', job.stdout.readline())
        self.move(job, 'home')
        self.move(job, 'n2')
        self.assertEqual(before, downs())
        # It is what a new connection is shown.
        with om_wire.connect(self.address('n1'), om_wire.context(self.identity('n2'))) as peer:
            shown = peer.getpeercert(binary_form=True)
        pem = (self.identity('n1') / 'node.crt').read_text(encoding='ascii')
        self.assertEqual(ssl.PEM_cert_to_DER_cert(pem), shown)
        out, _ = job.communicate(b'right\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'right\n'), (job.returncode, out))

    def test_unusable_files_change_nothing(self):
        key = self.identity('n1') / 'group.key'
        self.addCleanup(key.chmod, 0o600)
        key.chmod(0o640)
        answer = self.ask('n1', verb='cluster.reload')
        self.assertFalse(answer['ok'])
        self.assertIn('group.key may be read by other users', answer['message'])
        self.assertTrue(self.view('n1')['n1']['encrypted'])
        self.wait_up('n1', 'n2')
        self.wait_up('n2', 'n1')


class Addresses(TrustCase):
    def relay(self, target):
        """Passes connections on to `target`, from another address. Returns where it listens."""
        listener = socket.create_server((TRANSLATED, 0))
        self.addCleanup(listener.close)

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        def serve():
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                two = socket.create_connection(target, source_address=(TRANSLATED, 0))
                for ends in ((one, two), (two, one)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()

    def test_a_node_behind_another_address(self):
        """n1 reaches n2 through a relay: n2 sees a connection from an address of no peer, and the home that is named to
        it is elsewhere."""
        host, port = self.relay(self.address('n2'))
        third = '{}:{}'.format(*self.address('n3'))
        peers = [{'name': 'n2', 'address': f'{host}:{port}'}, {'name': 'n3', 'address': third}]
        self.assertTrue(self.ask('n1', verb='peers.set', peers=peers)['ok'])
        # n2 does not know n1 at all.
        self.assertTrue(self.ask('n2', verb='peers.set', peers=[])['ok'])
        self.wait_until(lambda: self.view('n1')['n2']['address'] == f'{host}:{port}', 'the new address')
        self.wait_up('n1', 'n2')
        job = self.start('/bin/sh', '-c', 'echo up; read x; echo "$x"', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        self.assertEqual('n2', self.where(job))
        out, _ = job.communicate(b'right\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'right\n'), (job.returncode, out))


class Starting(TrustCase):
    nodes = 1

    def start_daemon(self, *more):
        command = [self.product.found['om-migrator'], '--control', self.folder / 'c', '--listen', '127.0.0.1',
                   '--ready-file', self.folder / 'ready', *more]
        daemon = subprocess.Popen([str(part) for part in command], env=self.cluster.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end_daemon, daemon)
        return daemon

    @staticmethod
    def end_daemon(daemon):
        daemon.kill()
        daemon.communicate()

    def fails(self, text, *more):
        daemon = self.start_daemon(*more)
        _, said = daemon.communicate(timeout=WAIT_LIMIT)
        self.assertEqual(1, daemon.returncode)
        self.assertIn(text, said.decode())

    def copy(self):
        identity = self.folder / 'identity'
        shutil.copytree(self.identity('n1'), identity)
        identity.chmod(0o700)
        return identity

    def test_a_member_is_called_what_its_certificate_says(self):
        identity = self.copy()
        self.start_daemon('--identity', identity)
        self.wait_until((self.folder / 'ready').exists, 'the daemon')
        self.assertEqual('n1', json.loads((self.folder / 'ready').read_text(encoding='ascii'))['name'])
        self.fails('is that of n1', '--identity', identity, '--name', 'x')

    def test_what_cannot_be_used_is_no_reason_for_plain_text(self):
        identity = self.copy()
        (identity / 'node.key').chmod(0o644)
        self.fails('node.key may be read by other users', '--identity', identity)
        (identity / 'node.key').chmod(0o600)
        (identity / 'ca.crt').unlink()
        self.fails('ca.crt is missing beside node.crt', '--identity', identity)
        om_wire.issue(self.product.build, self.folder / 'other', self.folder / 'another', 'n1')
        shutil.copy(self.folder / 'another' / 'ca.crt', identity)
        self.fails('was not signed by the CA of ca.crt', '--identity', identity)

    def test_plain_text_is_for_loopback_addresses(self):
        """An address that nobody has: the refusal comes before the attempt to bind."""
        identity = self.copy()
        away = ('--listen', '192.0.2.1')
        self.fails('bind 192.0.2.1', *away, '--identity', self.folder / 'none')  # to talk to nobody there yet
        self.fails('wire is "plain"', *away, '--identity', identity, '--wire', 'plain')
        self.fails('bind 192.0.2.1', *away, '--identity', identity)


main()
