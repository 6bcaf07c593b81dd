# SPDX-License-Identifier: Apache-2.0
"""The base of cluster tests: a private cluster for a class of tests, with `om` and programs at hand.

A test is a module with classes derived from ClusterCase and, at its end, `main()`:

    class Where(ClusterCase):
        def test_where_names_the_node(self):
            job = self.start_program('steady')
            self.move(job, 'n2')
            self.assertEqual('n2', self.where(job))

    main()

It runs as an ordinary user (root becomes one). A class with `needs_root` is then skipped; it runs under
OM_TEST_AS_ROOT=1. A finished class must leave nothing behind: no process, no file of the cluster.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))

import om_machine  # noqa: E402
import om_process  # noqa: E402
from om_cluster import HOME_NODE, Cluster  # noqa: E402
from om_product import (EXIT_SKIP, BrokenSetup, Product, drop_privileges,  # noqa: E402
                        remove_work, work_directory)

WAIT_LIMIT = 30  # seconds for a condition that must come true
POLL = 0.02


class ClusterCase(unittest.TestCase):
    nodes = 3
    netns = False       # every node in a network namespace of its own; needs root
    plain = False       # nothing between the nodes is encrypted
    needs_root = False
    keeper = None       # path of a script that replaces om-guest in the folder cls.libexec
    options = None      # set by main()

    @classmethod
    def setUpClass(cls):
        if (cls.netns or cls.needs_root) and os.geteuid() != 0:
            raise unittest.SkipTest('needs root (OM_TEST_AS_ROOT=1)')
        lacking = om_machine.lacks_moves() or (cls.netns and om_machine.lacks_network_namespaces())
        if lacking:
            raise unittest.SkipTest(lacking)
        om_process.become_subreaper()
        cls.product = Product(cls.options.build)
        cls.base = work_directory(cls.options.work, 'cluster')
        if cls.keeper:
            cls.libexec = cls.base / 'libexec'
            cls.libexec.mkdir(mode=0o755)
            cls.product.libexec_with(cls.libexec, 'om-guest', cls.keeper)
            os.environ['OM_LIBEXEC'] = str(cls.libexec)
        cls.cluster = Cluster(cls.product, cls.base / 'c', cls.nodes,
                              (('--netns',) if cls.netns else ()) + (('--plain',) if cls.plain else ()))
        cls.cluster.start()
        cls.daemons = []

    @classmethod
    def tearDownClass(cls):
        cls.cluster.save_logs(cls.base)
        problem = cls.cluster.stop()
        if cls.keeper:
            del os.environ['OM_LIBEXEC']
        for daemon in cls.daemons:
            daemon.wait(WAIT_LIMIT)
        left = om_process.end_descendants(grace=5)
        files = [str(path) for path in (cls.base / 'c').rglob('*')]
        if problem or left or files:
            raise AssertionError(f'left behind: {problem} {left} {files}; kept {cls.base}')
        remove_work(cls.base)

    def setUp(self):
        self.folder = self.base / self.id().rpartition('.')[2]
        self.folder.mkdir()

    # Programs.

    def start(self, *command, node=HOME_NODE, preload=True, environment=None, **how):
        """Starts a program that belongs to `node`, collects its output, ends it after the test."""
        settings = {**self.cluster.environment(node), 'HOME': str(self.folder)}
        if preload:
            settings['LD_PRELOAD'] = settings.get('OM_PRELOAD') or self.product.preload
        settings.update(environment or {})
        how = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
               'cwd': self.folder, 'start_new_session': True, **how}
        process = subprocess.Popen([str(part) for part in command], env=settings, **how)
        self.addCleanup(self.end, process)
        return process

    def start_program(self, name, *arguments, **how):
        """The same for a program of test/programs."""
        return self.start(self.product.build / 'test' / 'programs' / name, *arguments, **how)

    @staticmethod
    def end(process):
        if process.poll() is None:
            om_process.kill_group(process.pid)
        process.communicate()

    def finish(self, process, status=0, limit=WAIT_LIMIT):
        """Waits for a program to end; returns its stdout and stderr."""
        out, err = process.communicate(timeout=limit)
        self.assertEqual(status, process.returncode, err)
        return out, err

    # Commands.

    def om(self, *arguments, node=HOME_NODE, expect=0, limit=60):
        """Runs `om`, checks its exit status (None: any) and returns the completed process."""
        done = self.cluster.run(*map(str, arguments), limit=limit,
                                env=self.cluster.environment(node))
        if expect is not None:
            self.assertEqual(expect, done.returncode, f'om {arguments}: {done.stdout}{done.stderr}')
        return done

    def om_json(self, *arguments, **how):
        return json.loads(self.om(*arguments, '--json', **how).stdout)

    def move(self, process, to):
        """A move that must succeed; returns the record."""
        move = self.cluster.migrate(process.pid, to)
        self.assertEqual('moved', move.result, move)
        return move.data

    def refuse(self, process, to, code):
        """A move that must be refused with `code`."""
        move = self.cluster.migrate(process.pid, to, transient=frozenset())
        self.assertEqual(('refused', code), (move.result, move.code), move)
        return move.data

    def where(self, process):
        return self.om('where', process.pid).stdout.strip()

    # Daemons.

    def state_file(self):
        return pathlib.Path(self.cluster.directory, 'cluster.json')

    def daemon_pid(self, node):
        state = json.loads(self.state_file().read_text(encoding='utf-8'))
        return next(entry['pid'] for entry in state['nodes'] if entry['name'] == node)

    def kill_daemon(self, node):
        """Kills the node's om-migrator; returns what restart_daemon() needs."""
        pid = self.daemon_pid(node)
        command = om_process.read_proc(pid, 'cmdline').split('\0')[:-1]
        settings = dict(item.split('=', 1) for item in om_process.read_proc(pid, 'environ').split('\0')
                        if '=' in item)
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not om_process.alive(pid), 'the end of the daemon')
        return node, command, settings

    def restart_daemon(self, killed, log=None):
        """Restarts it as a service manager would. Afterwards the cluster's files name the new one. `log`: where it
        writes (default: where the old one did)."""
        node, command, settings = killed
        ready = self.folder / f'ready-{node}'
        ready.unlink(missing_ok=True)
        for option in ('--ready-fd', '--ready-file'):
            if option in command:
                at = command.index(option)
                command[at:at + 2] = ['--ready-file', str(ready)]
        state = json.loads(self.state_file().read_text(encoding='utf-8'))
        entry = next(entry for entry in state['nodes'] if entry['name'] == node)
        command[command.index('--listen') + 1] = entry['address']  # the port that the others know
        log = log or pathlib.Path(self.cluster.directory, node, 'log')
        with open(log, 'ab') as out:
            daemon = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=out, start_new_session=True)
        self.daemons.append(daemon)  # the Popen object reaps it
        self.wait_until(ready.exists, 'the new daemon')
        entry['pid'] = daemon.pid
        entry['start'] = int(om_process.stat_fields(daemon.pid)[19])
        self.state_file().write_text(json.dumps(state), encoding='utf-8')

    # Waiting.

    def wait_until(self, condition, what, limit=WAIT_LIMIT):
        """Waits until condition() is true and returns its value."""
        until = time.monotonic() + limit
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > until:
                self.fail(f'not within {limit} s: {what}')
            time.sleep(POLL)


