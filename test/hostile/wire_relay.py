#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In the place of om-guest: runs the real one and is the network between it and its home. It writes down every byte of
every connection, and, if told so, does harm to them.

What passes is in the folder SEEN beside it, in a file for each direction of each connection: NUMBER-PID-KIND-up (from
the keeper, with its preamble) and -down. SEEN/HOME-PID is the address of the deputy.

The file HARM beside it, if it is there, says "SEED ONE_IN KIND...": of the pieces on connections of these kinds, one in
ONE_IN has a bit flipped, comes twice, comes behind the next one, or cuts the connection. The file HARMED has a byte for
each time.
"""

import itertools
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading

PREAMBLE, PREAMBLE_KIND = 96, 8  # common/net/preamble.h
KINDS = {1: 'session', 2: 'bulk', 3: 'channel'}
HERE = pathlib.Path(__file__).parent
SEEN = HERE / 'SEEN'


def read_exactly(connection, count):
    data = b''
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return None
        data += more
    return data


class Harm:
    """Of one direction of one connection."""
    def __init__(self, kind, number):
        self.kind, self.number, self.random, self.held = kind, number, None, b''

    def __call__(self, data):
        """The pieces to pass on; None: cut it."""
        try:
            seed, one_in, *kinds = (HERE / 'HARM').read_text(encoding='ascii').split()
        except (OSError, ValueError):
            kinds = ()
        held, self.held = self.held, b''
        if self.kind not in kinds:
            return data + held
        self.random = self.random or random.Random(f'{seed} {self.number}')
        if held or self.random.randrange(int(one_in)):
            return data + held
        how = self.random.randrange(4)
        with open(HERE / 'HARMED', 'ab') as note:
            note.write(b'%d' % how)
        if how == 0:
            place = self.random.randrange(len(data))
            data = bytearray(data)
            data[place] ^= 1 << self.random.randrange(8)
            return bytes(data)
        if how == 1:
            return data + data
        if how == 2:
            self.held = data
            return b''
        return None


def relay(source, target, note, harm):
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            note.write(data)
            note.flush()
            data = harm(data)
            if data is None:
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    note.close()


def serve(keeper, home, number):
    preamble = read_exactly(keeper, PREAMBLE)
    if preamble is None:
        return
    kind = KINDS.get(int.from_bytes(preamble[PREAMBLE_KIND:PREAMBLE_KIND + 4], 'little'), 'other')
    try:
        upstream = socket.create_connection(home)
    except OSError:
        keeper.close()
        return
    for connection in (keeper, upstream):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    up, down = (open(SEEN / f'{number:04}-{os.getpid()}-{kind}-{way}', 'wb') for way in ('up', 'down'))
    up.write(preamble)
    upstream.sendall(preamble)
    for *ends, note, way in ((upstream, keeper, down, 'down'), (keeper, upstream, up, 'up')):
        threading.Thread(target=relay, args=(*ends, note, Harm(kind, f'{number} {way}')), daemon=True).start()


def main():
    arguments = sys.argv[1:]
    at = arguments.index('--home') + 1
    home = arguments[at].rsplit(':', 1)
    SEEN.mkdir(exist_ok=True)
    (SEEN / f'HOME-{os.getpid()}').write_text(' '.join(home), encoding='ascii')
    listener = socket.create_server(('127.0.0.1', 0))
    arguments[at] = f'127.0.0.1:{listener.getsockname()[1]}'
    real = subprocess.Popen([HERE / 'real-om-guest', *arguments])

    def accept():
        for number in itertools.count():
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, (home[0], int(home[1])), number), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    os._exit(max(0, real.wait()))


main()
