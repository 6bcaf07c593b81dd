#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program that is away dies with a core, by itself or by a signal from outside: its parent sees WCOREDUMP, and the
core at home has the memory and the threads as they were away. The full tests also check every stack with gdb, by the
names of its functions. If the kernel pipes cores to a program, or writes none (core_pattern is the whole machine's),
there is nothing to inspect: then the wait status is compared with that of a native death."""

import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cluster'))

from harness import POLL, WAIT_LIMIT, ClusterCase, main  # noqa: E402

PT_LOAD, PT_NOTE, NT_PRSTATUS = 1, 4, 1
HEAP = 100000
MARKER = struct.pack('<4Q', 0x6d61726b6d61726b, 0x1122334455667788, 0x6d61726b6d61726b, HEAP)


def allow_cores():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


class Core:
    """The parts of an ELF core that the tests inspect."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        offset, size, count = (struct.unpack_from('<Q', self.bytes, 32)[0],
                               *struct.unpack_from('<HH', self.bytes, 54))
        self.loads, self.threads = [], []
        for i in range(count):
            kind, _, at, address, _, length = struct.unpack_from('<IIQQQQ', self.bytes, offset + i * size)
            if kind == PT_LOAD:
                self.loads.append((address, at, length))
            elif kind == PT_NOTE:
                self.read_notes(at, at + length)

    def read_notes(self, at, end):
        while at + 12 <= end:
            name, size, kind = struct.unpack_from('<III', self.bytes, at)
            text = at + 12 + (name + 3 & ~3)
            if kind == NT_PRSTATUS and self.bytes[at + 12:at + 16] == b'CORE':
                # struct elf_prstatus: the current signal at 12, general registers at 112 (rip 16th, rsp 19th)
                registers = struct.unpack_from('<27Q', self.bytes, text + 112)
                self.threads.append({'signal': struct.unpack_from('<H', self.bytes, text + 12)[0],
                                     'rip': registers[16], 'rsp': registers[19]})
            at = text + (size + 3 & ~3)

    def read(self, address, length):
        for start, at, size in self.loads:
            if start <= address and address + length <= start + size:
                return self.bytes[at + address - start:at + address - start + length]
        return None


