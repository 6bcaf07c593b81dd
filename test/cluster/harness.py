# SPDX-License-Identifier: Apache-2.0
"""The base of cluster tests: a private cluster for a class of tests, `om` and programs in hand.

A test is a module with classes derived from ClusterCase and, at its end, `main()`:

    class Where(ClusterCase):
        def test_where_names_the_node(self):
            job = self.start_program('steady')
            self.move(job, 'n2')
            self.assertEqual('n2', self.where(job))

    main()

It runs as an ordinary user (root becomes one). A class with `needs_root` is skipped then; it runs
under OM_TEST_AS_ROOT=1. When a class is done, nothing of it may be left: no process, no file of the
cluster.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))

import om_process  # noqa: E402
from om_cluster import HOME_NODE, Cluster  # noqa: E402
from om_product import (EXIT_BROKEN, EXIT_SKIP, BrokenSetup, Product, drop_privileges,  # noqa: E402
                        remove_work, work_directory)

WAIT_LIMIT = 30  # seconds for a condition that must come true
POLL = 0.02


class ClusterCase(unittest.TestCase):
    nodes = 3
    netns = False       # every node in a network namespace of its own; needs root
    needs_root = False
    options = None      # set by main()

    @classmethod
    def setUpClass(cls):
        if (cls.netns or cls.needs_root) and os.geteuid() != 0:
            raise unittest.SkipTest('needs root (OM_TEST_AS_ROOT=1)')
        om_process.become_subreaper()
        cls.product = Product(cls.options.build)
        cls.base = work_directory(cls.options.work, 'cluster')
        cls.cluster = Cluster(cls.product, cls.base / 'c', cls.nodes,
                              ('--netns',) if cls.netns else ())
        cls.cluster.start()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.save_logs(cls.base)
        problem = cls.cluster.stop()
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
        """Waits for the end of a program; gives its stdout and stderr."""
        out, err = process.communicate(timeout=limit)
        self.assertEqual(status, process.returncode, err)
        return out, err

    # Commands.

    def om(self, *arguments, node=HOME_NODE, expect=0, limit=60):
        """Runs `om`, checks its exit status (None: any) and gives the completed process."""
        done = self.cluster.run(*map(str, arguments), limit=limit,
                                env=self.cluster.environment(node))
        if expect is not None:
            self.assertEqual(expect, done.returncode, f'om {arguments}: {done.stdout}{done.stderr}')
        return done

    def om_json(self, *arguments, **how):
        return json.loads(self.om(*arguments, '--json', **how).stdout)

    def move(self, process, to):
        """A move that must succeed; gives the record."""
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

    # Waiting.

    def wait_until(self, condition, what, limit=WAIT_LIMIT):
        """Waits until condition() is true and gives its value."""
        until = time.monotonic() + limit
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > until:
                self.fail(f'not within {limit} s: {what}')
            time.sleep(POLL)


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
        print(f'broken set-up: {setup}', file=sys.stderr)
        sys.exit(EXIT_BROKEN)
    program = unittest.main(argv=[sys.argv[0], *ClusterCase.options.tests], verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(EXIT_SKIP if program.result.testsRun == len(program.result.skipped) else 0)
