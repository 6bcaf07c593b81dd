#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`om cluster dev`: several clusters at once, `stop` brings home what is away and leaves nothing behind, nodes in
network namespaces. The class that needs root runs under OM_TEST_AS_ROOT=1."""

import json
import os
import pathlib
import subprocess
import unittest

from harness import WAIT_LIMIT, ClusterCase, main
import om_process
from om_cluster import Cluster
from om_product import DEFAULT_UID


def listening(uid):
    """Inodes of a user's listening TCP sockets."""
    found = set()
    for file in map(pathlib.Path, ('/proc/net/tcp', '/proc/net/tcp6')):
        # Without IPv6 there is no tcp6.
        for line in file.read_text(encoding='ascii').splitlines()[1:] if file.exists() else ():
            fields = line.split()
            if fields[3] == '0A' and int(fields[7]) == uid:
                found.add((fields[1], fields[9]))
    return found


class Clusters(ClusterCase):
    nodes = 2

    def other_cluster(self, name, nodes=2):
        return Cluster(self.product, self.base / name, nodes)

    def test_stop_brings_home_and_leaves_nothing(self):
        sockets = listening(os.geteuid())
        # Only for this test: other tests of the same user may run at the same time.
        before = set(om_process.descendants(os.getpid()))
        cluster = self.other_cluster('x', 3).start()
        self.assertGreaterEqual(len(set(om_process.descendants(os.getpid())) - before), 3)
        nodes = {node['name']: node['address']
                 for node in json.loads(cluster.run('nodes', '--json', env=cluster.environment()).stdout)}
        self.assertEqual(3, len(set(nodes.values())))
        env = {**cluster.environment(), 'LD_PRELOAD': self.product.preload}
        job = subprocess.Popen(['/bin/sh', '-c', 'echo up; read x; echo "$x"; exit 3'], env=env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.folder,
                               start_new_session=True)
        self.addCleanup(self.end, job)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.assertEqual('moved', cluster.migrate(job.pid, 'n2').result)
        self.assertEqual('', cluster.stop())
        self.assertFalse(os.path.exists(cluster.directory))
        out, _ = job.communicate(b'still right\n', timeout=WAIT_LIMIT)
        self.assertEqual((3, b'still right\n'), (job.returncode, out))
        self.wait_until(lambda: (om_process.reap_others((job.pid,)) or
                                 not set(om_process.descendants(os.getpid())) - before), 'no process left')
        mine = {address for address in nodes.values()}
        left = {text for text in map(readable, listening(os.geteuid()) - sockets) if text in mine}
        self.assertFalse(left)

    def test_two_at_once_do_not_know_each_other(self):
        other = self.other_cluster('y').start()
        self.addCleanup(other.stop)
        mine = {node['address'] for node in self.om_json('nodes')}
        theirs = {node['address'] for node in
                  json.loads(other.run('nodes', '--json', env=other.environment()).stdout)}
        self.assertEqual((2, 2, 0), (len(mine), len(theirs), len(mine & theirs)))

    def test_start_refuses_what_it_cannot_do(self):
        for words, status in ((('--dir', self.cluster.directory), 1), (('--dir', 'x', '--nodes', '0'), 2),
                              (('--dir', '/proc/none'), 1)):
            done = self.cluster.run('cluster', 'dev', 'start', *map(str, words))
            self.assertEqual((status, ''), (done.returncode, done.stdout), done.stderr)
            self.assertTrue(done.stderr.startswith('om: '))
        self.assertEqual(4, self.cluster.run('cluster', 'dev', 'env', '--dir', self.cluster.directory,
                                             '--node', 'n9').returncode)
        if os.geteuid() != 0:
            done = self.cluster.run('cluster', 'dev', 'start', '--netns', '--dir', str(self.folder / 'n'))
            self.assertNotEqual(0, done.returncode)
            self.assertIn('root', done.stderr)
            self.assertFalse((self.folder / 'n').exists())

    def test_daemon_binds_loopback_only_unless_told(self):
        daemon = str(self.product.found['om-migrator'])

        def start(*more):
            return subprocess.Popen([daemon, '--name', 'x', '--control', str(self.folder / 'c'),
                                     '--identity', str(self.folder / 'none'), *more],
                                    env=self.cluster.environment(), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # An address that nobody has: the refusal comes before the attempt to bind.
        for more, text in ((('--wire', 'plain'), b'--insecure'), (('--insecure',), b'192.0.2.1')):
            done = start('--listen', '192.0.2.1', *more)
            _, said = done.communicate(timeout=WAIT_LIMIT)
            self.assertNotEqual(0, done.returncode)
            self.assertIn(text, said)
        self.assertNotIn(b'--insecure', said)
        for wildcard in ('0.0.0.0', '[::]:0'):  # no address that another node could dial
            done = start('--listen', wildcard, '--insecure')
            done.communicate(timeout=WAIT_LIMIT)
            self.assertNotEqual(0, done.returncode)

    def test_restarted_daemons_find_their_processes(self):
        """What is away when the daemons die stays there, and comes home when new ones say so."""
        job = self.start('/bin/sh', '-c', 'echo up; read x; echo "$x"', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        for node in ('n1', 'n2'):
            killed = self.kill_daemon(node)
            if node == 'n1':
                self.om('where', job.pid, expect=3)
            self.restart_daemon(killed)
        self.wait_until(lambda: self.om('where', job.pid, expect=None).stdout == 'n2\n',
                        'the deputy back at the new daemon')
        self.move(job, 'home')
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n2', 60).result == 'moved',
                        'the nodes to meet again')
        out, _ = job.communicate(b'right\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'right\n'), (job.returncode, out))


def readable(socket):
    address, port = socket[0].split(':')
    parts = [str(int(address[i:i + 2], 16)) for i in (6, 4, 2, 0)] if len(address) == 8 else [address]
    return f'{".".join(parts)}:{int(port, 16)}'


class Namespaces(ClusterCase):
    """Each node in a network namespace of its own, joined by veth."""
    netns = True
    nodes = 2

    def test_moves_between_namespaces(self):
        addresses = [node['address'] for node in self.om_json('nodes')]
        self.assertFalse([address for address in addresses if address.startswith('127.')])
        for uid in (0, DEFAULT_UID):
            with self.subTest(uid=uid):
                job = self.start('/bin/sh', '-c', 'echo up; read x; echo "$x"; exit 3',
                                 stdin=subprocess.PIPE, user=uid, group=uid, extra_groups=[], cwd='/')
                self.assertEqual(b'up\n', job.stdout.readline())
                for place in ('n2', 'home', 'n2'):
                    self.move(job, place)
                job_net = os.stat(f'/proc/{job.pid}/ns/net').st_ino
                keepers = [pid for pid in om_process.descendants(os.getpid())
                           if om_process.read_proc(pid, 'comm').strip() == 'om-guest']
                self.assertTrue(keepers)
                self.assertNotIn(job_net, [os.stat(f'/proc/{pid}/ns/net').st_ino for pid in keepers])
                out, _ = job.communicate(b'right\n', timeout=WAIT_LIMIT)
                self.assertEqual((3, b'right\n'), (job.returncode, out))

    def test_two_clusters_and_nothing_left(self):
        other = Cluster(self.product, self.base / 'other', 2, ['--netns']).start()
        state = json.loads(pathlib.Path(other.directory, 'cluster.json').read_text(encoding='utf-8'))
        made = {state['switch_namespace'], *(node['namespace'] for node in state['nodes'])}
        self.assertEqual(3, len(made & set(os.listdir('/run/netns'))))
        self.assertEqual('', other.stop())
        self.assertFalse(made & set(os.listdir('/run/netns')))
        self.assertEqual(['up', 'up'], [node['state'] for node in self.om_json('nodes')])


if __name__ == '__main__':
    main()
