# SPDX-License-Identifier: Apache-2.0
"""Processes of one test case: what they wait in, which remain, and ending exactly those.

The process that runs a case is a subreaper (become_subreaper), so everything that the program under test leaves behind
stays its descendant and can be found by pid.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import threading
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option, value):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f'prctl({option})')


def become_subreaper():
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def follow_parent(number):
    """This process gets signal `number` when its parent ends."""
    prctl(PR_SET_PDEATHSIG, number)


def read_proc(pid, name):
    try:
        return pathlib.Path('/proc', str(pid), name).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''


def memory(pid, field='VmSize'):
    """Bytes, from a line of /proc/PID/status: VmSize, VmData, VmRSS."""
    for line in read_proc(pid, 'status').splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    raise ValueError(f'{field} of process {pid}')


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name: [state, ppid, ...]; [] if it is gone."""
    return read_proc(pid, 'stat').rpartition(')')[2].split()


def current_syscall(pid, tid):
    """Number of the system call that the thread waits in; -1 while it runs; None if it is gone."""
    text = read_proc(pid, f'task/{tid}/syscall')
    if not text:
        return None
    first = text.split()[0]
    return int(first) if first.lstrip('-').isdigit() else -1


def children(pid):
    found = []
    try:
        tasks = os.listdir(f'/proc/{pid}/task')
    except OSError:
        return found
    for tid in tasks:
        found += [int(child) for child in read_proc(pid, f'task/{tid}/children').split()]
    return found


def descendants(pid):
    """All processes below `pid`, parents before children; zombies included."""
    found = []
    todo = children(pid)
    while todo:
        one = todo.pop()
        if one not in found:
            found.append(one)
            todo += children(one)
    return found


def alive(pid):
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in 'ZX'


def reap():
    """Reaps every child that has ended; for what a subreaper inherits."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


@contextlib.contextmanager
def reaping(pids):
    """While open, reaps those of `pids` that are children as soon as they end.

    `om cluster dev stop` waits until the daemons are no longer even zombies; a subreaper is their parent.
    """
    over = threading.Event()

    def reap_them():
        while not over.wait(0.005):
            for pid in pids:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
    thread = threading.Thread(target=reap_them, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def reap_others(known=()):
    """Reaps inherited processes that have ended, except those in `known`."""
    for pid in children(os.getpid()):
        if pid not in known and stat_fields(pid)[:1] == ['Z']:
            os.waitpid(pid, os.WNOHANG)


def end_descendants(grace=0.0):
    """Ends the descendants that remain after `grace` seconds; returns their names, [] if none remain.

    Call it only if no Popen object still waits for a child.
    """
    until = time.monotonic() + grace
    while True:
        reap()
        left = [pid for pid in descendants(os.getpid()) if alive(pid)]
        if not left or time.monotonic() >= until:
            break
        time.sleep(0.02)
    names = [f'{pid} {read_proc(pid, "comm").strip()}' for pid in left]
    until = time.monotonic() + 5
    while left and time.monotonic() < until:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
        reap()
        left = [pid for pid in descendants(os.getpid()) if alive(pid)]
    return names


def kill_group(pid):
    """Ends the process group that `pid` leads."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
