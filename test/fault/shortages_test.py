#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shortages: of descriptors in our own programs, of address space, memory or disk at either end. A move is refused with
a code, nothing is lost, and it is possible again once there is enough; the program's own requests get the same answers
as natively. Also what dies with a node, by name: its memory's last user, home."""

import ctypes
import errno
import os
import pathlib
import resource
import time
import unittest

from faulty import ASKS_END, POLL, WAIT_LIMIT, AskerCase, NumberedJob, main, om_process

MIB = 1 << 20


def lowest_free_now(pid):
    """The descriptor number that a process would get next."""
    used = {int(entry) for entry in os.listdir(f'/proc/{pid}/fd')}
    return next(number for number in range(1 << 20) if number not in used)


def lowest_free(pid):
    """The lowest of several looks: the process may just have a file open that it closes at once."""
    lowest = lowest_free_now(pid)
    for _ in range(20):
        time.sleep(0.002)
        lowest = min(lowest, lowest_free_now(pid))
    return lowest


class Limit:
    """Lowers the soft limit of another process for a while."""

    def __init__(self, pid, kind, value):
        self.pid, self.kind, self.value = pid, kind, value

    def __enter__(self):
        self.before = resource.prlimit(self.pid, self.kind)
        resource.prlimit(self.pid, self.kind, (self.value, self.before[1]))

    def __exit__(self, *_):
        resource.prlimit(self.pid, self.kind, self.before)


class ShortageCase(AskerCase):
    def log(self, node):
        return ''.join(path.read_text(errors='replace')
                       for path in pathlib.Path(self.cluster.directory, node).glob('log*'))

    def wait_said(self, node, text, before):
        until = time.monotonic() + WAIT_LIMIT
        while self.log(node).count(text) <= before:
            if time.monotonic() > until:
                self.fail(f'{text!r} is not in the log of {node}: {self.log(node)[-2000:]}')
            time.sleep(POLL)

    def restart_limited(self, node, kind, value):
        """Gives the node's daemon a hard limit, which its children inherit; returns a function that undoes it. An
        ordinary user cannot raise a hard limit again, so that takes another daemon."""
        resource.prlimit(self.daemon_pid(node), kind, (value, value))
        return lambda: self.restart_daemon(self.kill_daemon(node))

    def until_moved(self, job, to):
        """After a restart of a daemon: its peers need a moment to see it."""
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, to, 60).result == 'moved', f'a move to {to}')


