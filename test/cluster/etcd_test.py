#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The membership by etcd: what membership_test and join_test ask of the builtin one, with an etcd on loopback; and what
is different: tokens that all signers share, an etcd that is lost, users and TLS."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.request

from harness import main
import join_test
import membership_test


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Etcd:
    """An etcd-server of its own, without others."""

    def __init__(self, case, folder, *options, scheme='http'):
        self.case, self.folder, self.options = case, folder, options
        self.process = None
        for _ in range(5):
            # Somebody else may take a port meanwhile.
            metrics, client, peer = (f'127.0.0.1:{free_port()}' for _ in range(3))
            self.url, self.peer, self.metrics = f'{scheme}://{client}', f'http://{peer}', f'http://{metrics}'
            if self.start():
                return
        raise AssertionError(f'etcd does not start: {(folder / "log").read_text()}')

    def start(self):
        self.folder.mkdir(exist_ok=True)
        with open(self.folder / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                ['etcd', '--name', 'e', '--data-dir', self.folder / 'data', '--listen-client-urls', self.url,
                 '--advertise-client-urls', self.url, '--listen-peer-urls', self.peer,
                 '--listen-metrics-urls', self.metrics, '--initial-advertise-peer-urls', self.peer,
                 '--initial-cluster', f'e={self.peer}', *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.case.wait_until(lambda: self.process.poll() is not None or self.healthy(), 'etcd to be there')
        return self.process.poll() is None

    def healthy(self):
        try:
            with urllib.request.urlopen(f'{self.metrics}/health', timeout=2) as answer:
                return json.loads(answer.read()).get('health') == 'true'
        except (OSError, ValueError):
            return False

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def ask(self, path, request, token=None):
        asking = urllib.request.Request(f'{self.url}/v3/{path}', json.dumps(request).encode(),
                                        {'Authorization': token} if token else {})
        with urllib.request.urlopen(asking, timeout=20) as answer:
            return json.loads(answer.read())

    def keys(self):
        """All keys with their values, bytes."""
        everything = base64.b64encode(b'\0').decode()
        found = self.ask('kv/range', {'key': everything, 'range_end': everything}).get('kvs', [])
        return {base64.b64decode(kv['key']).decode(): base64.b64decode(kv.get('value', '')) for kv in found}


class ByEtcd:
    """Before a JoinCase: all its daemons use one etcd."""
    etcds = 0

    @classmethod
    def setUpClass(cls):
        if shutil.which('etcd') is None:
            raise unittest.SkipTest('etcd is not installed (Debian: etcd-server)')
        super().setUpClass()

    def setUp(self):
        super().setUp()
        ByEtcd.etcds += 1
        self.etcd = self.start_etcd()
        self.addCleanup(self.etcd.kill)

    def start_etcd(self):
        return Etcd(self, self.base / f'etcd-{ByEtcd.etcds}')

    def endpoints(self):
        return self.etcd.url

    def daemon(self, name, *options):
        return super().daemon(name, '--membership', 'etcd', '--etcd', self.endpoints(), *options)


class Watching(ByEtcd, membership_test.Watching):
    # About datagrams.
    test_a_port_that_is_taken_for_datagrams = None
    test_garbage_changes_nothing = None


class Joining(ByEtcd, join_test.Joining):
    pass


class Staying(ByEtcd, join_test.Staying):
    pass


class Going(ByEtcd, join_test.Going):
    pass


class EtcdCase(ByEtcd, membership_test.MemberCase):
    def kinds(self, node):
        return [event['kind'] for event in node.json('events')]


class Lost(EtcdCase):
    def lose(self, *nodes):
        self.etcd.kill()
        for node in nodes:
            self.wait_until(lambda node=node: 'etcd_lost' in self.kinds(node), f'{node.name} to notice it')

    def find(self, *nodes):
        self.assertTrue(self.etcd.start())
        for node in nodes:
            self.wait_until(lambda node=node: 'etcd_back' in self.kinds(node), f'{node.name} to be back')

    def test_etcd_is_killed_and_started(self):
        n1, n2 = self.cluster(2)
        job = self.start_at(n1)
        self.migrate(n1, job, 'n2')
        before = {node.name: self.kinds(node) for node in (n1, n2)}
        self.lose(n1, n2)
        self.assertTrue(n1.sees('n2') and n2.sees('n1'))
        self.assertIsNone(job.poll())
        self.assertEqual('n2', n1.om('where', job.pid).stdout.strip())
        self.migrate(n1, job, 'home')
        self.migrate(n1, job, 'n2')
        # Nobody joins, and nobody is given a token.
        n3 = self.daemon('n3')
        said = n3.om('cluster', 'join', self.token, n1.address, expect=1).stderr
        self.assertIn('etcd cannot be reached', said)
        self.assertIn('etcd cannot be reached', n1.om('token', 'create', expect=1).stderr)
        self.assertEqual(1, len(n1.json('token', 'list')))
        self.find(n1, n2)
        n3.om('cluster', 'join', self.token, n1.address)
        self.wait_until(lambda: n3.sees('n1', 'n2') and n1.sees('n2', 'n3') and n2.sees('n1', 'n3'), 'all to be up')
        for node in (n1, n2):
            since = self.kinds(node)[len(before[node.name]):]
            counts = [since.count(kind) for kind in ('etcd_lost', 'etcd_back', 'down', 'up')]
            self.assertEqual([1, 1, 0, 0], counts, since)

    def test_etcd_is_frozen(self):
        """Connections are there, and nobody answers. When it goes on, leases may have ended."""
        n1, n2 = self.cluster(2)
        before = {node.name: len(self.kinds(node)) for node in (n1, n2)}
        os.kill(self.etcd.process.pid, signal.SIGSTOP)
        try:
            for node in (n1, n2):
                self.wait_until(lambda node=node: 'etcd_lost' in self.kinds(node), f'{node.name} to notice it')
            n3 = self.daemon('n3')
            n3.om('cluster', 'join', self.token, n1.address, expect=1)
        finally:
            os.kill(self.etcd.process.pid, signal.SIGCONT)
        for node in (n1, n2):
            self.wait_until(lambda node=node: 'etcd_back' in self.kinds(node), f'{node.name} to be back')
        n3.om('cluster', 'join', self.token, n1.address)
        self.wait_until(lambda: n3.sees('n1', 'n2') and n1.sees('n2', 'n3') and n2.sees('n1', 'n3'), 'all to be up')
        for node in (n1, n2):
            self.assertFalse({'down', 'up'} & set(self.kinds(node)[before[node.name]:]), node.json('events'))

    def test_etcd_has_forgotten_everything(self):
        n1, n2 = self.cluster(2)
        self.lose(n1, n2)
        shutil.rmtree(self.etcd.folder / 'data')
        self.find(n1, n2)
        self.wait_until(lambda: len([key for key in self.etcd.keys() if '/nodes/' in key]) == 2, 'the records')
        self.wait_until(lambda: [key for key in self.etcd.keys() if key.endswith('/group_key')], 'the key\'s number')
        self.assertTrue(n1.sees('n2') and n2.sees('n1'))
        # It is no reason for a node not to be down when it is.
        n2.kill()
        self.wait_state(n1, 'n2', 'down')
        self.assertEqual(1, self.changes(n1, 'n2').count('down'))

    def test_a_daemon_that_starts_without_it(self):
        n1, n2 = self.cluster(2)
        n2.kill()
        self.wait_state(n1, 'n2', 'down')
        self.etcd.kill()
        n2.start()
        job = self.start_at(n2)
        self.wait_until(lambda: 'etcd_lost' in self.kinds(n2), 'n2 to notice it')
        self.migrate(n2, job, 'n1')
        self.assertTrue(self.etcd.start())
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'both to see each other')


class Endpoints(EtcdCase):
    def endpoints(self):
        return f'http://127.0.0.1:{free_port()},{self.etcd.url}/'

    def test_the_first_one_is_not_there(self):
        n1, n2 = self.cluster(2)
        n2.kill()
        self.wait_state(n1, 'n2', 'down')
        self.assertNotIn('etcd_lost', self.kinds(n1))


class Tokens(EtcdCase):
    def two_signers(self):
        n1, n2 = self.cluster(2)
        file = self.folder / 'ca.pem'
        n1.om('cluster', 'ca', 'export', file, stdin=join_test.PASSPHRASE + '\n')
        n2.om('cluster', 'ca', 'import', file, stdin=join_test.PASSPHRASE + '\n')
        return n1, n2

    def left(self, node, token):
        return [row['uses_left'] for row in node.json('token', 'list') if row['id'] == token['id']]

    def test_a_token_is_good_at_any_signer_and_used_up_at_all(self):
        n1, n2 = self.two_signers()
        token = n1.json('token', 'create', '--uses', '2')
        for node in (n1, n2):
            self.wait_until(lambda node=node: self.left(node, token) == [2], f'{node.name} to have it')
        self.daemon('n3').om('cluster', 'join', token['token'], n2.address)
        self.daemon('n4').om('cluster', 'join', token['token'], n1.address)
        late = self.daemon('n5')
        for node in (n1, n2):
            self.assertIn('used up', late.refused('BAD_TOKEN', 'cluster', 'join', token['token'], node.address))
            self.wait_until(lambda node=node: self.left(node, token) == [0], 'it to know that')
        # Revoked at one is revoked at the other, also while that is not there.
        second = n2.json('token', 'create')
        self.wait_until(lambda: self.left(n1, second) == [1], 'n1 to have it')
        n1.kill()
        n2.om('token', 'revoke', second['id'])
        n1.start()
        self.wait_until(lambda: self.left(n1, second) == [], 'n1 to know that')
        late.refused('BAD_TOKEN', 'cluster', 'join', second['token'], n1.address)

    def test_many_at_once(self):
        n1, n2 = self.two_signers()
        token = n1.json('token', 'create', '--uses', '3')
        joiners = [self.daemon(f'm{number}') for number in range(6)]
        done = {}
        def join(joiner, signer):
            done[joiner.name] = joiner.om('cluster', 'join', token['token'], signer.address, expect=None)
        threads = [threading.Thread(target=join, args=(joiner, (n1, n2)[number % 2]))
                   for number, joiner in enumerate(joiners)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(3, sum(each.returncode == 0 for each in done.values()), done)
        for each in done.values():
            if each.returncode != 0:
                self.assertIn('used up', each.stderr)

    def test_what_etcd_knows(self):
        """Who reads etcd can neither join nor read datagrams; who writes there makes no member."""
        n1, n2 = self.cluster(2)
        token = n1.json('token', 'create')
        identity = n1.folder / 'identity'
        group_key = json.loads((identity / 'group.key').read_text())
        proof = {item['proof_key'] for item in json.loads((identity / 'tokens.json').read_text())['tokens']}
        self.wait_until(lambda: [key for key in self.etcd.keys() if key.endswith(token['id'])], 'the token')
        secrets = proof | {value for value in group_key.values() if isinstance(value, str)}
        for key, value in self.etcd.keys().items():
            self.assertTrue(key.startswith(f'/openmosix/{n1.status()["cluster_id"]}/'), key)
            for secret in secrets:
                self.assertNotIn(secret.encode(), value, key)
                self.assertNotIn(bytes.fromhex(secret), value, key)
        def put(key, value):
            self.etcd.ask('kv/put', {'key': base64.b64encode(f'/openmosix/{n1.status()["cluster_id"]}/{key}'.encode())
                                     .decode(), 'value': base64.b64encode(value).decode()})
        n2_id = n2.status()['id']
        for key in (f'nodes/{n2_id}', f'denied/{n2_id}', f'tokens/{token["id"]}', 'group_key', 'other', 'nodes/x'):
            put(key, b'no value of ours')
        self.wait_until(lambda: n1.json('node', 'info')['refused'].get('etcd_malformed'), 'it to be counted')
        self.assertTrue(n1.sees('n2') and n2.sees('n1'))
        self.assertFalse(n2.status()['denied'])
        n3 = self.daemon('n3')
        n3.om('cluster', 'join', token['token'], n1.address, expect=1)
        n3.om('cluster', 'join', self.token, n1.address)


class Users(EtcdCase):
    def setUp(self):
        super().setUp()
        def key(text):
            return base64.b64encode(text.encode()).decode()
        for path, request in (
                ('auth/user/add', {'name': 'root', 'password': 'r'}), ('auth/role/add', {'name': 'root'}),
                ('auth/user/grant', {'user': 'root', 'role': 'root'}),
                # As docs/CLUSTER.md has it.
                ('auth/user/add', {'name': 'openmosix', 'password': 'right'}), ('auth/role/add', {'name': 'nodes'}),
                ('auth/role/grant', {'name': 'nodes', 'perm': {'permType': 'READWRITE', 'key': key('/openmosix/'),
                                                               'range_end': key('/openmosix0')}}),
                ('auth/user/grant', {'user': 'openmosix', 'role': 'nodes'}), ('auth/enable', {})):
            self.etcd.ask(path, request)

    def password(self, text):
        file = self.folder / text
        file.write_text(text + '\n')
        file.chmod(0o600)
        return file

    def test_a_password(self):
        n1, n2 = self.cluster(2, '--etcd-user', 'openmosix', '--etcd-password-file', self.password('right'))
        self.assertNotIn('etcd_lost', self.kinds(n1))
        n2.kill()
        n2.more = (*n2.more[:-1], self.password('wrong'))
        n2.start()
        self.wait_until(lambda: 'etcd_lost' in self.kinds(n2), 'n2 to be refused')
        said = [event['message'] for event in n2.json('events') if event['kind'] == 'etcd_lost']
        self.assertIn('authentication failed', said[0])

    def test_none(self):
        n1 = self.daemon('n1')
        n1.om('cluster', 'init', 'lab')
        self.wait_until(lambda: 'etcd_lost' in self.kinds(n1), 'n1 to be refused')


class Https(EtcdCase):
    """etcd has a certificate, and wants one."""

    def start_etcd(self):
        self.certificates = self.base / f'certificates-{ByEtcd.etcds}'
        self.certificates.mkdir()
        self.issue('ca', '-x509', '-subj', '/CN=site')
        self.issue('other', '-x509', '-subj', '/CN=other')
        self.sign('etcd', 'ca')
        self.sign('om', 'ca')
        return Etcd(self, self.base / f'etcd-{ByEtcd.etcds}', '--cert-file', self.file('etcd.crt'), '--key-file',
                    self.file('etcd.key'), '--trusted-ca-file', self.file('ca.crt'), '--client-cert-auth',
                    scheme='https')

    def file(self, name):
        return self.certificates / name

    def issue(self, name, *options):
        out = '.crt' if '-x509' in options else '.csr'
        subprocess.run(['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-keyout', self.file(f'{name}.key'), '-out', self.file(name + out), *options],
                       check=True, capture_output=True, timeout=60)
        self.file(f'{name}.key').chmod(0o600)

    def sign(self, name, by):
        self.issue(name, '-subj', f'/CN={name}')
        self.file(f'{name}.ext').write_text('subjectAltName=IP:127.0.0.1\n')
        subprocess.run(['openssl', 'x509', '-req', '-in', self.file(f'{name}.csr'), '-CA', self.file(f'{by}.crt'),
                        '-CAkey', self.file(f'{by}.key'), '-CAcreateserial', '-out', self.file(f'{name}.crt'),
                        '-extfile', self.file(f'{name}.ext')], check=True, capture_output=True, timeout=60)

    def test_both_have_certificates(self):
        own = ('--etcd-ca', self.file('ca.crt'), '--etcd-cert', self.file('om.crt'), '--etcd-key', self.file('om.key'))
        n1, n2 = self.cluster(2, *own)
        self.assertNotIn('etcd_lost', self.kinds(n1))
        n2.kill()
        # Another CA is not believed; without a certificate there is no answer.
        base = n2.more[:-len(own)]
        for options in (('--etcd-ca', self.file('other.crt'), *own[2:]), own[:2], ()):
            n2.more = (*base, *options)
            n2.start()
            self.wait_until(lambda: 'etcd_lost' in self.kinds(n2), f'n2 to be refused with {options}')
            n2.kill()
        self.wait_state(n1, 'n2', 'down')


if __name__ == '__main__':
    main()
