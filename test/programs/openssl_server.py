#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""openssl s_server between a TLS client that stays connected and its own standard input: what the client sends
comes out on stdout, what is typed reaches the client. Every byte is checked."""

import os
import random
import socket
import ssl
import subprocess
import time

from moving import BrokenSetup, Failure, MovingProgram, main

CHUNKS = 300
AHEAD = 60
TIMEOUT = 60  # seconds without a byte: the connection is dead


class OpensslServer(MovingProgram):
    name = 'openssl_server'
    needs = ('openssl',)
    grows = False
    ignored_files = ('socket',)

    def make_input(self, folder, rng):
        done = subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
             '-subj', '/CN=home', '-keyout', 'key.pem', '-out', 'cert.pem'],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise BrokenSetup(f'openssl req: {done.stderr.decode(errors="replace")}')

    def command(self, work):
        return ['openssl', 's_server', '-quiet', '-unix', 'socket', '-naccept', '1', '-key', 'key.pem',
                '-cert', 'cert.pem']

    def open_streams(self, folder):
        reader, self.input = os.pipe()
        return [reader, *super().open_streams(folder)[1:]]

    def talk(self, run):
        context = ssl.create_default_context(cafile=run.folder / 'work' / 'cert.pem')
        with context.wrap_socket(self.connect(run), server_hostname='home') as peer:
            shown = 0
            for step in range(CHUNKS):
                run.pace(step - AHEAD, CHUNKS - AHEAD)
                shown = self.exchange(run, peer, step, shown)
                if run.mover:
                    time.sleep(0.005)
            peer.unwrap().close()
        run.wait_end()
        os.close(self.input)

    def connect(self, run):
        """Connects when the server listens."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(TIMEOUT)
        while True:
            run.check()
            try:
                here = os.getcwd()
                os.chdir(run.folder / 'work')  # paths of sockets are short
                peer.connect('socket')
                return peer
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
            finally:
                os.chdir(here)

    def exchange(self, run, peer, step, shown):
        """To the server and its stdout, then from its stdin to the client; gives the size of stdout."""
        rng = random.Random(f'{self.seed} {step}')
        data = rng.randbytes(rng.choice((1, 100, 5000, 40000)))
        peer.sendall(data)
        self.wait_size(run, shown + len(data))
        if step % 10 == 9:
            self.typed(peer, rng)
        return shown + len(data)

    def wait_size(self, run, size):
        until = time.monotonic() + TIMEOUT
        while (run.folder / 'stdout').stat().st_size < size:
            run.check()
            if time.monotonic() > until or run.process.poll() is not None:
                raise Failure(f'stdout has not grown to {size} bytes: {(run.folder / "stderr").read_bytes()!r}')
            time.sleep(0.001)

    def typed(self, peer, rng):
        data = rng.randbytes(rng.choice((3, 3000, 12000)))
        os.write(self.input, data)
        got = b''
        while len(got) < len(data):
            part = peer.recv(65536)
            if not part:
                raise Failure('the server has closed the connection')
            got += part
        if got != data:
            raise Failure('the client has got other bytes than were typed')


if __name__ == '__main__':
    main(OpensslServer)