class CoreDumps(ClusterCase):
    nodes = 2

    @classmethod
    def setUpClass(cls):
        pattern = pathlib.Path('/proc/sys/kernel/core_pattern').read_text(encoding='ascii').strip()
        cls.cores = pattern
        super().setUpClass()
        cls.readable = not pattern.startswith(('|', '@')) and cls.leaves_a_core()
        if not cls.readable:
            print(f'core_dump_test: cores go elsewhere ({pattern}), or nowhere: contents and stacks are SKIPPED, '
                  'only the status is looked at', file=sys.stderr)

    @classmethod
    def leaves_a_core(cls):
        """Whether a process that dies natively leaves a core here."""
        folder = cls.base / 'native'
        folder.mkdir()
        pid = os.fork()
        if pid == 0:
            os.chdir(folder)
            allow_cores()
            os.kill(os.getpid(), signal.SIGQUIT)
            os._exit(0)
        os.waitpid(pid, 0)
        found = cls.cores_of(pid, folder, 0)
        for path in found:
            path.unlink()
        return len(found) == 1

    @classmethod
    def cores_of(cls, pid, folder, since):
        """Cores named as in core(5), whatever else is in the name; a folder of cores may have older ones with this
        pid."""
        place = folder / os.path.dirname(cls.cores)
        return [path for path in (place.iterdir() if os.access(place, os.R_OK | os.W_OK | os.X_OK) else ())
                if re.search(rf'^core$|core.*\b{pid}\b', path.name) and path.stat().st_mtime_ns >= since]

    def die(self, how, sig, moved=True):
        """Runs `dies`; returns its wait status, its core, if readable, and where its heap was."""
        folder = self.folder / f'{how}-{len(list(self.folder.iterdir()))}'
        folder.mkdir()
        self.program = self.product.build / 'test' / 'fault' / 'dies'
        mark = folder / 'began'
        mark.touch()
        began = mark.stat().st_mtime_ns  # by the file system's own clock
        guest = self.start(self.program, how, cwd=folder, preexec_fn=allow_cores)
        heap = int(re.fullmatch(rb'heap (0x[0-9a-f]+)\n', guest.stdout.readline())[1], 16)
        if moved:
            self.move(guest, 'n2')
        (folder / 'go').touch()
        self.assertEqual(b'there\n', guest.stdout.readline())
        if sig is not None:
            if how in ('read', 'poll'):
                self.wait_blocked(guest, {'read': 0, 'poll': 232}[how])
            os.kill(guest.pid, sig)
        status = self.wait_status(guest)
        self.assertEqual(b'', guest.stdout.read())
        if not self.readable:
            return status, None, heap
        cores = self.cores_of(guest.pid, folder, began)
        self.assertEqual(1, len(cores), f'{cores}, status {status:#x}')
        self.core_path = cores[0]
        self.addCleanup(self.core_path.unlink)
        return status, Core(self.core_path), heap

    def wait_blocked(self, guest, number):
        """Waits until its first thread is inside that system call, which it makes at home."""
        def inside():
            text = pathlib.Path(f'/proc/{guest.pid}/task/{guest.pid}/syscall').read_text(encoding='ascii')
            return text.split()[0] == str(number)
        self.wait_until(inside, f'{number} in the main thread')

    def wait_status(self, guest):
        until = time.monotonic() + WAIT_LIMIT
        while True:
            pid, status = os.waitpid(guest.pid, os.WNOHANG)
            if pid != 0:
                guest.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                return status
            self.assertLess(time.monotonic(), until, f'it has not died: {self.om("ps").stdout}')
            time.sleep(POLL)

    def check(self, how, expected, sig=None):
        status, core, heap = self.die(how, sig)
        self.assertTrue(os.WIFSIGNALED(status), hex(status))
        self.assertEqual(expected, os.WTERMSIG(status))
        if not self.readable:
            self.assertEqual(self.die(how, sig, moved=False)[0], status)
            return
        self.assertTrue(os.WCOREDUMP(status))
        self.assertEqual(3, len(core.threads))
        self.assertEqual({expected}, {thread['signal'] for thread in core.threads if thread['signal']})
        self.assertEqual(b'b' * HEAP, core.read(heap, HEAP), 'the heap as it was away')
        stack = self.stack_of_main(core)
        self.assertIn(MARKER, stack)
        for thread in core.threads:
            self.assertTrue(core.read(thread['rsp'], 8), f'the stack at {thread["rsp"]:#x}')
        if os.environ.get('OM_TEST_FULL') and shutil.which('gdb'):
            self.check_stacks()

    def stack_of_main(self, core):
        for start, at, size in core.loads:
            if core.threads and any(start <= thread['rsp'] < start + size for thread in core.threads):
                piece = core.bytes[at:at + size]
                if MARKER in piece:
                    return piece
        return b''

    def check_stacks(self):
        done = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'thread apply all backtrace', self.program,
                               self.core_path], capture_output=True, text=True, check=False, timeout=60)
        for name in ('thread_that_computes', 'thread_that_reads', 'innermost', 'outer', 'main'):
            self.assertRegex(done.stdout, rf'\b{name} \(', done.stdout + done.stderr)

    def test_a_fault(self):
        self.check('fault', signal.SIGSEGV)

    def test_abort(self):
        self.check('abort', signal.SIGABRT)

    def test_raise(self):
        self.check('raise', signal.SIGQUIT)

    def test_quit_from_outside(self):
        for how in ('compute', 'read', 'poll'):
            with self.subTest(how=how):
                self.check(how, signal.SIGQUIT, signal.SIGQUIT)

    def test_other_signals_from_outside(self):
        for sig in (signal.SIGSEGV, signal.SIGXCPU, signal.SIGTRAP):
            with self.subTest(sig=sig):
                self.check('compute', sig, sig)


if __name__ == '__main__':
    main()
