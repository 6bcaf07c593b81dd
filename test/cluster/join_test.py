#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From nothing to a cluster, and out of it again: om cluster init, join, leave, remove, renew, ca, om token, with
daemons on loopback addresses that know nothing of each other but what these commands tell them."""

import json
import os
import pathlib
import random
import shlex
import signal
import subprocess
import time

from harness import OwnClusterCase, main
import om_process

PUBLIC_FILES = ('node.crt', 'ca.crt', 'cluster.json', 'members.json', 'denied.json', 'signer.seen')
PASSPHRASE = 'correct horse battery'
STEADY = ('import time\n'
          'for n in range(100000):\n'
          '    print(n, flush=True)\n'
          '    sum(range(20000)); time.sleep(0.01)\n')


class Daemon:
    """An om-migrator of its own, and om for it."""

    program = None  # another one than the product's

    def __init__(self, case, name, number, listen=None, prefix=(), options=()):
        self.case, self.name = case, name
        self.folder = case.folder / f'{name}-{number}'
        self.folder.mkdir()
        self.control = self.folder / 'control.sock'
        self.ready = self.folder / 'ready'
        self.listen = listen or f'127.0.0.{number}'
        self.prefix = prefix  # of its command
        self.more = options
        self.environment = {**case.product.environment(self.folder), 'OM_CONTROL': str(self.control),
                            'OM_SESSION_TIMEOUT_S': '20'}
        self.process = None
        self.start()

    def start(self):
        self.ready.unlink(missing_ok=True)
        with open(self.folder / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.program or self.case.product.found['om-migrator'], '--name', self.name,
                 '--control', self.control, '--listen', self.listen, '--identity', self.folder / 'identity',
                 '--root-may-leave', '--ready-file', self.ready, *self.more],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.case.wait_until(lambda: self.ready.exists() and self.ready.read_text(), f'{self.name} to be ready')
        port = json.loads(self.ready.read_text())['port']
        self.address = f'{self.listen.partition(":")[0]}:{port}'
        self.listen = self.address  # the same after a restart

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def om(self, *arguments, expect=0, stdin='', prefix=()):
        done = subprocess.run([*prefix, self.case.product.om, *map(str, arguments)], input=stdin, text=True,
                              capture_output=True, env=self.environment, timeout=150, check=False)
        if expect is not None:
            self.case.assertEqual(expect, done.returncode, f'{self.name}: om {arguments}: {done.stdout}{done.stderr}')
        return done

    def json(self, *arguments, **how):
        return json.loads(self.om(*arguments, '--json', **how).stdout)

    def refused(self, code, *arguments, expect=6):
        done = self.om(*arguments, expect=expect)
        self.case.assertIn(code, done.stderr)
        return done.stderr

    def status(self):
        return self.json('cluster', 'status')

    def sees(self, *names):
        """Whether exactly these others are up."""
        return {row['name'] for row in self.json('nodes') if row['state'] == 'up' and not row['self']} == set(names)

    def log(self):
        return (self.folder / 'log').read_text(encoding='utf-8', errors='replace')


class JoinCase(OwnClusterCase):
    work = 'join'

    @classmethod
    def tearDownClass(cls):
        left = om_process.end_descendants(grace=5)
        if left:
            raise AssertionError(f'left behind: {left}; kept {cls.base}')
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.started = []
        # After the programs, which are ended first.
        self.addCleanup(self.end_daemons)

    def end_daemons(self):
        for daemon in self.started:
            daemon.kill(signal.SIGTERM)
        for daemon in self.started:
            # What an ended daemon has left running.
            for pid in om_process.descendants(os.getpid()):
                if str(daemon.folder) in om_process.read_proc(pid, 'cmdline'):
                    os.kill(pid, signal.SIGKILL)
        om_process.end_descendants(grace=5)

    def daemon(self, name, *options):
        self.started.append(Daemon(self, name, len(self.started) + 1, options=options))
        return self.started[-1]

    def cluster(self, count, *options):
        """n1 makes the cluster lab, the others join it by the line that it prints. The options are for all daemons."""
        nodes = [self.daemon(f'n{number}', *options) for number in range(1, count + 1)]
        line = nodes[0].om('cluster', 'init', 'lab').stdout.splitlines()[-1]
        words = shlex.split(line)
        self.assertEqual(['om', 'cluster', 'join'], words[:3])
        self.token = words[3]
        self.assertEqual(nodes[0].address, words[4])
        for node in nodes[1:]:
            node.om(*words[1:])
        for node in nodes:
            others = [other.name for other in nodes if other is not node]
            self.wait_until(lambda node=node, others=others: node.sees(*others), f'{node.name} to see {others}')
        return nodes

    def start_at(self, node):
        job = subprocess.Popen(['/usr/bin/python3', '-c', STEADY],
                               env={**node.environment, 'LD_PRELOAD': self.product.preload},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=self.folder, start_new_session=True)
        self.addCleanup(self.end, job)
        job.stdout.readline()
        return job

    def migrate(self, node, job, to):
        record = node.json('migrate', job.pid, to)
        self.assertEqual('moved', record['result'], record)


class Joining(JoinCase):
    def test_a_week_without_a_signer(self):
        n1, n2 = self.cluster(2)
        self.assertNotIn('warning', n2.om('nodes').stderr)
        for node in (n1, n2):
            node.kill(signal.SIGTERM)
        (n2.folder / 'identity' / 'signer.seen').write_text(f'{int(time.time()) - 8 * 24 * 3600}\n')
        n2.start()
        self.assertIn('warning: no machine that may sign has been seen for a week', n2.om('nodes').stderr)
        self.assertIn('for a week', n2.status()['warning'])
        n1.start()
        self.wait_until(lambda: 'warning' not in n2.om('nodes').stderr, 'the signer')

    def test_three_commands_and_a_move(self):
        n1, n2, n3 = self.cluster(3)
        for number, node in enumerate((n1, n2, n3), 1):
            status = node.status()
            self.assertEqual(('lab', number, node is n1), (status['cluster'], status['number'], status['signer']))
            self.assertEqual({1, 2, 3}, {member['number'] for member in status['members']})
            self.assertEqual({'n1': True, 'n2': False, 'n3': False},
                             {member['name']: member['signer'] for member in status['members']})
            self.assertTrue(all(row['encrypted'] for row in node.json('nodes')))
        self.assertEqual(1, len({node.status()['cluster_id'] for node in (n1, n2, n3)}))
        job = self.start_at(n1)
        for to in ('n2', 'n3', 'home'):
            self.migrate(n1, job, to)
        table = n1.om('cluster', 'status').stdout
        for word in ('cluster lab', 'SIGNER', 'n1*', 'n2', n3.address):
            self.assertIn(word, table)
        # Secrets are for their owner alone.
        for node in (n1, n2):
            for file in (node.folder / 'identity').iterdir():
                if file.name not in PUBLIC_FILES:
                    self.assertEqual(0o600, file.stat().st_mode & 0o777, file)

    def test_everything_survives_a_restart(self):
        n1, n2, n3 = self.cluster(3)
        token = n1.json('token', 'create', '--uses', '2')
        for node in (n1, n2, n3):
            node.kill()
        for node in (n3, n2, n1):
            node.start()
        self.wait_until(lambda: n1.sees('n2', 'n3') and n2.sees('n1', 'n3'), 'all to see each other again')
        self.assertIn(token['id'], {item['id'] for item in n1.json('token', 'list')})
        n4 = self.daemon('n4')
        self.assertEqual(4, n4.json('cluster', 'join', token['token'], n1.address)['number'])

    def test_a_member_that_may_not_sign_sends_the_joiner_on(self):
        _n1, n2 = self.cluster(2)
        n3 = self.daemon('n3')
        n3.om('cluster', 'join', self.token, n2.address)
        self.wait_until(lambda: n3.sees('n1', 'n2') and n2.sees('n1', 'n3'), 'all to see each other')

    def test_the_token_may_come_on_stdin(self):
        n1, n2 = self.daemon('n1'), self.daemon('n2')
        token = n1.json('cluster', 'init', 'lab')['token']
        n2.om('cluster', 'join', '-', n1.address, stdin=token + '\n')
        self.assertEqual('lab', n2.status()['cluster'])

    def test_what_is_refused(self):
        n1, n2 = self.cluster(2)
        n3, other = self.daemon('n3'), self.daemon('n1')
        self.assertFalse(n3.status()['member'])

        once = n1.om('token', 'create').stdout.strip()
        revoked = n1.json('token', 'create')
        n1.om('token', 'revoke', revoked['id'])
        n1.om('token', 'revoke', revoked['id'], expect=4)
        short = n1.json('token', 'create', '--ttl', '1s', '--uses', '5')
        self.wait_until(lambda: [item for item in n1.json('token', 'list')
                                 if item['id'] == short['id'] and item['state'] == 'expired'], 'it to expire')
        self.assertIn('expired', n3.refused('BAD_TOKEN', 'cluster', 'join', short['token'], n1.address))
        n3.refused('BAD_TOKEN', 'cluster', 'join', revoked['token'], n1.address)
        mistyped = once[:-3] + ('a' if once[-3] != 'a' else 'b') + once[-2:]
        answer = n3.refused('BAD_TOKEN', 'cluster', 'join', mistyped, n1.address)
        self.assertNotIn(once[5:20], answer)
        self.assertIn('n1', other.refused('NAME_TAKEN', 'cluster', 'join', once, n1.address))
        # Nobody is there; and somebody who is no member of that cluster.
        n3.refused('NO_MEMBER', 'cluster', 'join', once, n3.address, expect=1)
        self.assertIn('no way to look for one', n3.refused('NO_MEMBER', 'cluster', 'join', once, expect=1))
        n3.om('cluster', 'join', once, 'not an address', expect=2)
        n3.refused('NO_MEMBER', 'cluster', 'join', once, 'no-such-host.invalid', expect=1)
        other.om('cluster', 'init', 'lab')
        n3.refused('NO_MEMBER', 'cluster', 'join', once, other.address, expect=1)
        for node in (n1, n2):
            node.refused('ALREADY_MEMBER', 'cluster', 'init', 'mine')
            node.refused('ALREADY_MEMBER', 'cluster', 'join', once, n1.address)
        n2.refused('NO_SIGNER', 'token', 'create')
        n3.refused('NOT_A_MEMBER', 'token', 'list')
        n3.refused('NOT_A_MEMBER', 'cluster', 'leave')
        n3.om('cluster', 'init', 'Bad Name', expect=2)
        self.assertFalse(n3.status()['member'])
        self.assertNotIn('node.crt', os.listdir(n3.folder / 'identity'))
        # None of it has used the token.
        n3.om('cluster', 'join', once, n1.address)
        n4 = self.daemon('n4')
        self.assertIn('used up', n4.refused('BAD_TOKEN', 'cluster', 'join', once, n1.address))

    def test_a_signer_that_dies_in_the_middle(self):
        n1 = self.daemon('n1')
        n1.om('cluster', 'init', 'lab')
        for round_ in range(3):
            token = n1.om('token', 'create').stdout.strip()
            joiner = self.daemon(f'm{round_}')
            asking = subprocess.Popen([self.product.om, 'cluster', 'join', token, n1.address],
                                      env=joiner.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            time.sleep(random.uniform(0, 0.08))
            n1.kill()
            asking.communicate(timeout=60)
            n1.start()
            if asking.returncode != 0:
                self.assertFalse(joiner.status()['member'])
                joiner.om('cluster', 'join', token, n1.address)
            self.assertEqual(round_ + 2, joiner.status()['number'])
            self.wait_until(lambda joiner=joiner: joiner.sees(*(['n1'] + [f'm{k}' for k in range(round_)])),
                            'it to see the others')


class Staying(JoinCase):
    def test_a_renewal_under_running_moves(self):
        n1, n2, n3 = self.cluster(3)
        job = self.start_at(n1)
        before = {node.name: (node.folder / 'identity/node.crt').read_text() for node in (n1, n2, n3)}
        for round_ in range(2):
            for node in (n1, n2, n3):
                self.migrate(n1, job, ('n2', 'n3')[round_ % 2])
                self.assertEqual('n1', node.json('cluster', 'renew')['signer'])
                self.migrate(n1, job, 'home')
        for node in (n1, n2, n3):
            self.assertNotEqual(before[node.name], (node.folder / 'identity/node.crt').read_text())
        # The new ones are good for new connections.
        n3.kill()
        n3.start()
        self.wait_until(lambda: n1.sees('n2', 'n3') and n3.sees('n1', 'n2'), 'n3 to be back')
        n1.kill()
        self.wait_until(lambda: n2.sees('n3'), 'n2 to notice it')
        n2.refused('NO_SIGNER', 'cluster', 'renew')
        self.assertTrue(n2.status()['member'])

    def test_a_second_signer(self):
        n1, n2 = self.cluster(2)
        file = self.folder / 'ca.pem'
        n1.om('cluster', 'ca', 'export', file, stdin='short\n', expect=1)
        n1.om('cluster', 'ca', 'export', file, stdin=PASSPHRASE + '\n')
        self.assertEqual(0o600, file.stat().st_mode & 0o777)
        self.assertIn('ENCRYPTED', file.read_text())
        n1.om('cluster', 'ca', 'export', file, stdin=PASSPHRASE + '\n', expect=1)  # it exists
        n2.om('cluster', 'ca', 'import', file, stdin='another one\n', expect=1)
        n2.om('cluster', 'ca', 'import', file, stdin=PASSPHRASE + '\n')
        self.assertTrue(n2.status()['signer'])
        n2.om('cluster', 'ca', 'import', file, stdin=PASSPHRASE + '\n', expect=1)
        self.wait_until(lambda: [m for m in n1.status()['members'] if m['name'] == 'n2' and m['signer']],
                        'n1 to know the second signer')
        # Each gives numbers of its own, and knows the names that the other one has given.
        first, second = n1.om('token', 'create').stdout.strip(), n2.om('token', 'create').stdout.strip()
        n3, n4, again = self.daemon('n3'), self.daemon('n4'), self.daemon('n3')
        self.assertEqual(3, n3.json('cluster', 'join', first, n1.address)['number'])
        self.wait_until(lambda: n2.sees('n1', 'n3'), 'n2 to see n3')
        self.assertEqual(65537, n4.json('cluster', 'join', second, n2.address)['number'])
        again.refused('NAME_TAKEN', 'cluster', 'join', n2.om('token', 'create').stdout.strip(), n2.address)
        # With the first signer gone for good the cluster goes on.
        self.wait_until(lambda: n3.sees('n1', 'n2', 'n4'), 'n3 to see all')
        n1.kill()
        self.assertEqual('n2', n3.json('cluster', 'renew')['signer'])
        other = self.daemon('o1')
        other.om('cluster', 'init', 'other')
        other.om('cluster', 'ca', 'import', file, stdin=PASSPHRASE + '\n', expect=1)


class Going(JoinCase):
    def test_a_removed_node_is_out_at_once(self):
        n1, n2, n3 = self.cluster(3)
        n2.refused('NO_SIGNER', 'cluster', 'remove', 'n3')
        n1.om('cluster', 'remove', 'n9', expect=4)
        n1.om('cluster', 'remove', 'n1', expect=2)
        job, guest = self.start_at(n1), self.start_at(n3)
        self.migrate(n1, job, 'n3')
        self.migrate(n3, guest, 'n2')
        key = n1.status()['group_key']
        removed = n1.json('cluster', 'remove', 'n3', '--reason', 'stolen')
        self.assertEqual(('n3', 'stolen', 1), (removed['name'], removed['reason'], removed['told']))
        self.wait_until(lambda: n1.sees('n2') and n2.sees('n1'), 'n3 to be out', limit=10)
        self.wait_until(n3.sees, 'n3 to notice it', limit=10)
        for node in (n1, n2):
            self.assertEqual([('n3', 'stolen')], [(r['name'], r['reason']) for r in node.status()['removed']])
            self.assertIn('denied', {event['kind'] for event in node.json('events')})
        self.wait_until(lambda: n2.status()['group_key'] > key, 'n2 to have the new group key', limit=10)
        # What was between them ends as if n3 had died.
        self.wait_until(lambda: job.poll() is not None, 'the end of what was at n3', limit=15)
        self.wait_until(lambda: not [row for row in n2.json('nodes') if row['guests']], 'the end of its guest',
                        limit=15)
        # Not after a restart either; and its key does not come back.
        n1.kill()
        n1.start()
        n3.kill()
        n3.start()
        self.wait_until(lambda: n1.sees('n2'), 'n1 to see n2')
        self.assertTrue(n3.sees(), n3.json('nodes'))
        token = n1.om('token', 'create').stdout.strip()
        n3.om('cluster', 'leave', '--force')
        n3.kill()
        n3.start()
        self.assertEqual(4, n3.json('cluster', 'join', token, n1.address)['number'])
        self.wait_until(lambda: n1.sees('n2', 'n3') and n2.sees('n1', 'n3'), 'n3 to be in again')

    def test_a_removed_key_stays_out(self):
        n1, n2 = self.cluster(2)
        identity = n2.folder / 'identity'
        key = (identity / 'node.key').read_text()
        n1.om('cluster', 'remove', n2.status()['id'])
        self.wait_until(n1.sees, 'n2 to be out')
        n2.om('cluster', 'leave', '--force')
        n2.kill()
        (identity / 'node.key').write_text(key)
        (identity / 'node.key').chmod(0o600)
        n2.start()
        n2.refused('DENIED', 'cluster', 'join', n1.om('token', 'create').stdout.strip(), n1.address)

    def test_leaving(self):
        n1, n2, n3 = self.cluster(3)
        job = self.start_at(n2)
        self.migrate(n2, job, 'n3')
        n1.refused('NO_SIGNER', 'cluster', 'leave')
        left = n2.json('cluster', 'leave')
        self.assertEqual((1, []), (left['home'], left['failed']))
        self.assertIsNone(job.poll())
        self.assertEqual('n2', n2.om('where', job.pid).stdout.strip())
        self.assertFalse(n2.status()['member'])
        self.assertEqual({'node.key', 'gossip'}, set(os.listdir(n2.folder / 'identity')))
        for node, other in ((n1, 'n3'), (n3, 'n1')):
            self.wait_until(lambda node=node, other=other: node.sees(other), f'{node.name} to forget n2')
            self.assertNotIn('n2', {member['name'] for member in node.status()['members']})
            self.assertIn('left', {event['kind'] for event in node.json('events')})
        # The same machine is the same node.
        n2.om('cluster', 'join', self.token, n1.address)
        self.assertEqual(2, n2.status()['number'])
        self.wait_until(lambda: n1.sees('n2', 'n3') and n3.sees('n1', 'n2'), 'n2 to be back')


class Rights(JoinCase):
    needs_root = True

    def test_others_may_not(self):
        n1 = self.daemon('n1')
        n1.om('cluster', 'init', 'lab')
        nobody = ('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups')
        for path in (self.base, self.folder, n1.folder):
            path.chmod(0o755)
        for arguments in (('cluster', 'init', 'x'), ('cluster', 'join', 'x', 'y'), ('cluster', 'leave'),
                          ('cluster', 'renew'), ('cluster', 'remove', 'n1'), ('token', 'create'), ('token', 'list'),
                          ('token', 'revoke', 'x'), ('node', 'drain'), ('node', 'undrain'), ('node', 'drain', 'n2'),
                          ('node', 'undrain', 'n2'), ('expel', '--all')):
            done = n1.om(*arguments, expect=5, prefix=nobody)
            self.assertIn('PERMISSION', done.stderr)
        n1.om('cluster', 'status', prefix=nobody)


if __name__ == '__main__':
    main()