class Descriptors(ShortageCase):
    session_timeout = 60

    def refused_for_descriptors(self, job, to):
        move = self.cluster.migrate_once(job.pid, to, 60)
        self.assertEqual(('refused', 'FD_LIMIT'), (move.result, move.code), move)
        self.assertIn('oo many open files', move.message)
        job.wait_progress(3)

    def connections_break(self, program, node, limit_of, words):
        """Breaks all connections of a job that is away, while `program` at `node` has no descriptor left and logs
        `words`."""
        job = NumberedJob(self)
        job.move('n2')
        pid = self.only(program)
        said = self.log(node).count(words)
        with Limit(pid, resource.RLIMIT_NOFILE, limit_of(pid)):
            self.om('debug', 'all', job.pid)
            self.wait_said(node, words, said)
        job.wait_progress(5)
        self.assertEqual(pid, self.only(program))
        job.move('home')
        job.finish()

    def test_deputy_while_away(self):
        """Connections that break while it has no descriptors are accepted once it has some again."""
        self.connections_break('om-deputy', 'n1', lambda pid: 0, 'cannot take a connection')

    def test_keeper_while_away(self):
        self.connections_break('om-guest', 'n2', lowest_free, 'cannot connect to home')

    def connections_are_made_again(self, job):
        self.om('debug', 'all', job.pid)
        job.wait_progress(5)
        deputy = self.only('om-deputy')
        self.kill(deputy)
        self.wait_until(lambda: self.helpers('om-deputy') not in ([], [deputy]), 'another deputy')
        job.wait_progress(5)
        job.move('home')

    def test_program_while_away(self):
        """It has none left when all connections break and when its deputy is replaced."""
        job = NumberedJob(self, program='sleepers', more=(40,))
        job.move('n2')
        with Limit(job.pid, resource.RLIMIT_NOFILE, lowest_free(job.pid)):
            self.connections_are_made_again(job)
        job.finish()

    def test_program_with_all_numbers(self):
        """The same if libom has all numbers that its hard limit leaves free."""
        hard, slots = 400, 128  # slots for 41 threads
        job = NumberedJob(self, program='sleepers', more=(40, hard - slots - 1))
        resource.prlimit(job.pid, resource.RLIMIT_NOFILE, (hard, hard))
        job.move('n2')
        self.assertEqual(hard, lowest_free(job.pid))
        self.connections_are_made_again(job)
        job.finish()

    def test_daemons(self):
        """The daemon itself: at the target it cannot start a keeper, at home no deputy."""
        job = NumberedJob(self)
        job.move('n2')  # the connections between the nodes exist
        job.move('home')
        target = self.daemon_pid('n2')
        with Limit(target, resource.RLIMIT_NOFILE, lowest_free(target)):
            self.refused_for_descriptors(job, 'n2')
        job.move('n2')
        job.move('home')
        home = self.daemon_pid('n1')
        self.wait_until(lambda: not self.helpers('om-deputy'), 'the end of the deputy')
        refused = 0
        for more in range(1, 5):  # the first is for the request
            with Limit(home, resource.RLIMIT_NOFILE, lowest_free(home) + more):
                move = self.cluster.migrate_once(job.pid, 'n2', 60)
            job.wait_progress(3)
            if move.result == 'moved':
                break
            self.assertEqual(('refused', 'FD_LIMIT'), (move.result, move.code), move)
            refused += 1
        self.assertGreater(refused, 0)
        job.move('home')
        job.move('n2')
        job.finish()

    def test_a_daemon_that_cannot_accept(self):
        """Requests wait until it can, and it does not spin meanwhile: one line for each attempt."""
        daemon = self.daemon_pid('n2')
        said = self.log('n2').count('accept a client')
        with Limit(daemon, resource.RLIMIT_NOFILE, lowest_free(daemon)):
            asked = self.start(self.product.om, 'nodes', node='n2', preload=False)
            self.wait_said('n2', 'accept a client', said + 1)
            self.assertLess(self.log('n2').count('accept a client') - said, 100)
        self.finish(asked)

    def helpers_limited(self, node):
        job = NumberedJob(self, program='sleepers', more=(40,))
        restore = self.restart_limited(node, resource.RLIMIT_NOFILE, lowest_free(self.daemon_pid(node)) + 6)
        self.refused_for_descriptors(job, 'n2')
        if node != 'n1':
            job.move('n3')
            job.move('home')
        restore()
        self.until_moved(job, 'n2')
        job.wait_progress(3)
        job.move('home')
        job.finish()

    def test_deputy_with_a_low_limit(self):
        self.helpers_limited('n1')

    def test_keeper_with_a_low_limit(self):
        self.helpers_limited('n2')


class Memory(ShortageCase):
    def target_limited(self, kind, limit):
        job = self.asker()
        self.assertEqual('ok', self.ask(job, 'map 1024'))
        restore = self.restart_limited('n2', kind, limit)
        self.refuse(job, 'n2', 'NO_MEMORY')
        self.assertEqual('ok', self.ask(job, 'check'))
        self.move(job, 'n3')
        self.move(job, 'home')
        restore()
        self.until_moved(job, 'n2')
        self.assertEqual('ok', self.ask(job, 'check'))
        self.end_asker(job)

    def test_address_space_of_the_target(self):
        self.target_limited(resource.RLIMIT_AS, om_process.memory(self.daemon_pid('n2')) + 600 * MIB)

    def test_data_of_the_target(self):
        self.target_limited(resource.RLIMIT_DATA, 900 * MIB)

    def test_limits_reached_while_away(self):
        """What is available natively is available: the process comes home for it."""
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            with self.subTest(kind=kind):
                job = self.asker()
                self.move(job, 'n2')
                self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('map 1', 'touch')])
                self.assertEqual('n2', self.where(job))
                body = self.only('om-body')
                resource.prlimit(body, kind, (om_process.memory(body) + 8 * MIB, resource.RLIM_INFINITY))
                self.assertEqual(['ok', 'ok', 'ok'], [self.ask(job, line) for line in ('map 600', 'touch', 'check')])
                self.assertEqual('n1', self.where(job))
                self.end_asker(job)

    def test_home_cannot_take_it_back(self):
        """While away its stack has outgrown the room at home: it goes on there, and comes home when there is room."""
        job = self.asker()
        self.assertEqual('ok', self.ask(job, 'map 1'))
        self.move(job, 'n2')
        self.assertEqual('ok', self.ask(job, 'stack 6'))
        limits = {resource.RLIMIT_STACK: 1 * MIB, resource.RLIMIT_AS: om_process.memory(job.pid) + 2 * MIB}
        for kind, limit in limits.items():
            with Limit(job.pid, kind, limit):
                self.refuse(job, 'home', 'HOME_MEMORY')
                self.assertEqual('n2', self.where(job))
                self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('touch', 'check')])
                self.assertEqual('HOME_MEMORY', self.om_json('events', job.pid)[-1]['code'])
        self.move(job, 'home')
        self.assertEqual('ok', self.ask(job, 'check'))
        self.end_asker(job)

    def test_the_body_is_killed(self):
        """By SIGKILL, as by a kernel out of memory: a process that has acted is lost, and that is reported."""
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(5)
        self.kill(self.only('om-body'))
        job.runner.wait(WAIT_LIMIT)
        job.check_lost()
        self.assertRegex(job.said.decode(), 'NODE_LOST: .*killed by SIGKILL')

    def test_the_body_is_killed_before_it_has_acted(self):
        """It goes on at home, from where it left."""
        native = self.asker('3000000', preload=False)
        moved = self.asker('3000000')
        self.move(moved, 'n2')
        self.kill(self.only('om-body'))
        self.wait_until(lambda: self.where(moved) == 'n1', 'it at home')
        self.assertIn('NODE_LOST', [event['code'] for event in self.om_json('events', moved.pid)])
        (self.folder / 'go').touch()
        outputs = [self.finish(job, ASKS_END) for job in (native, moved)]
        self.assertEqual(*outputs)


