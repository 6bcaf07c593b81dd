#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other users of a machine may do to a daemon of root's and to root itself: nothing. Needs root, which becomes
the other users (OM_TEST_AS_ROOT=1)."""

import json
import os
import pathlib
import signal
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
        path = self.cluster.environment()['OM_CONTROL']
        os.seteuid(uid)
        try:
            control.connect(path)
        finally:
            os.seteuid(0)
        control.settimeout(WAIT_LIMIT)
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


class Administration(UsersCase):
    """A daemon for which there is a group om, whatever this machine has."""

    GROUP = 61077

    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)
        groups = self.folder / 'group'
        lines = [line for line in pathlib.Path('/etc/group').read_text(encoding='utf-8').splitlines()
                 if not line.startswith('om:')]
        groups.write_text('\n'.join([*lines, f'om:x:{self.GROUP}:']) + '\n', encoding='utf-8')
        groups.chmod(0o644)
        ready = self.folder / 'ready'
        self.settings = {**self.cluster.environment(), 'OM_CONTROL': str(self.folder / 'd' / 'control.sock')}
        daemon = subprocess.Popen(
            ['unshare', '--mount', 'sh', '-c', 'mount --bind "$1" /etc/group && shift && exec "$@"', '-', str(groups),
             str(self.product.found['om-migrator']), '--name', 'x', '--control', self.settings['OM_CONTROL'],
             '--ready-file', str(ready), '--show-commands', 'own'], env=self.settings, stderr=subprocess.DEVNULL,
            start_new_session=True)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        self.wait_until(ready.exists, 'the daemon')

    def om_as(self, uid, groups, *words):
        return subprocess.run([self.product.om, *words], env=self.settings, user=uid, group=uid, extra_groups=groups,
                              cwd='/', capture_output=True, text=True, timeout=WAIT_LIMIT, check=False)

    def test_the_group_decides_and_not_only_root(self):
        for uid, groups, status in ((ATTACKER, [], 5), (ATTACKER, [self.GROUP - 1], 5), (ATTACKER, [self.GROUP], 0),
                                    (0, [], 0)):
            for verb in ('recall', 'peers.reload'):
                done = self.om_as(uid, groups, 'debug', verb)
                self.assertEqual(status, done.returncode, (uid, groups, verb, done.stderr))
            self.assertEqual(0, self.om_as(uid, groups, 'nodes').returncode)

    def test_processes_stay_their_owners(self):
        job = self.start_as(USER, 'sleep', '1000', environment={'OM_CONTROL': self.settings['OM_CONTROL']})
        pid = str(job.pid)
        self.wait_until(lambda: self.om_as(USER, [], 'where', pid).returncode == 0, 'the job')
        for uid, groups, status in ((ATTACKER, [], 5), (ATTACKER, [self.GROUP], 5), (USER, [], 0), (0, [], 0)):
            done = self.om_as(uid, groups, 'migrate', pid, 'home')
            self.assertEqual(status, done.returncode, (uid, groups, done.stderr))
        for uid, groups, shown in ((ATTACKER, [], ''), (ATTACKER, [self.GROUP], 'sleep 1000'), (USER, [], 'sleep 1000'),
                                   (0, [], 'sleep 1000')):
            done = self.om_as(uid, groups, 'ps', '--json')
            command = next(item['command'] for item in json.loads(done.stdout) if item['pid'] == job.pid)
            self.assertEqual(shown, command, (uid, groups))


class ControlSocket(UsersCase):
    """Nobody keeps others from being answered."""

    def flood(self, uids, each):
        """Idle connections of many users; gives those that were answered, which is to be refused."""
        answered = []
        for uid in uids:
            for _ in range(each):
                control = self.connect_as(uid)
                control.setblocking(False)
                answered.append(control)
        # An answer in order behind all of them: the daemon has looked at each.
        self.assertTrue(self.ask_as(0, {'verb': 'version'})['ok'])
        refused = []
        for control in answered:
            try:
                line = control.recv(65536)
            except BlockingIOError:
                continue
            if line:
                refused.append(json.loads(line))
        return refused

    def test_one_user_has_a_limit_and_is_told(self):
        refused = self.flood([ATTACKER], 70)
        # A few less if it has taken so long that the first of them count as idle.
        self.assertIn(len(refused), range(1, 7))
        for answer in refused:
            self.assertEqual((False, 'TOO_MANY_REQUESTS'), (answer['ok'], answer['code']))
            self.assertIn(f'user {ATTACKER}', answer['message'])
        self.assertTrue(self.ask_as(USER, {'verb': 'nodes'})['ok'])
        done = subprocess.run([self.product.om, 'nodes'], env=self.cluster.environment(), user=ATTACKER,
                              group=ATTACKER, extra_groups=[], cwd='/', text=True, capture_output=True,
                              timeout=WAIT_LIMIT, check=False)
        self.assertEqual((1, ''), (done.returncode, done.stdout), done.stderr)
        self.assertIn('TOO_MANY_REQUESTS', done.stderr)

    def test_many_users_lock_nobody_out(self):
        """Root, another user, and a deputy that looks for a restarted daemon are let in."""
        job = self.start_as(USER, 'sleep', '1000')
        self.wait_until(lambda: self.om('where', job.pid, expect=None).returncode == 0, 'the job')
        self.move(job, 'n2')
        (deputy,) = [pid for pid in om_process.descendants(os.getpid())
                     if om_process.read_proc(pid, 'comm').strip() == 'om-deputy']
        os.kill(deputy, signal.SIGSTOP)
        self.addCleanup(os.kill, deputy, signal.SIGCONT)
        self.restart_daemon(self.kill_daemon(HOME_NODE))
        self.flood(range(ATTACKER, ATTACKER + 5), 70)
        self.om('ps')
        for uid in (0, 61009):
            self.assertTrue(self.ask_as(uid, {'verb': 'nodes'})['ok'])
        os.kill(deputy, signal.SIGCONT)
        self.wait_until(lambda: self.om('where', job.pid, expect=None).stdout == 'n2\n', 'the deputy back')
        self.move(job, 'home')


class LargeProcesses(UsersCase):
    def test_large_address_spaces_make_nobody_wait(self):
        """A scan of all processes takes as long as anybody likes; meanwhile the daemon answers."""
        script = ('import ctypes, sys\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n'
                  'size = 30000 * 2 * 4096\n'
                  'at = libc.mmap(None, ctypes.c_size_t(size), 1, 0x22, -1, ctypes.c_long(0))\n'
                  'for page in range(0, size, 8192):\n'
                  '    libc.mprotect(ctypes.c_void_p(at + page), ctypes.c_size_t(4096), 3)\n'
                  'print("up", flush=True)\nsys.stdin.read()\n')
        for _ in range(4):
            large = self.start_as(ATTACKER, '/usr/bin/python3', '-S', '-c', script, stdin=subprocess.PIPE,
                                  preload=False)
            self.assertEqual(b'up\n', large.stdout.readline())
        asks = [self.connect_as(ATTACKER) for _ in range(4)]
        for control in asks:
            control.sendall(b'{"verb":"ps"}\n' * 60 + b''.join(
                json.dumps({'verb': 'where', 'pid': large.pid}).encode() + b'\n' for _ in range(2)))
        other = self.connect_as(USER)
        other.sendall(b'{"verb":"nodes"}\n')
        self.assertTrue(json.loads(other.makefile('rb').readline())['ok'])
        for control in asks:  # one scan or two, for all of them
            answers = control.makefile('rb')
            for _ in range(62):
                self.assertIn(b'ok', answers.readline())


class Evidence(UsersCase):
    def test_a_loss_cannot_be_pushed_out(self):
        """Neither from the events nor, by a full disk, from the log."""
        job = self.start_as(USER, '/bin/bash', '-c', 'while echo x > /dev/null; do :; done')
        self.wait_until(lambda: self.om('where', job.pid, expect=None).returncode == 0, 'the job')
        self.move(job, 'n2')
        (body,) = [pid for pid in om_process.descendants(os.getpid())
                   if om_process.read_proc(pid, 'comm').strip() == 'om-body']
        os.kill(body, signal.SIGKILL)
        job.wait(WAIT_LIMIT)
        losses = self.wait_until(lambda: [event for event in self.om_json('events', job.pid)
                                          if event['code'] == 'NODE_LOST'], 'NODE_LOST')
        plain = self.start_as(ATTACKER, 'sleep', '1000', preload=False)
        self.wait_until(lambda: os.path.realpath(f'/proc/{plain.pid}/exe').endswith('sleep'), 'exec')
        log = pathlib.Path(self.cluster.directory, HOME_NODE, 'log')
        before = len(log.read_bytes().splitlines())
        control = self.connect_as(ATTACKER)
        answers = control.makefile('rb')
        request = json.dumps({'verb': 'migrate', 'pid': plain.pid, 'to': 'n2'}).encode() + b'\n'
        for _ in range(30):
            control.sendall(request * 50)
            for _ in range(50):
                self.assertFalse(json.loads(answers.readline())['ok'])
        self.assertEqual(losses, [event for event in self.om_json('events', job.pid)
                                  if event['code'] == 'NODE_LOST'])
        self.assertLess(len(log.read_bytes().splitlines()) - before, 1000)


if __name__ == '__main__':
    main()
