#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The target really runs out of memory: n2 has a memory cgroup that is too small for its guest. The keeper sends the
guest home before that; if it does not watch (no headroom), the kernel's OOM killer ends the body, before or after the
commit. Only the guest is hit, nothing is done twice, and what happened is reported. Needs root and the memory
controller of cgroups, version 1 or 2."""

import os
import pathlib
import re
import time
import unittest

from faulty import ASKS_END, WAIT_LIMIT, AskerCase, main, om_process

MIB = 1 << 20
PROGRAM_MIB = 300  # needed by the guest
SMALL_MIB = 100    # limit of n2: enough for the daemon, the keeper, and a body without its pages


class MemoryGroup:
    """A cgroup with a memory limit."""

    def __init__(self, name):
        mounts = [line.split() for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines()]
        self.path = None
        for fields in mounts:
            kind, folder = fields[fields.index('-') + 1], pathlib.Path(fields[4])
            options = fields[-1].split(',')
            if kind == 'cgroup' and 'memory' in options:
                self.limit_file, self.limit_word = 'memory.limit_in_bytes', '-1'
                self.swap_file, self.swap_word = 'memory.swappiness', '0'
                self.count_file = 'memory.oom_control'
            elif kind == 'cgroup2' and 'memory' in (folder / 'cgroup.controllers').read_text().split():
                self.limit_file, self.limit_word = 'memory.max', 'max'
                self.swap_file, self.swap_word = 'memory.swap.max', '0'
                self.count_file = 'memory.events'
                (folder / 'cgroup.subtree_control').write_text('+memory')
            else:
                continue
            self.path = folder / name
            self.path.mkdir()
            self.home = folder / 'cgroup.procs'
            if (self.path / self.swap_file).exists():  # with free swap space nothing runs out
                (self.path / self.swap_file).write_text(self.swap_word)
            return
        raise OSError('no memory controller of cgroups')

    def take(self, pid):
        (self.path / 'cgroup.procs').write_text(str(pid))

    def limit(self, mib):
        (self.path / self.limit_file).write_text(str(mib * MIB) if mib else self.limit_word)

    def killed(self):
        """How often the OOM killer has struck here."""
        return int(re.search(r'^oom_kill (\d+)$', (self.path / self.count_file).read_text(), re.M)[1])

    def remove(self):
        """Moves the remaining processes back to where they came from."""
        until = time.monotonic() + WAIT_LIMIT
        while self.path.exists():
            for pid in (self.path / 'cgroup.procs').read_text().split():
                try:
                    self.home.write_text(pid)
                except ProcessLookupError:
                    continue
            try:
                self.path.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


class MemoryCase(AskerCase):
    needs_root = True
    nodes = 2
    headroom_mib = 0  # reserved by n2
    limit_mib = SMALL_MIB

    def setUp(self):
        super().setUp()
        try:
            self.group = MemoryGroup(f'om-test-{os.getpid()}')
        except OSError as error:
            raise unittest.SkipTest(f'no memory cgroup of its own: {error}') from error
        self.addCleanup(self.group.remove)
        path = self.folder / 'om.toml'
        path.write_text(f'memory_headroom_mib = {self.headroom_mib}\n', encoding='ascii')
        node, command, settings = self.kill_daemon('n2')
        self.restart_daemon((node, [*command, '--config', str(path)], settings))
        # n1 may keep the old daemon's connection for a moment.
        first = self.asker()
        self.until_moved(first, 'n2')
        self.end_asker(first)
        self.daemon = self.daemon_pid('n2')
        self.group.take(self.daemon)
        self.group.limit(self.limit_mib)

    def reasons(self, job):
        return [event['code'] for event in self.om_json('events', job.pid)]

    def until_moved(self, job, to):
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, to, 60).result == 'moved', f'a move to {to}')


class Eviction(MemoryCase):
    headroom_mib = 64
    limit_mib = 200

    def test_it_goes_home_before_the_memory_has_run_out(self):
        """And it can come back once there is memory again."""
        for effect in (False, True):
            with self.subTest(effect=effect):
                job = self.asker()
                self.move(job, 'n2')
                for _ in range(PROGRAM_MIB // 4):
                    words = ['map 4', 'touch', *(['write file 1'] if effect else [])]
                    self.assertNotIn('', [self.ask(job, word) for word in words])
                    if self.where(job) == 'n1':
                        break
                self.assertEqual('n1', self.where(job))
                self.assertEqual(0, self.group.killed())
                event = next(e for e in self.om_json('events', job.pid) if e['code'] == 'NO_MEMORY')
                self.assertRegex(event['message'], 'came home, memory was short at n2: .* MiB are left of 200 MiB')
                self.assertEqual('ok', self.ask(job, 'check'))
                self.group.limit(None)
                self.until_moved(job, 'n2')
                self.assertEqual('ok', self.ask(job, 'check'))
                self.move(job, 'home')
                self.end_asker(job)
                self.group.limit(self.limit_mib)


class OutOfMemory(MemoryCase):
    def check_struck(self):
        """The OOM killer hit the body, and perhaps its keeper, but nothing else. True if the keeper could report it."""
        self.assertIn(self.group.killed(), (1, 2))
        self.assertTrue(om_process.alive(self.daemon))
        self.assertEqual({'n1': 'up', 'n2': 'up'}, {n['name']: n['state'] for n in self.om_json('nodes')})
        return self.group.killed() == 1

    def test_before_the_commit(self):
        """Its pages do not fit: it goes on at home, and moves once they do."""
        job = self.asker()
        self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in (f'map {PROGRAM_MIB}', 'touch')])
        move = self.cluster.migrate_once(job.pid, 'n2', 60)
        code = 'NO_MEMORY' if self.check_struck() else 'TARGET_UNREACHABLE'
        self.assertEqual(('refused', code), (move.result, move.code), move)
        self.assertEqual('n1', self.where(job))
        self.assertEqual(['ok', 'ok', 'ok'], [self.ask(job, line) for line in ('check', 'touch', 'check')])
        self.assertIn(code, self.reasons(job))
        self.group.limit(None)
        self.move(job, 'n2')
        self.assertEqual('ok', self.ask(job, 'check'))
        self.end_asker(job)

    def test_behind_it_before_an_effect(self):
        """It goes on at home from where it left, and its memory is still there."""
        arguments = ('1000000', PROGRAM_MIB)
        native = self.asker(*arguments, preload=False)
        moved = self.asker(*arguments)
        self.move(moved, 'n2')
        (self.folder / 'go').touch()
        self.assertEqual(self.finish(native, ASKS_END), self.finish(moved, ASKS_END))
        self.check_struck()
        self.assertIn('NODE_LOST', self.reasons(moved))

    def test_behind_an_effect(self):
        """It ends as if by SIGKILL, and om run, om why and om events say why."""
        runner = self.start(self.product.om, 'run', '--', self.product.build / 'test/fault/asks',
                            preload=False, stdin=-1)
        self.assertEqual(b'up\n', runner.stdout.readline())
        pid = self.om_json('where', runner.pid)['pid']
        self.assertEqual('moved', self.cluster.migrate(pid, 'n2').result)
        self.assertEqual('ok', self.ask(runner, f'map {PROGRAM_MIB}'))
        self.assertEqual('', self.ask(runner, 'touch'))
        out, err = self.finish(runner, 128 + 9)
        cause = 'killed by SIGKILL when memory had run out there' if self.check_struck() else 'with node n2'
        self.assertEqual(b'', out)
        self.assertRegex(err.decode(), rf'^om: process {pid}: NODE_LOST: .*{cause}.*\n$')
        for told in (self.om('events', pid).stdout, self.om('why', pid, expect=4).stderr):
            self.assertRegex(told, f'NODE_LOST:? +process {pid} .*{cause}')


if __name__ == '__main__':
    main()