class HomeIsLost(ShortageCase):
    nodes = 2

    def test_bodies_end(self):
        """Everything of the home node dies at once: keepers end its guests."""
        job = NumberedJob(self)
        job.move('n2')
        keeper, body = self.only('om-guest'), self.only('om-body')
        killed = self.kill_daemon('n1')
        for pid in (self.only('om-deputy'), job.pid):
            self.kill(pid)
        job.runner.wait(WAIT_LIMIT)
        self.wait_until(lambda: not om_process.alive(body) and not om_process.alive(keeper), 'the end of the body')
        self.restart_daemon(killed)
        self.assertEqual('', job.problem)

    def computing(self):
        """A program at n2 that makes no more calls by which its body could notice that home is gone."""
        job = self.asker(10 ** 12)
        self.move(job, 'n2')
        keeper, body = self.only('om-guest'), self.only('om-body')
        (self.folder / 'go').touch()
        self.wait_until(lambda: all(om_process.read_proc(body, 'syscall').startswith('running') for _ in range(50)),
                        'nothing but computing')
        return job, keeper, body

    def test_bodies_that_only_compute_end(self):
        job, keeper, body = self.computing()
        killed = self.kill_daemon('n1')
        for pid in (self.only('om-deputy'), job.pid):
            self.kill(pid)
        self.wait_until(lambda: not om_process.alive(body) and not om_process.alive(keeper), 'the end of the body')
        self.restart_daemon(killed)

    def test_a_body_ends_with_its_keeper(self):
        job, keeper, body = self.computing()
        self.kill(keeper)
        self.wait_until(lambda: not om_process.alive(body), 'the end of the body')
        self.wait_until(lambda: self.where(job) == 'n1', 'it at home')  # nothing is lost


