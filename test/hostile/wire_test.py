#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The network between home and a guest reads everything, changes what it likes and says old things again
(wire_relay.py). It learns nothing of the guest, and what it changes is as if the connection had been lost."""

import os
import pathlib
import random
import secrets
import shutil
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'fault'))

from faulty import WAIT_LIMIT, FaultCase, NumberedJob, main  # noqa: E402
from om_cluster import HOME_NODE  # noqa: E402

HARM_SECONDS = 60 if os.environ.get('OM_TEST_FULL') else 6
ONE_IN = 60
KINDS = 'session bulk channel'

# Has a secret in its memory when it leaves; reads another one and writes it to a file while it is away.
KEEPS_SECRETS = '''
import sys
kept = bytearray(sys.stdin.readline(), "ascii") * 100
print("up", flush=True)
said = sys.stdin.readline()
with open(sys.argv[1], "w") as out:
    out.write("written " + said[::-1])
print(kept.count(b"secret"), len(said), flush=True)
sys.stdin.readline()
'''

PI = 'scale=1200; 4*a(1)\n'
THREADS = '''
import hashlib, threading
found = {}
def work(number):
    state = b"%d" % number
    for _ in range(60000):
        state = hashlib.sha256(state).digest()
    found[number] = state.hex()
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for number in sorted(found): print(number, found[number], flush=True)
'''


class WireCase(FaultCase):
    keeper = pathlib.Path(__file__).resolve().with_name('wire_relay.py')
    nodes = 2

    @property
    def seen(self):
        return self.libexec / 'SEEN'

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.seen, ignore_errors=True)
        self.harm()

    def harm(self, text=''):
        (self.libexec / 'HARM').unlink(missing_ok=True)
        if text:
            (self.libexec / 'new-harm').write_text(text, encoding='ascii')
            (self.libexec / 'new-harm').rename(self.libexec / 'HARM')

    def recorded(self, pattern='*-up'):
        """What was on the connections, by name."""
        return {path.name: path.read_bytes() for path in sorted(self.seen.glob(pattern))}

    def where_secrets_show(self):
        """Lets a program with secrets go and come; returns the kinds of connections on which each of them was."""
        kept, said = f'secret-{secrets.token_hex(12)}', f'spoken-{secrets.token_hex(12)}'
        file = self.folder / 'file'
        job = self.start('/usr/bin/python3', '-c', KEEPS_SECRETS, file, stdin=subprocess.PIPE)
        job.stdin.write(f'{kept}\n'.encode())
        job.stdin.flush()
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        job.stdin.write(f'{said}\n'.encode())
        job.stdin.flush()
        self.assertEqual(b'100 %d\n' % (len(said) + 1), job.stdout.readline())
        self.assertEqual('n2', self.where(job))
        self.move(job, 'home')
        job.communicate(b'\n', timeout=WAIT_LIMIT)
        self.assertEqual(f'written \n{said[::-1]}', file.read_text(encoding='ascii'))
        seen = {**self.recorded('*-up'), **self.recorded('*-down')}
        self.assertEqual({'session', 'bulk', 'channel'}, {name.split('-')[2] for name in seen})
        self.assertGreater(sum(map(len, seen.values())), 100_000)
        return {secret: {name.split('-')[2] for name, data in seen.items() if secret.encode() in data}
                for secret in (kept, said, said[::-1])}


class Plain(WireCase):
    plain = True

    def test_without_encryption_all_of_it_is_seen(self):
        kept, said, written = self.where_secrets_show().values()
        self.assertIn('bulk', kept)
        self.assertIn('channel', said)
        self.assertIn('channel', written)


class Sealed(WireCase):
    def test_nothing_of_a_guest_is_seen(self):
        self.assertEqual([set(), set(), set()], list(self.where_secrets_show().values()))

    def replay(self):
        """Says again, each on a connection of its own, what the keeper has said on all of them; returns how many times
        somebody listened."""
        # A keeper of the case before may have written its own late.
        home = max(self.seen.glob('HOME-*'), key=lambda path: path.stat().st_mtime_ns)
        host, port = home.read_text(encoding='ascii').split()
        listened = 0
        for name, data in self.recorded().items():
            try:
                connection = socket.create_connection((host, int(port)))
            except ConnectionRefusedError:
                continue  # a deputy that takes over does not listen yet
            with connection:
                connection.settimeout(WAIT_LIMIT)
                try:
                    connection.sendall(data)
                    answer = connection.recv(1)
                except (ConnectionResetError, BrokenPipeError):
                    answer = b''
            self.assertEqual(b'', answer, name)
            listened += 1
        return listened

    def test_old_connections_are_not_taken_again(self):
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(5)
        self.assertGreaterEqual(self.replay(), 3)
        job.wait_progress(5)
        self.assertIn('its preamble has been used or is too old',
                      pathlib.Path(self.cluster.directory, HOME_NODE, 'log').read_text(errors='replace'))
        self.assertEqual('n2', self.om('where', job.pid).stdout.strip())
        job.move('home')
        job.finish()

    def test_nor_by_the_deputy_that_takes_over(self):
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(5)
        for _ in range(2):
            old, = self.helpers('om-deputy')
            self.kill(old)
            self.wait_until(lambda: [pid for pid in self.helpers('om-deputy') if pid != old], 'the next deputy')
            listened, began = 0, time.monotonic()
            while time.monotonic() < began + 2 or not listened:
                listened += self.replay()
                self.assertLess(time.monotonic(), began + WAIT_LIMIT, 'nobody listens')
            job.wait_progress(5)
        job.move('home')
        job.finish()

    def test_a_node_that_does_not_encrypt_is_no_target(self):
        job = NumberedJob(self)
        command = self.restart_n2('--wire', 'plain', state='down')
        # Whatever comes of it, the other tests need n2 as it was.
        try:
            self.wait_until(lambda: 'plain text instead of TLS' in next(
                entry['reason'] for entry in self.om_json('nodes') if entry['name'] == 'n2'), 'the reason')
            self.refuse(job, 'n2', 'TARGET_UNREACHABLE')
        finally:
            self.restart_n2(command=command)
        job.move('n2')
        job.move('home')
        job.finish()

    def restart_n2(self, *more, command=None, state='up'):
        """With the command line that it had, or this one, and `more`; returns the command line that it had. n1 finds n2
        in `state`."""
        node, had, settings = self.kill_daemon('n2')
        self.wait_state('down')
        self.restart_daemon((node, [*(command or had), *more], settings))
        self.wait_state(state)
        return had

    def wait_state(self, state):
        self.wait_until(lambda: {entry['name']: entry['state'] for entry in self.om_json('nodes')}['n2'] == state,
                        f'n2 is {state}')

    def right_output(self, command, given):
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    @unittest.skipUnless(os.environ.get('OM_TEST_FULL'), 'long: suite full')
    def test_harm_is_like_a_lost_connection(self):
        data = self.folder / 'data'
        data.write_bytes(random.Random(1).randbytes(1 << 20) + bytes(1 << 20))
        jobs = {'bc': (['/usr/bin/bc', '-l'], PI.encode()),
                'xz': (['/usr/bin/xz', '-9', '--stdout', str(data)], b''),
                'threads': (['/usr/bin/python3', '-c', THREADS], b'')}
        right = {name: self.right_output(*job) for name, job in jobs.items()}
        seed = os.environ.get('OM_TEST_SEED') or str(random.randrange(1 << 30))
        until = time.monotonic() + HARM_SECONDS
        rounds = moved = 0
        while time.monotonic() < until or rounds < len(jobs):
            name = list(jobs)[rounds % len(jobs)]
            command, given = jobs[name]
            rounds += 1
            with self.subTest(program=name, seed=seed, round=rounds):
                moved += self.harmed_run(command, given, right[name], f'{seed}{rounds}')
        self.assertGreater(moved, 0)
        self.assertGreater((self.libexec / 'HARMED').stat().st_size, 0)

    def harmed_run(self, command, given, right, seed):
        """Moves it there and back as long as it runs; returns how often that worked."""
        moved = 0
        with open(self.folder / 'out', 'wb') as out:
            job = self.start(*command, stdin=subprocess.PIPE, stdout=out)
        job.stdin.write(given)
        job.stdin.close()
        job.stdin = None
        self.harm(f'{seed} {ONE_IN} {KINDS}')
        while job.poll() is None:
            for to in ('n2', 'home'):
                done = self.om('migrate', job.pid, to, expect=None, limit=4 * WAIT_LIMIT)
                moved += done.returncode == 0
        self.harm()
        _, said = job.communicate(timeout=WAIT_LIMIT)
        self.assertEqual((0, b''), (job.returncode, said))
        self.assertTrue((self.folder / 'out').read_bytes() == right, 'another output')
        return moved


if __name__ == '__main__':
    main()
