#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Replaces om-guest: runs the real one with a long link between it and its home. Everything on its connections arrives
later by the number of milliseconds in the file DELAY beside it, each way."""

import os
import pathlib
import queue
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent


def deliver(pieces, target):
    """Delivers what was sent, each piece when it is due; then the end."""
    while True:
        due, data = pieces.get()
        time.sleep(max(0, due - time.monotonic()))
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            return


def relay(source, target, delay):
    pieces = queue.Queue()
    threading.Thread(target=deliver, args=(pieces, target), daemon=True).start()
    data = b'-'
    while data:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b''
        pieces.put((time.monotonic() + delay, data))


def main():
    arguments = sys.argv[1:]
    at = arguments.index('--home') + 1
    host, port = arguments[at].rsplit(':', 1)
    delay = int((HERE / 'DELAY').read_text(encoding='ascii')) / 1000
    listener = socket.create_server(('127.0.0.1', 0))
    arguments[at] = f'127.0.0.1:{listener.getsockname()[1]}'
    real = subprocess.Popen([HERE / 'real-om-guest', *arguments])

    def accept():
        while True:
            keeper, _ = listener.accept()
            try:
                home = socket.create_connection((host, int(port)))
            except OSError:
                keeper.close()
                continue
            for connection in (keeper, home):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in ((keeper, home), (home, keeper)):
                threading.Thread(target=relay, args=(*way, delay), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    os._exit(max(0, real.wait()))


main()