class DiskOfRoot(ShortageCase):
    """Small private disks, in a mount namespace that ends with the test."""
    needs_root = True
    nodes = 2

    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            try:
                cls.leave_mounts()
            except OSError as error:
                raise unittest.SkipTest(f'no mounts of its own: {error}') from error
        super().setUpClass()

    @staticmethod
    def system(name, *arguments):
        """A system call of libc; mount(8) is not everywhere."""
        libc = ctypes.CDLL(None, use_errno=True)
        if getattr(libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f'{name}: {os.strerror(number)}')

    @classmethod
    def leave_mounts(cls):
        clone_newns, ms_rec, ms_private = 0x20000, 1 << 14, 1 << 18
        cls.system('unshare', clone_newns)
        cls.system('mount', b'none', b'/', None, ctypes.c_ulong(ms_rec | ms_private), None)

    @classmethod
    def mount(cls, folder, options):
        cls.system('mount', b'none', os.fsencode(folder), b'tmpfs', ctypes.c_ulong(0), options.encode())

    @classmethod
    def unmount(cls, folder):
        cls.system('umount2', os.fsencode(folder), 0)

    def test_writes_of_the_program(self):
        answers = []
        for away in (False, True):
            disk = self.folder / f'disk-{away}'
            disk.mkdir()
            self.mount(disk, 'size=256k')
            self.addCleanup(self.unmount, disk)
            job = self.asker()
            if away:
                self.move(job, 'n2')
            lines = [f'write {disk}/{name} {kib}' for name, kib in (('a', 100), ('b', 200), ('a', 1))]
            answers.append([self.ask(job, line) for line in [*lines, f'unlink {disk}/b', lines[2]]])
            self.assertEqual('n2' if away else 'n1', self.where(job))
            self.end_asker(job)
        self.assertEqual(*answers)
        self.assertIn('ENOSPC', ' '.join(answers[0]))

    def small_disk(self, name):
        disk = self.folder / name
        disk.mkdir()
        self.mount(disk, 'size=256k,mode=755')
        detach = 2  # daemons that still use it end with the cluster
        self.addCleanup(self.system, 'umount2', os.fsencode(disk), detach)
        return disk

    @staticmethod
    def fill(disk):
        """Fills the disk; returns the file that does."""
        file = disk / 'full'
        with open(file, 'wb', buffering=0) as out:
            try:
                while True:
                    out.write(bytes(1024))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
        return file

    def check_moves(self, job, *places):
        for to in places:
            self.move(job, to)
            self.assertEqual('n1' if to == 'home' else to, self.where(job))
            self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('touch', 'check')])

    def test_state_of_the_daemons(self):
        """Running daemons do not need it, and one that cannot write it still finds what is away."""
        disk = self.small_disk('state')
        for node in ('n1', 'n2'):
            name, command, settings = self.kill_daemon(node)
            command[command.index('--state') + 1] = str(disk / node)
            self.restart_daemon((name, command, settings))
        job = self.asker()
        self.assertEqual('ok', self.ask(job, 'map 1'))
        self.until_moved(job, 'n2')
        self.check_moves(job, 'home')
        other = self.asker()  # about which there is always something to record
        self.move(other, 'n2')
        full = self.fill(disk)
        said = {node: self.log(node).count('No space left on device') for node in ('n1', 'n2')}
        self.check_moves(job, 'n2', 'home', 'n2')
        for node, before in said.items():
            self.wait_said(node, 'No space left on device', before)
            self.assertEqual(1, self.log(node).count('No space left on device') - before, self.log(node))
        self.restart_daemon(self.kill_daemon('n1'))
        self.wait_until(lambda: self.where(job) == 'n2', 'its deputy')
        self.assertEqual('ok', self.ask(job, 'check'))
        self.until_moved(job, 'home')
        self.until_moved(job, 'n2')
        self.wait_said('n1', 'No space left on device', said['n1'] + 1)
        self.assertEqual(2, self.log('n1').count('No space left on device') - said['n1'])
        full.unlink()
        deputies = self.helpers('om-deputy')
        self.assertEqual(2, len(deputies))
        children = disk / 'n1' / 'children'
        self.wait_until(lambda: all(f'"pid":{pid},' in children.read_text() for pid in deputies), 'both in the state')
        self.wait_said('n1', 'is written again', 0)
        self.check_moves(job, 'home')
        self.end_asker(job)
        self.end_asker(other)

    def test_logs_of_the_daemons(self):
        """Lines that cannot be written are counted, and the count is written once possible; no line is cut."""
        disk = self.small_disk('logs')
        for node in ('n1', 'n2'):
            name, command, settings = self.kill_daemon(node)
            self.restart_daemon((name, command, {**settings, 'OM_LOG': 'debug'}), disk / node)
        job = self.asker()
        self.assertEqual('ok', self.ask(job, 'map 1'))
        self.until_moved(job, 'n2')
        full = self.fill(disk)
        while (disk / 'n1').stat().st_size % 4096 != 0:  # the rest of its last page
            self.check_moves(job, 'home', 'n2')
        full.unlink()
        self.check_moves(job, 'home', 'n2', 'home')
        text = (disk / 'n1').read_text()
        lines = [line for line in text.splitlines() if line]
        self.assertRegex(text, r'om-migrator\[n1\] warn log: [0-9]+ lines? could not be written: No space')
        cut = [line for line in lines if not line.startswith('20')]
        self.assertEqual([], cut)
        self.end_asker(job)

    def test_a_cluster_on_a_full_disk(self):
        disk = self.small_disk('cluster')
        full = self.fill(disk)
        done = self.om('cluster', 'dev', 'start', '--nodes', 2, '--dir', disk / 'c', expect=1)
        self.assertRegex(done.stderr, r'^om: [^\n]*No space left on device[^\n]*\n$')
        self.assertEqual([full], list(disk.iterdir()))


if __name__ == '__main__':
    main()
