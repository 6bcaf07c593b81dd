#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What guests may use of a node: memory, threads and CPU time, of each and of all. What does not fit is refused and the
limit is named; a guest that outgrows its memory goes home, one that wants more threads is told so, as by ulimit.
Control groups and user ids of their own: needs root (OM_TEST_AS_ROOT=1)."""

import json
import os
import pathlib
import socket
import sys

from faulty import AskerCase, main, om_process

# Starts N threads at the word, says how many it got, and ends when it is told so.
THREADS = '''
import sys, threading
end = threading.Event()
print('up', flush=True)
for line in sys.stdin:
    if line == 'end\\n':
        break
    got = 0
    try:
        for _ in range(int(line)):
            threading.Thread(target=end.wait).start()
            got += 1
    except RuntimeError:
        pass
    print(got, threading.active_count(), flush=True)
end.set()
'''


class LimitCase(AskerCase):
    nodes = 2
    words = 0  # of n2's command line without options of ours; of the class, like its cluster

    def restart(self, *options):
        """n2 with these options instead of those of an earlier call."""
        node, command, settings = self.kill_daemon('n2')
        cls = type(self)
        cls.words = cls.words or len(command)
        command = command[:cls.words]
        self.restart_daemon((node, [*command, *map(str, options)], settings))
        self.wait_until(lambda: {n['state'] for n in self.om_json('nodes')} == {'up'}, 'all nodes up')
        # n1 may keep the old daemon's connection for a moment.
        self.wait_until(lambda: self.info('n2') is not None, 'its answer')

    def info(self, node):
        """What the daemon says about itself and how it confines guests."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.cluster.environment(node)['OM_CONTROL'])
            control.sendall(b'{"verb":"node.info"}\n')
            with control.makefile() as answer:
                said = json.loads(answer.readline())
        return said['data'] if said['ok'] else None

    def until_moved(self, job, to='n2'):
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, to, 60).result == 'moved', f'a move to {to}')

    def until_refused(self, job, code, text):
        def is_refused():
            move = self.cluster.migrate_once(job.pid, 'n2', 60)
            self.assertNotEqual('moved', move.result, move)
            return move if move.code == code else None
        move = self.wait_until(is_refused, code)
        self.assertRegex(move.message, text)


class Limits(LimitCase):
    def test_a_guest_that_outgrows_its_memory_goes_home(self):
        self.restart('--guest-memory-mib', 100)
        job = self.asker()
        self.until_moved(job)
        self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('map 300', 'touch')])
        self.wait_until(lambda: self.where(job) == 'n1', 'it at home')
        self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('check', 'touch')])
        event = next(e for e in self.om_json('events', job.pid) if e['code'] == 'NO_MEMORY')
        self.assertRegex(event['message'],
                         'came home, memory was short at n2: it uses [0-9]+ MiB, guest_memory_mib is 100')
        self.until_refused(job, 'NO_MEMORY', 'guest_memory_mib of node n2 is 100')
        self.end_asker(job)

    def test_all_guests_together_have_a_limit(self):
        self.restart('--guests-memory-mib', 200)
        first, second = self.asker(), self.asker()
        for job in (first, second):
            self.assertEqual(['ok', 'ok'], [self.ask(job, line) for line in ('map 110', 'touch')])
        self.until_moved(first)
        self.until_refused(second, 'NO_MEMORY', 'guests_memory_mib is 200')
        self.assertEqual('ok', self.ask(second, 'check'))
        self.move(first, 'home')
        self.until_moved(second)
        for job in (first, second):
            self.assertEqual('ok', self.ask(job, 'check'))
            self.end_asker(job)

    def test_a_thread_bomb_ends_at_the_limit(self):
        self.restart('--guest-threads', 20)
        info = self.info('n2')['confinement']
        if not info['namespaces']['possible'] and 'pids' not in info['cgroup']['controllers']:
            self.skipTest('neither namespaces nor a control group')
        job = self.start(sys.executable, '-c', THREADS, stdin=-1)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.until_moved(job)
        got, alive = map(int, self.ask(job, '100').split())
        self.assertLess(got, 20)
        self.assertLessEqual(alive, 20)
        self.assertGreater(got, 10)
        self.move(job, 'home')
        self.assertEqual(100, int(self.ask(job, '100').split()[0]))
        self.until_refused(job, 'BLOCKED', 'guest_threads of node n2 is 20')
        job.stdin.write(b'end\n')
        job.stdin.flush()
        self.finish(job, 0)

    def test_cpu(self):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        for word, policy, nice in (('idle', os.SCHED_IDLE, own), ('low', os.SCHED_OTHER, max(own, 10))):
            with self.subTest(word=word):
                self.restart('--guest-cpu', word)
                job = self.asker()
                self.until_moved(job)
                body, keeper = self.only('om-body'), self.only('om-guest')
                self.assertEqual(policy, os.sched_getscheduler(body))
                self.assertEqual(nice, os.getpriority(os.PRIO_PROCESS, body))
                self.assertEqual(os.SCHED_OTHER, os.sched_getscheduler(keeper))
                self.assertEqual(own, os.getpriority(os.PRIO_PROCESS, keeper))
                self.assertEqual(word, self.info('n2')['confinement']['limits']['guest_cpu'])
                self.move(job, 'home')
                self.end_asker(job)

    def test_why_a_node_takes_nobody(self):
        self.restart('--accept', 'never', '--max-guests', 0)
        codes = [reason['code'] for reason in self.info('n2')['refuses']]
        self.assertEqual(['BLOCKED', 'FULL'], codes)
        self.assertEqual([], self.info('n1')['refuses'])
        told = self.om('node', 'why', 'n2', node='n2').stdout
        self.assertRegex(told, '(?s)BLOCKED: .*configured to take nobody.*FULL: .*max_guests is 0')
        self.assertEqual('n1 takes processes\n', self.om('node', 'why', 'n1').stdout)
        self.assertEqual(4, self.om('node', 'why', 'n7', expect=None).returncode)


