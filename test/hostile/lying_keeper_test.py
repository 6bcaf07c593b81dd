#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose keeper lies to home: bytes of its answers and of the pages are changed, repeated, left out, random,
or do not come (lying_keeper.py). It has the guest's memory, so what becomes of that guest is its affair; but home's
deputy does not crash, does not hang and does not hold the process for ever, and everybody else goes on."""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'fault'))

from faulty import WAIT_LIMIT, FaultCase, NumberedJob, main  # noqa: E402
import om_process  # noqa: E402
from om_cluster import HOME_NODE  # noqa: E402

ROUNDS = 60 if os.environ.get('OM_TEST_FULL') else 4
LONGEST = 120      # seconds that a verb may wait for a keeper that has fallen silent
# What a homecoming says and sends: how far into it the lie begins.
LENGTHS = {'session': 6000, 'bulk': 400_000}


class LyingKeeper(FaultCase):
    keeper = pathlib.Path(__file__).resolve().with_name('lying_keeper.py')
    plain = True  # what lies is behind the real keeper

    def lie(self, text=''):
        (self.libexec / 'LIE').unlink(missing_ok=True)
        if text:
            (self.libexec / 'LIE').write_text(text, encoding='ascii')

    def moves_without_a_lie(self):
        self.lie()
        job = NumberedJob(self)
        for to in ('n2', 'home'):
            job.move(to)
        job.finish()

    def test_no_more_comes_than_was_offered(self):
        self.lie('offer')
        job = self.start('/usr/bin/python3', '-c', 'import sys\nx = bytearray(b"1") * (300 << 20)\n'
                         'print("up", flush=True)\nprint(sys.stdin.read(), x.count(b"1"))', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.refuse(job, 'n2', 'NO_MEMORY')
        self.lie()
        self.move(job, 'n2')
        self.move(job, 'home')
        out, _ = job.communicate(b'on', timeout=2 * WAIT_LIMIT)
        self.assertEqual((0, b'on %d\n' % (300 << 20)), (job.returncode, out))

    def test_home_stands_a_keeper_that_lies(self):
        self.moves_without_a_lie()
        daemons = {node: self.daemon_pid(node) for node in (HOME_NODE, 'n2')}
        seed = int(os.environ.get('OM_TEST_SEED') or random.randrange(1 << 32))
        print(f'OM_TEST_SEED={seed}', flush=True)
        for number in range(seed, seed + ROUNDS):
            choose = random.Random(number)
            about = choose.choice(('session', 'session', 'bulk'))
            text = f'{number} {about} {choose.randrange(LENGTHS[about])}'
            with self.subTest(lie=text):
                self.one_lie(text)
        for node, pid in daemons.items():
            self.assertTrue(om_process.alive(pid), f'om-migrator of {node}')
        self.moves_without_a_lie()

    def one_lie(self, text):
        self.lie(text)
        job = self.start(self.product.build / 'test' / 'fault' / 'numbered', 50, 2000, cwd=self.folder)
        job.stdout.readline()
        for verb in (('migrate', job.pid, 'n2'), ('stack', job.pid), ('migrate', job.pid, 'home')):
            self.om(*verb, expect=None, limit=LONGEST)
        if job.poll() is None:
            os.kill(job.pid, signal.SIGKILL)
        job.communicate(timeout=WAIT_LIMIT)
        self.lie()
        self.wait_until(lambda: not self.helpers('om-deputy'), 'the end of its deputy', 2 * WAIT_LIMIT)
        log = pathlib.Path(self.cluster.directory, HOME_NODE, 'log').read_text(errors='replace')
        crash = re.search(r'.*signal (4|6|7|8|11)\b.*', log)
        self.assertIsNone(crash, crash and crash.group(0))


main()
