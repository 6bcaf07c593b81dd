# SPDX-License-Identifier: Apache-2.0
"""Programs on a terminal that are driven by typing: the master side, and the base of their tests."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

from moving import Failure, MovingProgram, om_process, show

ANSWER_LIMIT = 60  # seconds for the terminal to show what is waited for
READ = '0'         # number of the system call

# Runs in a session of its own: takes the terminal as the controlling one and becomes the program.
START = '''\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == 'preloaded' and 'JOB_PRELOAD' in os.environ:
    os.environ['LD_PRELOAD'] = os.environ.pop('JOB_PRELOAD')
os.execvp(sys.argv[2], sys.argv[2:])
'''


class Terminal:
    """The master side: types, and collects everything that is shown."""

    def __init__(self, run, master):
        self.run = run
        self.master = master
        self.shown = b''
        self.seen = 0  # what has been waited for already

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text):
        """Waits until `text` is shown behind everything that was expected before."""
        self.expect_match(re.escape(text.encode()))

    def expect_match(self, pattern):
        """The same for a regular expression (bytes); gives what has matched."""
        until = time.monotonic() + ANSWER_LIMIT
        while not (found := re.search(pattern, self.shown[self.seen:])):
            self.run.check()
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    part = os.read(self.master, 65536)
                except OSError:  # the last slave is closed
                    part = b''
                if not part:
                    raise Failure(f'terminal closed, {pattern!r} not shown: {show(self.shown)}')
                self.shown += part
            elif time.monotonic() > until:
                raise Failure(f'{pattern!r} not shown: {show(self.shown)}')
        self.seen += found.end()
        return found.group()

    def wait_reading(self, pid):
        """Waits until the process is blocked reading a terminal: a signal interrupts that for certain."""
        while True:
            self.run.check()
            fields = om_process.read_proc(pid, 'syscall').split()
            if len(fields) > 1 and fields[0] == READ:
                try:
                    if os.readlink(f'/proc/{pid}/fd/{int(fields[1], 0)}').startswith(('/dev/pts/', '/dev/tty')):
                        return
                except OSError:
                    pass  # it has gone on
            time.sleep(0.005)

    def expect_line(self, text):
        self.expect(text + '\r\n')

    def drain(self):
        """Reads what is left once nobody has the slave open."""
        while True:
            try:
                self.shown += os.read(self.master, 65536)
            except OSError:
                os.close(self.master)
                return

    def keep(self, without=b''):
        """Files what was shown, but for `without`, to be compared with the other run."""
        self.drain()
        (self.run.folder / 'work' / 'transcript').write_bytes(self.shown.replace(without, b''))

    def start_preloaded(self, text):
        """Waits until the program itself has shown `text`, and has it moved from then on."""
        self.expect(text)
        self.run.start_mover(self.run.process.pid)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


class TerminalProgram(MovingProgram):
    """talk() starts the mover when the program is on its terminal, not before."""
    grows = False
    moves_itself = False
    preloaded = True  # False: the program starts the one that moves, with the LD_PRELOAD that JOB_PRELOAD has

    def arguments(self):
        """The program and its arguments."""
        raise NotImplementedError

    def command(self, work):
        return [sys.executable, '-c', START, 'preloaded' if self.preloaded else 'as it is',
                *self.arguments()]

    def open_streams(self, folder):
        self.master, slave = pty.openpty()
        return [slave, slave, slave]
