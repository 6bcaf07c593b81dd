#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who is on the node of a guest, as `nobody` (any service) or as another guest that has got out of its sandbox, can
neither look into the guest, nor signal it, nor learn its keys. Needs root, which becomes the others
(OM_TEST_AS_ROOT=1)."""

import ctypes
import errno
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'fault'))

from faulty import FaultCase, NumberedJob, main, om_process  # noqa: E402

NOBODY = 65534
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
# What a keeper is told beside its command line (migrator/moves/deputies.cc).
VARIABLES = {'PATH', 'HOME', 'LANG', 'TMPDIR', 'XDG_RUNTIME_DIR', 'OM_LOG', 'OM_FAULT', 'OM_LIBEXEC', 'OM_PRELOAD',
             'OM_SESSION_TIMEOUT_S', 'OM_LAZY_SHARED', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'}


def as_user(uid, work):
    """The value of work() in a child that has become that user."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            said = json.dumps(work())
        except BaseException as error:  # noqa: B902 the parent shows it
            said = json.dumps(repr(error))
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


def errno_of(function, *arguments):
    """The name of the error that a call fails with; '' if it does not."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ''


def ptrace(request, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), 'ptrace')


def enter_namespace(pid, kind):
    file = os.open(f'/proc/{pid}/ns/{kind}', os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(file, 0) != 0:
        raise OSError(ctypes.get_errno(), 'setns')


def attacks(pid):
    """What a process can do to another one, by name: the error that it fails with."""
    tried = {name: errno_of(os.open, f'/proc/{pid}/{name}', os.O_RDONLY)
             for name in ('mem', 'environ', 'maps', 'auxv', 'fd', 'root', 'cwd', 'syscall', 'stack')
             if os.path.lexists(f'/proc/{pid}/{name}')}
    tried['write mem'] = errno_of(os.open, f'/proc/{pid}/mem', os.O_WRONLY)
    tried['list fd'] = errno_of(os.listdir, f'/proc/{pid}/fd')
    tried['signal'] = errno_of(os.kill, pid, 0)
    tried['attach'] = errno_of(ptrace, PTRACE_ATTACH, pid)
    tried['seize'] = errno_of(ptrace, PTRACE_SEIZE, pid)
    for kind in ('user', 'pid', 'mnt', 'net'):
        tried[f'enter {kind}'] = errno_of(enter_namespace, pid, kind)
    tried['affinity'] = errno_of(os.sched_setaffinity, pid, {0})
    return tried


class Apart(FaultCase):
    needs_root = True
    nodes = 2

    def real_uid(self, pid):
        status = om_process.read_proc(pid, 'status').splitlines()
        return int(next(line for line in status if line.startswith('Uid:')).split()[1])

    def two_guests(self):
        jobs = [NumberedJob(self), NumberedJob(self)]
        for job in jobs:
            job.move('n2')
        keepers = self.helpers('om-guest')
        self.assertEqual(2, len(keepers))
        self.assertEqual(2, len({self.real_uid(pid) for pid in keepers}))
        self.assertNotIn(0, {self.real_uid(pid) for pid in keepers})
        return jobs, keepers

    def test_nobody_and_another_guest_get_nowhere(self):
        jobs, keepers = self.two_guests()
        for attacker in (NOBODY, *(self.real_uid(pid) for pid in keepers)):
            victims = [pid for pid in (*keepers, *self.helpers('om-body')) if self.real_uid(pid) != attacker]
            self.assertEqual(4 if attacker == NOBODY else 2, len(victims))
            for pid in victims:
                tried = as_user(attacker, lambda pid=pid: attacks(pid))
                self.assertIsInstance(tried, dict, tried)
                got = {name: error for name, error in tried.items() if error not in ('EPERM', 'EACCES')}
                self.assertEqual({}, got, f'user {attacker} on process {pid}')
        for job in jobs:
            job.move('home')
            job.finish()

    def test_a_signal_to_everybody_reaches_only_its_own(self):
        jobs, keepers = self.two_guests()
        attacker, other = (self.real_uid(pid) for pid in keepers)
        as_user(attacker, lambda: errno_of(os.kill, -1, signal.SIGKILL))
        self.wait_until(lambda: not om_process.alive(keepers[0]), 'the end of its own keeper')
        self.assertTrue(om_process.alive(keepers[1]))
        self.assertEqual(other, self.real_uid(keepers[1]))
        self.assertEqual({'up'}, {node['state'] for node in self.om_json('nodes')})
        words = om_process.read_proc(keepers[1], 'cmdline').split('\0')
        pid = int(words[words.index('--guest') + 1].split('@')[0])
        next(job for job in jobs if job.pid == pid).wait_progress(5)

    def test_a_keeper_has_nothing_of_the_daemons_environment(self):
        jobs, keepers = self.two_guests()
        for keeper in keepers:
            names = {item.split('=', 1)[0] for item in om_process.read_proc(keeper, 'environ').split('\0') if item}
            self.assertEqual(set(), names - VARIABLES)
        for body in self.helpers('om-body'):
            self.assertEqual('', om_process.read_proc(body, 'environ').split('\0')[0])
        for job in jobs:
            job.move('home')
            job.finish()


if __name__ == '__main__':
    main()
