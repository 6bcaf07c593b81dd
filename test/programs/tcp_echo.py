#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP echo server that moves while its client stays connected. The client checks every byte; it
sends the same bytes in both runs, slowly enough that all wanted moves happen while they flow."""

import random
import socket
import threading
import time

from moving import Failure, MovingProgram, main

CHUNKS = 1500
AHEAD = 300
TIMEOUT = 60  # seconds without a byte: the connection is dead


class TcpEcho(MovingProgram):
    name = 'tcp_echo'
    grows = False
    ignored_files = ('port',)

    def command(self, work):
        return [self.binary('echo_server')]

    def talk(self, run):
        port_file = run.folder / 'work' / 'port'
        while not port_file.exists():
            run.check()
        address = ('127.0.0.1', int(port_file.read_text(encoding='ascii')))
        with socket.create_connection(address, timeout=TIMEOUT) as peer:
            peer.settimeout(TIMEOUT)
            for step in range(CHUNKS):
                # So far ahead of the moves that bytes flow during them, but not to the end.
                run.pace(step - AHEAD, CHUNKS - AHEAD)
                self.exchange(peer, step)
                if run.mover:
                    time.sleep(0.005)
            peer.shutdown(socket.SHUT_WR)
            if peer.recv(1):
                raise Failure('the server sent more than it got')

    def exchange(self, peer, step):
        rng = random.Random(f'{self.seed} {step}')
        size = rng.choice((1, 7, 100, 1460, 5000, 70000, 300000))
        data = rng.randbytes(size)
        sender = threading.Thread(target=peer.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < size:
            part = peer.recv(size - len(got))
            if not part:
                raise Failure(f'connection closed in chunk {step} after {len(got)} of {size} bytes')
            got += part
        sender.join()
        if got != data:
            wrong = next(i for i in range(size) if got[i] != data[i])
            raise Failure(f'chunk {step}: byte {wrong} of {size} is wrong')


if __name__ == '__main__':
    main(TcpEcho)