class OwnClusterCase(ClusterCase):
    """Without a cluster: the tests make their own ones, in directories below `base`."""
    work = 'own'  # part of that directory's name

    @classmethod
    def setUpClass(cls):
        if cls.needs_root and os.geteuid() != 0:
            raise unittest.SkipTest('needs root (OM_TEST_AS_ROOT=1)')
        lacking = om_machine.lacks_moves() or cls.lacks()
        if lacking:
            raise unittest.SkipTest(lacking)
        om_process.become_subreaper()
        cls.product = Product(cls.options.build)
        cls.base = work_directory(cls.options.work, cls.work)

    @classmethod
    def lacks(cls):
        """What else this machine lacks; empty: nothing."""
        return ''

    @classmethod
    def tearDownClass(cls):
        remove_work(cls.base)


def main():
    """Runs the tests of the calling module."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', help='build directory (default: $OM_TEST_BUILD or build)')
    parser.add_argument('--work', help='where the directories of tests go')
    parser.add_argument('tests', nargs='*', help='Class or Class.test_name')
    ClusterCase.options = parser.parse_args()
    try:
        drop_privileges(ClusterCase.options.work)
        Product(ClusterCase.options.build).require()
    except BrokenSetup as setup:
        print(f'{setup.kind}: {setup}', file=sys.stderr)
        sys.exit(setup.status)
    program = unittest.main(argv=[sys.argv[0], *ClusterCase.options.tests], verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(EXIT_SKIP if program.result.testsRun == len(program.result.skipped) else 0)
