#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Receive calls that begin at home, continue while the process is away and end after its homecoming: no byte is
missing."""

import array
import fcntl
import hashlib
import socket
import sys
import termios

from faulty import WAIT_LIMIT, FaultCase, main
import om_process

BYTES = 300000

# Receives BYTES in one call, recv or recvmsg, and prints what has arrived.
RECEIVER = f"""
import hashlib, socket, sys
connection = socket.socket(fileno=int(sys.argv[1]))
print('up', flush=True)
room = bytearray({BYTES})
if sys.argv[2] == 'recv':
    n = connection.recv_into(room, 0, socket.MSG_WAITALL)
else:
    half = memoryview(room)
    n = connection.recvmsg_into([half[:1000], half[1000:]], 0, socket.MSG_WAITALL)[0]
print(n, hashlib.sha256(room).hexdigest(), flush=True)
"""


class Receipts(FaultCase):
    def is_read(self, connection):
        unread = array.array('i', [0])
        fcntl.ioctl(connection, termios.TIOCOUTQ, unread)
        return unread[0] == 0

    def receive(self, how, places):
        data = bytes((i * 31 + i // 256) % 256 for i in range(BYTES))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            job = self.start(sys.executable, '-c', RECEIVER, theirs.fileno(), how, pass_fds=[theirs.fileno()])
            self.assertEqual(b'up\n', job.stdout.readline())
            number = {'recv': '45', 'recvmsg': '47'}[how]  # of recvfrom and recvmsg
            self.wait_until(lambda: om_process.read_proc(job.pid, 'syscall').startswith(number + ' '), 'the receipt')
            at, step = 0, BYTES // (len(places) + 1)
            for to in places:
                self.move(job, to)
                ours.sendall(data[at:at + step])
                at += step
                self.wait_until(lambda: self.is_read(ours), 'what was sent being read')
            ours.sendall(data[at:])
            out, _ = job.communicate(timeout=WAIT_LIMIT)
            self.assertEqual(f'{BYTES} {hashlib.sha256(data).hexdigest()}\n', out.decode())

    def test_away_and_home(self):
        for how in ('recv', 'recvmsg'):
            with self.subTest(how=how):
                self.receive(how, ('n2', 'home'))

    def test_on_and_on(self):
        for how in ('recv', 'recvmsg'):
            with self.subTest(how=how):
                self.receive(how, ('n2',))
                self.receive(how, ('n2', 'n3', 'home'))


if __name__ == '__main__':
    main()
