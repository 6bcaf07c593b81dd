#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""python3 asyncio: one process that is a TCP server, some of its clients, timers, a thread pool and a signal
handler, all on one epoll loop; another client outside stays connected and checks every answer."""

import os
import random
import signal
import socket
import time

from moving import Failure, MovingProgram, main

SCRIPT = r'''
import asyncio, hashlib, os, signal, sys, zlib

CLIENTS, ROUNDS = 6, int(sys.argv[1])
served, late, hangups = 0, 0, 0


async def serve(reader, writer):
    """Lines of `WORD SIZE`, SIZE bytes behind each; answers with a digest and the bytes reversed."""
    global served
    while head := await reader.readline():
        word, size = head.split()
        data = await reader.readexactly(int(size))
        if word == b'slow':
            data = await asyncio.get_running_loop().run_in_executor(None, zlib.compress, data)
        elif word == b'later':
            await asyncio.sleep(0.01)
        back = data[::-1]
        writer.write(b'%s %d\n%s' % (hashlib.sha256(data).hexdigest().encode(), len(back), back))
        await writer.drain()
        served += 1
    writer.close()


async def client(port, number):
    """Talks to the own server; every seventh time it does not wait for the answer."""
    global late
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    check = 0
    for round in range(ROUNDS):
        data = (b'%d %d ' % (number, round)) * (1 + (number * 37 + round * 101) % 4000)
        word = (b'echo', b'later', b'slow')[round % 3]
        sender = asyncio.create_task(send(writer, word, data))
        head = (await reader.readline()).split()
        back = await reader.readexactly(int(head[1]))
        await sender
        if word != b'slow':
            assert back[::-1] == data and head[0].decode() == hashlib.sha256(data).hexdigest()
        else:
            assert zlib.decompress(back[::-1]) == data
        check = zlib.crc32(back, check)
        if round % 7 == number % 7:
            try:
                await asyncio.wait_for(reader.readline(), 0.005)
            except asyncio.TimeoutError:
                late += 1
    writer.close()
    await writer.wait_closed()
    return check


async def send(writer, word, data):
    writer.write(b'%s %d\n' % (word, len(data)))
    writer.write(data)
    await writer.drain()


async def main():
    global hangups

    def hangup():
        global hangups
        hangups += 1
        os.write(1, b'hangup %d\n' % hangups)

    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup)
    loop.add_signal_handler(signal.SIGTERM, enough.set)
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    with open('port.new', 'w') as out:
        out.write(str(port))
    os.rename('port.new', 'port')
    checks = await asyncio.gather(*(client(port, number) for number in range(CLIENTS)))
    print('own clients', checks, late, flush=True)
    await enough.wait()
    server.close()
    await server.wait_closed()
    print('served', served, 'hangups', hangups)
    return 4


sys.exit(asyncio.run(main()))
'''

CHUNKS = 600
AHEAD = 100
TIMEOUT = 60  # seconds without a byte: the connection is dead


class AsyncioClients(MovingProgram):
    name = 'asyncio_clients'
    needs = ('/usr/bin/python3',)
    grows = False
    status = 4
    ignored_files = ('port',)

    def make_input(self, folder, rng):
        (folder / 'clients.py').write_text(SCRIPT, encoding='ascii')

    def command(self, work):
        return ['/usr/bin/python3', '-B', 'clients.py', '120']

    def talk(self, run):
        port_file = run.folder / 'work' / 'port'
        while not port_file.exists():
            run.check()
            time.sleep(0.01)
        hangups = 0
        with socket.create_connection(('127.0.0.1', int(port_file.read_text(encoding='ascii')))) as peer:
            peer.settimeout(TIMEOUT)
            stream = peer.makefile('rwb')
            for step in range(CHUNKS):
                run.pace(step - AHEAD, CHUNKS - AHEAD)
                self.exchange(stream, step)
                if step % 100 == 50:
                    hangups += 1
                    os.kill(run.process.pid, signal.SIGHUP)
                    run.wait_text('stdout', f'hangup {hangups}\n'.encode())
                if run.mover:
                    time.sleep(0.005)
            run.wait_text('stdout', b'own clients')
        os.kill(run.process.pid, signal.SIGTERM)

    def exchange(self, stream, step):
        rng = random.Random(f'{self.seed} {step}')
        data = rng.randbytes(rng.choice((1, 100, 5000, 70000)))
        stream.write(b'%s %d\n' % (rng.choice((b'echo', b'later')), len(data)) + data)
        stream.flush()
        head = stream.readline().split()
        if len(head) != 2 or stream.read(int(head[1]))[::-1] != data:
            raise Failure(f'chunk {step}: wrong answer {head!r}')


if __name__ == '__main__':
    main(AsyncioClients)
