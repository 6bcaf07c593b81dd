#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A guest has namespaces of its own and an empty root, where an ordinary user may make them; elsewhere it is refused
or does without, as the node is configured."""

import os
import subprocess
import unittest

from faulty import FaultCase, NumberedJob, main, om_process

KINDS = ('user', 'pid', 'net', 'mnt', 'ipc', 'uts', 'cgroup')
# Runs a command where no user namespace can be made.
WITHOUT = ('unshare', '--user', '--map-current-user', '--keep-caps', 'sh', '-c',
           'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', '-')

# What helpers get of the daemon's environment (child_environment() in migrator/moves/deputies.cc).
PASSED_ON = {'PATH', 'HOME', 'LANG', 'TMPDIR', 'XDG_RUNTIME_DIR', 'OM_LOG', 'OM_FAULT', 'OM_LIBEXEC', 'OM_PRELOAD',
             'OM_SESSION_TIMEOUT_S', 'OM_LAZY_SHARED', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'}


def namespaces(pid):
    return {kind: os.readlink(f'/proc/{pid}/ns/{kind}') for kind in KINDS}


class Confinement(FaultCase):
    @classmethod
    def setUpClass(cls):
        probe = subprocess.run(['unshare', '--user', '--pid', '--net', '--mount', '--ipc', '--uts', '--cgroup',
                                '--fork', 'true'], capture_output=True, text=True)
        if probe.returncode != 0:
            raise unittest.SkipTest('no namespaces for an ordinary user: ' + probe.stderr.strip())
        super().setUpClass()

    def only(self, name):
        self.wait_until(lambda: len(self.helpers(name)) == 1, f'the only {name}')
        return self.helpers(name)[0]

    def restart(self, node, namespaces, wrapper=()):
        _, command, settings = self.kill_daemon(node)
        option = '--guest-namespaces'
        command = [word for at, word in enumerate(command) if option not in (word, command[at - 1])]
        self.restart_daemon((node, [*wrapper, *command, option, namespaces], settings))
        self.wait_until(lambda: {n['state'] for n in self.om_json('nodes')} == {'up'}, 'all nodes up')

    def move_at_last(self, job, to):
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, to, 60).result == 'moved', 'a move')

    def finish(self, job):
        job.wait_progress(5)
        job.move('home')
        job.finish()

    def test_a_guest_has_its_own(self):
        job = NumberedJob(self)
        job.move('n2')
        body, keeper = self.only('om-body'), self.only('om-guest')
        own, outer = namespaces(body), namespaces(keeper)
        self.assertEqual([], [kind for kind in KINDS if own[kind] == outer[kind]])
        status = om_process.read_proc(body, 'status')
        numbers = next(line for line in status.splitlines() if line.startswith('NSpid:')).split()
        self.assertEqual('1', numbers[-1])
        self.assertEqual([], os.listdir(f'/proc/{body}/root/'))
        self.assertEqual('lo', om_process.read_proc(body, 'net/dev').splitlines()[-1].split(':')[0].strip())
        self.assertEqual(1, len(om_process.read_proc(body, 'mountinfo').splitlines()))
        self.assertEqual('om-body', om_process.read_proc(body, 'comm').strip())
        self.finish(job)

    def test_helpers_get_little_of_the_daemons_environment(self):
        for node in ('n1', 'n2'):
            _, command, settings = self.kill_daemon(node)
            self.restart_daemon((node, command, {**settings, 'OM_TEST_MARK': 'mark', 'SECRET_OF_DAEMON': 'mark'}))
        self.wait_until(lambda: {n['state'] for n in self.om_json('nodes')} == {'up'}, 'all nodes up')
        job = NumberedJob(self)
        self.move_at_last(job, 'n2')
        own = {'om-guest': set(), 'om-deputy': {'OM_CONTROL', 'OM_ATTACH'}}
        for name, more in own.items():
            text = om_process.read_proc(self.only(name), 'environ')
            names = {item.split('=', 1)[0] for item in text.split('\0') if item}
            self.assertEqual(set(), names - PASSED_ON - more, name)
        self.assertEqual('', om_process.read_proc(self.only('om-body'), 'environ').strip('\0'))
        self.finish(job)

    def test_off(self):
        self.restart('n2', 'off')
        job = NumberedJob(self)
        self.move_at_last(job, 'n2')
        self.assertEqual(namespaces(self.only('om-guest')), namespaces(self.only('om-body')))
        self.finish(job)

    def test_where_there_are_none(self):
        self.restart('n2', 'require', WITHOUT)
        job = NumberedJob(self)
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n2', 60).code == 'BLOCKED', 'BLOCKED')
        job.wait_progress(3)
        self.restart('n2', 'try', WITHOUT)
        self.move_at_last(job, 'n2')
        self.assertEqual(namespaces(self.only('om-guest')), namespaces(self.only('om-body')))
        self.finish(job)


if __name__ == '__main__':
    main()
