#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In the place of om-guest: runs the real one behind itself and changes what it says to home.

What it does is in the file LIE beside it: "offer", and the keeper is told that home has offered nothing, or
"SEED KIND AFTER". Behind AFTER bytes of the connections of one KIND (session,
bulk) it changes some bytes, repeats some, leaves some out, sends random ones, or falls silent. With no such file it
passes on everything. It lies from the outside, so connections must not be sealed.
"""

import json
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


def read_exactly(connection, count):
    data = b''
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return None
        data += more
    return data


class Lie:
    """Between a keeper and its home, for one direction of one connection."""
    said = {}  # bytes passed on so far, by kind: connections are made anew

    def __init__(self, kind):
        self.kind, self.active = kind, False
        try:
            seed, self.about, after = (HERE / 'LIE').read_text(encoding='ascii').split()
        except (OSError, ValueError):
            return
        self.active, self.after = kind == self.about, int(after)
        self.random = random.Random(seed)

    def __call__(self, data):
        begin = Lie.said.get(self.kind, 0)
        Lie.said[self.kind] = begin + len(data)
        if not self.active or begin + len(data) <= self.after:
            return data
        data = bytearray(data)
        at = max(0, self.after - begin)
        for _ in range(self.random.choice((1, 1, 1, 4, 40))):
            if at >= len(data):
                break
            how = self.random.randrange(10)
            place = self.random.randrange(at, len(data))
            if how < 5:
                data[place] = self.random.choice((0, 1, 0x7f, 0x80, 0xff, data[place] ^ 1 << self.random.randrange(8)))
            elif how < 7:
                word = place & ~7
                data[word:word + 8] = self.random.choice((b'\xff' * 8, b'\0' * 8, b'\0' * 7 + b'\x80',
                                                          b'\xff' * 7 + b'\x7f', self.random.randbytes(8)))
            elif how == 7:
                del data[place:place + self.random.choice((1, 8, 16, 4096))]
            elif how == 8:
                piece = data[place:place + self.random.choice((8, 16, 4112))]
                data[place:place] = piece * self.random.choice((1, 2, 50))
            else:
                return None
        return bytes(data)


def relay(source, target, change):
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            data = change(data)
            if data is None:
                threading.Event().wait()  # silent from now on
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(keeper, home):
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
    upstream.sendall(preamble)
    threading.Thread(target=relay, args=(upstream, keeper, lambda data: data), daemon=True).start()
    threading.Thread(target=relay, args=(keeper, upstream, Lie(kind)), daemon=True).start()


def main():
    arguments = sys.argv[1:]
    at = arguments.index('--home') + 1
    host, port = arguments[at].rsplit(':', 1)
    listener = socket.create_server(('127.0.0.1', 0))
    arguments[at] = f'127.0.0.1:{listener.getsockname()[1]}'
    keys = json.loads(sys.stdin.readline())
    lie = HERE / 'LIE'
    if lie.exists() and lie.read_text(encoding='ascii') == 'offer':
        keys['offer']['memory_bytes'] = 0
    real = subprocess.Popen([HERE / 'real-om-guest', *arguments], stdin=subprocess.PIPE)
    real.stdin.write(json.dumps(keys).encode() + b'\n')
    real.stdin.close()

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, (host, int(port))), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    os._exit(max(0, real.wait()))


main()
