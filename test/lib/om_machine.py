# SPDX-License-Identifier: Apache-2.0
"""What a machine may lack, found out from the kernel itself and without the product. Each function returns '' or what
is missing, the reason for skipping a test."""

import ctypes
import os
import shutil
import signal

PTRACE_SEIZE = 0x4206
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
BPF_RET, SECCOMP_RET_ALLOW = 6, 0x7fff0000


class SockFilter(ctypes.Structure):
    _fields_ = [('code', ctypes.c_uint16), ('jt', ctypes.c_uint8), ('jf', ctypes.c_uint8), ('k', ctypes.c_uint32)]


class SockProgram(ctypes.Structure):
    _fields_ = [('length', ctypes.c_uint16), ('code', ctypes.POINTER(SockFilter))]


def call(name, *arguments):
    """Calls a function of libc; returns errno, 0 if it did not fail."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [argument if isinstance(argument, (bytes, ctypes._Pointer, ctypes.Array)) or argument is None
             else ctypes.c_ulong(argument) for argument in arguments]
    ctypes.set_errno(0)
    return ctypes.get_errno() if getattr(libc, name)(*words) == -1 else 0


def install_filter(*statements):
    """Installs a seccomp filter of (code, jt, jf, k) on this process; returns an errno."""
    code = (SockFilter * len(statements))(*(SockFilter(*statement) for statement in statements))
    program = SockProgram(len(statements), ctypes.cast(code, ctypes.POINTER(SockFilter)))
    return (call('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or
            call('prctl', PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0))


def in_child(work):
    """The errno that `work` returns in a child."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def said(what, error):
    return f'{what}: {os.strerror(error)}' if error > 0 else f'{what}: {error}' if error else ''


def lacks_tracing():
    """Home stops a process with ptrace."""
    victim = os.fork()
    if victim == 0:
        while True:
            signal.pause()
    error = call('ptrace', PTRACE_SEIZE, victim, 0, 0)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    return said('no process can be traced (kernel.yama.ptrace_scope, a container)', error)


def lacks_filters():
    """A body runs under a seccomp filter."""
    return said('no seccomp filters', in_child(lambda: install_filter((BPF_RET, 0, 0, SECCOMP_RET_ALLOW))))


def lacks_moves():
    """Without these nothing moves; `om doctor` reports the same."""
    return lacks_tracing() or lacks_filters()


def lacks_namespaces(flags, name):
    return said(f'no {name} namespaces of its own', in_child(lambda: call('unshare', flags)))


def lacks_network_namespaces():
    """What `om cluster dev start --netns` needs."""
    if shutil.which('ip') is None:
        return 'no ip(8)'
    return lacks_namespaces(CLONE_NEWNS | CLONE_NEWNET, 'network')