class RootCase(LimitCase):
    needs_root = True

    def groups(self, pid):
        """Folders of the groups of ours that a process is in, by its /proc/PID/cgroup."""
        lines = om_process.read_proc(pid, 'cgroup').splitlines()
        return [line.split(':', 2)[2] for line in lines if '/om-n2-' in line]

    def left(self):
        """Groups of guests of this n2 that there are: other tests may have an n2 with groups at the same time."""
        number = 2166136261  # FNV-1a, as in the daemon
        for byte in self.cluster.environment('n2')['OM_CONTROL'].encode():
            number = (number ^ byte) * 16777619 % (1 << 32)
        return sorted(pathlib.Path(folder, name) for folder, names, _ in os.walk('/sys/fs/cgroup')
                      if folder.endswith(f'/om-n2-{number:08x}') for name in names)


class GroupsOfRoot(RootCase):
    def setUp(self):
        super().setUp()
        self.restart('--guest-memory-mib', 100, '--guest-threads', 30, '--guest-cpu', 'low')
        if self.info('n2')['confinement']['cgroup']['version'] == 'none':
            self.skipTest('no control groups of our own here')

    def test_a_guest_has_groups_that_go_with_it(self):
        job = self.asker()
        self.until_moved(job)
        for name in ('om-guest', 'om-body'):
            self.assertTrue(self.groups(self.only(name)), name)
        self.assertTrue(self.left())
        self.move(job, 'home')
        self.wait_until(lambda: not self.left(), 'the end of the groups')
        self.end_asker(job)

    def test_a_later_daemon_removes_them(self):
        job = self.asker()
        self.until_moved(job)
        before = self.left()
        self.restart('--guest-memory-mib', 100, '--guest-threads', 30, '--guest-cpu', 'low')
        self.assertEqual(before, self.left())
        self.assertEqual('ok', self.ask(job, 'check'))
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'home', 60).result == 'moved', 'a move home')
        self.wait_until(lambda: not self.left(), 'the end of the groups')
        self.end_asker(job)


class UsersOfRoot(RootCase):
    def test_each_guest_is_a_user_of_its_own(self):
        self.restart('--guest-uids', '60300-60301')
        first, second, third = self.asker(), self.asker(), self.asker()
        self.until_moved(first)
        self.until_moved(second)
        for name in ('om-guest', 'om-body'):
            ids = sorted(self.real_uid(pid) for pid in self.helpers(name))
            self.assertEqual([60300, 60301], ids, name)
        self.until_refused(third, 'FULL', r'guest_uids \(60300-60301\)')
        # A later daemon finds the ids in use.
        self.restart('--guest-uids', '60300-60301')
        self.until_refused(third, 'FULL', r'guest_uids \(60300-60301\)')
        keepers = self.helpers('om-guest')
        self.wait_until(lambda: self.cluster.migrate_once(first.pid, 'home', 60).result == 'moved', 'a move home')
        self.wait_until(lambda: not all(map(om_process.alive, keepers)), 'the end of its keeper')
        self.reap_orphans()
        self.until_moved(third)
        self.assertEqual([60300, 60301], sorted(self.real_uid(pid) for pid in self.helpers('om-guest')))
        for job in (first, second, third):
            self.assertEqual('ok', self.ask(job, 'check'))
            self.end_asker(job)

    def reap_orphans(self):
        """The earlier daemon's keepers are ours now; an id is in use until the last process of it is reaped."""
        ours = {process.pid for process in self.daemons}
        for pid in om_process.descendants(os.getpid()):
            if pid not in ours and not om_process.alive(pid):
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    @staticmethod
    def real_uid(pid):
        status = om_process.read_proc(pid, 'status').splitlines()
        return int(next(line for line in status if line.startswith('Uid:')).split()[1])


if __name__ == '__main__':
    main()
