#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that users name to om before they have started, and programs that overwrite their arguments and
environment."""

import pathlib
import subprocess

from harness import WAIT_LIMIT, ClusterCase, main


class StartCase(ClusterCase):
    def titled(self):
        return self.product.build / 'test' / 'cluster' / 'titled'

    def end_right(self, job):
        out, err = job.communicate(b'\n', timeout=WAIT_LIMIT)
        self.assertEqual((0, b'right\n', b''), (job.returncode, out, err))


class Starting(StartCase):
    """`late` (late.cc) holds a program at a point of its start until let_go()."""

    def held(self, point):
        return {'OM_TEST_HOLD': f'{point}:{self.folder}',
                'LD_PRELOAD': str(self.product.build / 'test' / 'cluster' / 'liblate.so')}

    def wait_held(self):
        self.wait_until((self.folder / 'held').exists, 'the program at its point')

    def let_go(self):
        (self.folder / 'go').touch()

    def command(self, *arguments):
        """Runs `om ARGUMENTS` while the test goes on."""
        return self.start(self.product.om, *arguments, preload=False)

    def test_run_that_has_no_job_yet(self):
        for point in ('fork', 'exec'):
            with self.subTest(point=point):
                for name in ('held', 'go'):
                    (self.folder / name).unlink(missing_ok=True)
                runner = self.start(self.product.om, 'run', '--', self.titled(), preload=False,
                                    environment=self.held(point), stdin=subprocess.PIPE)
                self.wait_held()
                verbs = [self.command('migrate', runner.pid, 'n2'), self.command('where', runner.pid),
                         self.command('why', runner.pid), self.command('stack', runner.pid)]
                # The daemon has the requests and has not answered.
                for verb in verbs:
                    with self.assertRaises(subprocess.TimeoutExpired):
                        verb.wait(0.2)
                self.let_go()
                for verb in verbs:
                    self.finish(verb)
                self.assertEqual('n2', self.where(runner))
                self.assertEqual(b'up\n', runner.stdout.readline())
                self.end_right(runner)

    def test_job_that_cannot_be_executed(self):
        runner = self.start(self.product.om, 'run', '--', self.folder / 'nothing', preload=False,
                            environment=self.held('exec'))
        self.wait_held()
        verb = self.command('migrate', runner.pid, 'n2')
        self.let_go()
        self.assertEqual(127, runner.wait(WAIT_LIMIT))
        self.assertEqual(4, verb.wait(WAIT_LIMIT), verb.stderr.read())

    def test_libraries_before_libom(self):
        preload = self.product.preload
        late = self.held('constructor')['LD_PRELOAD']
        codes = set()
        # One of the two is initialised first.
        for order in (f'{preload}:{late}', f'{late}:{preload}'):
            with self.subTest(order=order):
                for name in ('held', 'go'):
                    (self.folder / name).unlink(missing_ok=True)
                job = self.start(self.titled(), stdin=subprocess.PIPE,
                                 environment={**self.held('constructor'), 'LD_PRELOAD': order})
                self.wait_held()
                move = self.cluster.migrate_once(job.pid, 'n2', 60)
                codes.add(move.code or move.result)
                if move.code == 'STARTING':
                    self.assertEqual(0, self.om_json('why', job.pid)['can_move'])
                    self.om('stack', job.pid)
                    self.assertEqual('n1', self.where(job))
                self.let_go()
                self.assertEqual(b'up\n', job.stdout.readline())
                self.move(job, 'n3')
                self.move(job, 'home')
                self.end_right(job)
        self.assertEqual({'STARTING', 'moved'}, codes)

    def test_waits_for_the_constructor(self):
        order = f'{self.product.preload}:{self.held("constructor")["LD_PRELOAD"]}'
        job = self.start(self.titled(), stdin=subprocess.PIPE,
                         environment={**self.held('constructor'), 'LD_PRELOAD': order})
        self.wait_held()
        verb = self.command('migrate', job.pid, 'n2')
        self.let_go()
        self.finish(verb)
        self.assertEqual('n2', self.where(job))
        self.assertEqual(b'up\n', job.stdout.readline())
        self.end_right(job)


class Titles(StartCase):
    def job(self, *options):
        """`om run` of a program that has overwritten its environment, and the pid of the program."""
        runner = self.start(self.product.om, 'run', *options, '--', self.titled(), preload=False,
                            stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', runner.stdout.readline())
        return runner, self.om_json('where', runner.pid)['pid']

    def test_belongs_to_the_node_it_was_started_on(self):
        job, pid = self.job()
        self.assertIn(pid, [entry['pid'] for entry in self.om_json('ps')])
        refused = self.om('migrate', pid, 'n3', node='n2', expect=6)
        self.assertIn('OTHER_NODE', refused.stderr)
        self.om('migrate', pid, 'n2')
        self.end_right(job)

    def test_keeps_to_its_cpu_baseline(self):
        flags = pathlib.Path('/proc/cpuinfo').read_text(encoding='ascii')
        if ' avx2 ' not in flags:
            self.skipTest('no CPU feature to do without')
        node, command, settings = self.kill_daemon('n3')
        config = self.folder / 'om.toml'
        config.write_text('hide_cpu_features = ["avx2"]\n', encoding='ascii')
        self.restart_daemon((node, [*command, '--config', str(config)], settings))
        self.wait_until(lambda: {n['name']: n['state'] for n in self.om_json('nodes')}['n3'] == 'up', 'n3 up')
        (full, full_pid), (modest, modest_pid) = self.job(), self.job('--cpu', 'x86-64-v2')
        # n1 may keep the old daemon's connection for a moment.
        self.wait_until(lambda: self.cluster.migrate_once(full_pid, 'n3', 60).code == 'CPU_FEATURE', 'a refusal')
        self.om('migrate', modest_pid, 'n3')
        self.end_right(full)
        self.end_right(modest)


class OtherLibraries(ClusterCase):
    """Libraries that override functions of the C library work in either order with libom.so."""
    SCRIPT = ('import time\n'
              'print(int(time.time()), flush=True)\n'
              'input()\n'
              'begun = time.process_time()\n'
              'while time.process_time() < begun + 0.2: pass\n'
              'print(int(time.time()), time.process_time() > begun, flush=True)\n'
              'input()\n')

    def test_their_clock_is_the_programs(self):
        other = str(self.product.build / 'test' / 'cluster' / 'libold_clock.so')
        for order in (other, f'{other}:{self.product.preload}', f'{self.product.preload}:{other}'):
            with self.subTest(order=order):
                job = self.start('/usr/bin/python3', '-c', self.SCRIPT, stdin=subprocess.PIPE,
                                 environment={'LD_PRELOAD': order})
                self.assertEqual(b'946684799\n', job.stdout.readline())
                for place in ('n2', 'home') if order != other else ('nowhere',):
                    if place != 'nowhere':
                        self.move(job, place)
                    if place != 'home':
                        job.stdin.write(b'\n')
                        job.stdin.flush()
                        self.assertEqual(b'946684799 True\n', job.stdout.readline())
                job.stdin.write(b'\n')
                self.finish(job)


main()
