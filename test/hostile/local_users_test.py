#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other users of a machine may do to a daemon of root's and to root itself: nothing. Needs root, which becomes
the other users (OM_TEST_AS_ROOT=1)."""

import json
import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cluster'))

from harness import WAIT_LIMIT, ClusterCase, main  # noqa: E402
import om_process  # noqa: E402
from om_cluster import HOME_NODE  # noqa: E402

# Nobody's numbers, so that no other test and no service is one of them.
USER = 61001
ATTACKER = 61002


class UsersCase(ClusterCase):
    needs_root = True
    nodes = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base.chmod(0o755)

    def own_by(self, uid, name):
        """A directory of a user's own."""
        path = self.folder / name
        path.mkdir()
        os.chown(path, uid, uid)
        return path

    def start_as(self, uid, *command, **how):
        return self.start(*command, user=uid, group=uid, extra_groups=[], cwd='/', **how)

    def connect_as(self, uid):
        """A connection to the control socket whose peer the kernel says is `uid`."""
        control = socket.socket(socket.AF_UNIX)
        self.addCleanup(control.close)
        control.settimeout(WAIT_LIMIT)
        os.seteuid(uid)
        try:
            control.connect(self.cluster.environment()['OM_CONTROL'])
        finally:
            os.seteuid(0)
        return control

    def ask_as(self, uid, request):
        control = self.connect_as(uid)
        control.sendall(json.dumps(request).encode() + b'\n')
        return json.loads(control.makefile('rb').readline())


class ForeignFiles(UsersCase):
    """State that is read back from a place that somebody else may write."""

    def test_a_cluster_in_somebody_elses_directory(self):
        victim = self.folder / 'victim'
        victim.mkdir()
        (victim / 'file').touch()
        process = self.start('sleep', '1000', preload=False)
        evil = self.own_by(ATTACKER, 'evil')
        node = {'name': 'n1', 'address': '127.0.0.1:1', 'control': '/nonexistent', 'namespace': '',
                'pid': process.pid, 'start': int(om_process.stat_fields(process.pid)[19])}
        state = evil / 'cluster.json'
        state.write_text(json.dumps({'made_dir': True, 'socket_dir': str(victim), 'switch_namespace': '',
                                     'nodes': [node]}), encoding='utf-8')
        for mode in (0o755, 0o777):
            evil.chmod(mode)
            for words in (('stop',), ('start', '--nodes', '1'), ('env', '--node', 'n1')):
                done = self.cluster.run('cluster', 'dev', *words, '--dir', str(evil))
                self.assertEqual((1, ''), (done.returncode, done.stdout), done.stderr)
                self.assertIn('another user', done.stderr)
        self.assertTrue((victim / 'file').exists())
        self.assertTrue(state.exists())
        self.assertIsNone(process.poll())

    def test_a_link_to_the_cluster_and_a_file_that_others_own(self):
        """Neither is followed, although the directory itself is root's."""
        link = self.folder / 'link'
        link.symlink_to(self.cluster.directory)
        mine = self.folder / 'mine'
        mine.mkdir()
        (mine / 'cluster.json').write_text(self.state_file().read_text(encoding='utf-8'), encoding='utf-8')
        os.chown(mine / 'cluster.json', ATTACKER, ATTACKER)
        for path in (link, mine):
            done = self.cluster.run('cluster', 'dev', 'stop', '--dir', str(path))
            self.assertEqual(1, done.returncode, done.stderr)
        self.om('ps')

    def test_children_that_somebody_else_has_written(self):
        """`stop` kills whom the file names, so it must be the daemon's."""
        process = self.start('sleep', '1000', preload=False)
        other = self.folder / 'c'
        done = self.cluster.run('cluster', 'dev', 'start', '--nodes', '1', '--dir', str(other))
        self.assertEqual(0, done.returncode, done.stderr)
        state = json.loads((other / 'cluster.json').read_text(encoding='utf-8'))
        children = other / 'n1' / 'children'
        children.unlink(missing_ok=True)
        children.write_text(json.dumps({'role': 'keeper', 'about': 1, 'at': '', 'pid': process.pid,
                                        'start': int(om_process.stat_fields(process.pid)[19])}) + '\n',
                            encoding='utf-8')
        os.chown(children, ATTACKER, ATTACKER)
        with om_process.reaping([node['pid'] for node in state['nodes']]):
            self.cluster.run('cluster', 'dev', 'stop', '--dir', str(other))
        self.assertIsNone(process.poll())
        self.assertFalse(other.exists())

    def test_what_a_daemon_is_given(self):
        evil = self.own_by(ATTACKER, 'evil')
        for name, text in (('config', 'accept = "never"\n'), ('peers', 'n9 127.0.0.1:9\n')):
            (evil / name).write_text(text, encoding='utf-8')
        mine = self.folder / 'mine'
        mine.mkdir()
        (mine / 'peers').write_text('n9 127.0.0.1:9\n', encoding='utf-8')
        (mine / 'peers').chmod(0o666)
        control = ('--control', str(self.folder / 'd' / 'control.sock'))
        daemon = str(self.product.found['om-migrator'])
        for more, status in (((*control, '--state', str(evil)), 1), ((*control, '--config', str(evil / 'config')), 2),
                             ((*control, '--peers', str(evil / 'peers')), 1),
                             ((*control, '--peers', str(mine / 'peers')), 1),
                             (('--control', str(evil / 'control.sock')), 1)):
            done = subprocess.run([daemon, '--name', 'x', *more], env=self.cluster.environment(), text=True,
                                  capture_output=True, timeout=WAIT_LIMIT, check=False)
            self.assertEqual(status, done.returncode, (more, done.stderr))
            self.assertRegex(done.stderr, 'another user|other users')


class Deputies(UsersCase):
    def test_nobody_attaches_without_the_secret(self):
        """Neither the owner of a process nor anybody else speaks as its deputy."""
        job = self.start_as(USER, 'sleep', '1000')
        self.wait_until(lambda: self.om('where', job.pid, expect=None).returncode == 0, 'the job')
        for uid in (USER, ATTACKER, 0):
            for more in ({}, {'secret': ''}, {'secret': '0' * 16}, {'secret': 5}):
                answer = self.ask_as(uid, {'verb': 'deputy.attach', 'pid': job.pid, **more})
                self.assertEqual((False, 'NOT_ATTACHED'), (answer['ok'], answer['code']))
        self.move(job, 'n2')
        self.assertEqual('n2', self.where(job))
        key = pathlib.Path(self.cluster.directory, HOME_NODE, 'attach.key')
        self.assertEqual(0o600, key.stat().st_mode & 0o777)


if __name__ == '__main__':
    main()
