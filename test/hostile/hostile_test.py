#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that attack the libom in their own process, the keeper and home. Whatever they do, the daemons of
both nodes and the other guests go on unharmed, nothing is left behind, and the guest's own end has a reason
that fits in a line."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'fault'))

from faulty import POLL, WAIT_LIMIT, FaultCase, NumberedJob, main  # noqa: E402
import om_process  # noqa: E402
from om_cluster import HOME_NODE  # noqa: E402

END_LIMIT = 15     # seconds that a guest which has lost its mind may take to end
NAMESPACES = os.environ.get('OM_TEST_NAMESPACES')  # of the attacked node's guests
SANDBOX = 'a system call that its sandbox does not allow'


class HostileCase(FaultCase):
    """A well-behaved guest runs on the attacked node all the time."""

    def prepare(self):
        """Before anything is on the attacked node."""
        if NAMESPACES:
            self.set_namespaces(NAMESPACES)

    def set_namespaces(self, word):
        _, command, settings = self.kill_daemon('n2')
        option = '--guest-namespaces'
        command = [part for at, part in enumerate(command) if option not in (part, command[at - 1])]
        self.restart_daemon(('n2', [*command, option, word], settings))
        self.wait_until(lambda: {n['state'] for n in self.om_json('nodes')} == {'up'}, 'all nodes up')

    def setUp(self):
        super().setUp()
        self.prepare()
        self.daemons_before = {node: self.daemon_pid(node) for node in (HOME_NODE, 'n2', 'n3')}
        self.witness = NumberedJob(self)
        self.witness.move('n2')
        self.helpers_before = self.count_helpers()

    def count_helpers(self):
        return {name: len(self.helpers(name)) for name in ('om-guest', 'om-deputy')}

    def attack(self, *arguments, **how):
        """Starts an attacker, moves it to n2 and lets it begin."""
        folder = self.folder / f'attack-{len(list(self.folder.iterdir()))}'
        folder.mkdir()
        program = self.product.build / 'test' / 'hostile' / 'attacker'
        guest = self.start(program, *arguments, cwd=folder, **how)
        guest.folder = folder
        self.assertEqual(b'ready\n', guest.stdout.readline())
        self.move(guest, 'n2')
        (folder / 'go').touch()
        return guest

    def ended(self, guest):
        try:
            guest.wait(END_LIMIT)
            return True
        except subprocess.TimeoutExpired:
            return False

    def check_sound(self, guest):
        out, err = self.finish(guest)
        self.assertEqual((b'away\nsound\n', b''), (out, err))
        self.check_others()

    def check_killed(self, guest, *why):
        """It was ended for what it did, and that is said in one line."""
        self.assertTrue(self.ended(guest), f'still there: {self.om("ps").stdout}')
        out, err = guest.communicate()
        self.assertEqual(-signal.SIGKILL, guest.returncode, (out, err))
        self.assertNotIn(b'sound', out)
        notes = [event['message'] for event in self.om_json('events', guest.pid)
                 if event.get('code') == 'NODE_LOST']
        self.assertTrue(notes, self.om('events', guest.pid).stdout)
        self.assertNotIn('\n', notes[-1])
        for text in why:
            self.assertIn(text, notes[-1])
        self.check_others()

    def check_others(self):
        """Daemons, helpers and the other guest."""
        for node, pid in self.daemons_before.items():
            self.assertTrue(om_process.alive(pid), f'om-migrator of {node}')
        self.wait_until(lambda: self.count_helpers() == self.helpers_before,
                        f'the helpers of the guest that is gone: {self.count_helpers()}')
        self.witness.wait_progress(3)
        self.assertEqual('n2', self.om('where', self.witness.pid).stdout.strip())

    def tearDown(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            return
        for to in ('home', 'n3', 'home'):
            self.witness.move(to)
        self.witness.finish()


class Hostile(HostileCase):
    # The sandbox.

    def test_a_forbidden_call_ends_the_body(self):
        """Opened, made, signalled, traced, mapped from a file: by the gate's own instruction."""
        path = 0x7061  # becomes the address of a path
        for call in ((2, path), (41, 1, 1), (57,), (62, 1, 9), (56, 0x10000000 | 17), (9, 0, 4096, 1, 2, 3),
                     (0x40000002, path), (3, 3), (47, 4, path), (435, path, 88), (-1,),
                     # huge pages, merged pages, an owner among the node's processes, a barrier for all of them
                     (9, 0, 2 << 20, 3, 0x40022), (28, 0, 4096, 12), (202, path, 6), (324, 1)):
            with self.subTest(call=call):
                self.check_killed(self.attack('syscall', *call), SANDBOX)

    def test_jumps_into_libom(self):
        for where in ('transplant_end', 'window', 'executor', 'orphan', 'remote', 'catcher', 'restorer',
                      'body', 'inject'):
            with self.subTest(where=where):
                guest = self.attack('jump', where)
                if not self.ended(guest):
                    self.check_stuck(guest)
                else:
                    self.assertNotIn(b'sound', guest.communicate()[0])
                    self.check_others()

    def check_stuck(self, guest):
        """It hurts nobody but itself, and ends like any process."""
        self.check_witness_and_kill(guest)

    def check_witness_and_kill(self, guest):
        self.witness.wait_progress(3)
        os.kill(guest.pid, signal.SIGKILL)
        self.assertTrue(self.ended(guest))
        self.check_others()

    def test_without_segments(self):
        guest = self.attack('segments')
        if self.ended(guest):
            self.assertNotIn(b'sound', guest.communicate()[0])
            self.check_others()
        else:
            self.check_witness_and_kill(guest)

    def test_scribbling(self):
        for _ in range(2):
            guest = self.attack('scribble', 30)
            if self.ended(guest):
                guest.communicate()
                self.check_others()
            else:
                self.check_witness_and_kill(guest)

    # Requests.

    def test_forged_calls(self):
        guest = self.attack('forge')
        self.check_sound(guest)

    def test_libom_descriptors(self):
        self.check_sound(self.attack('descriptors'))

    def test_garbage_on_the_channel(self):
        self.check_sound(self.attack('garbage'))

    def test_garbage_to_the_keeper(self):
        self.check_sound(self.attack('keeper'))

    def test_flood_of_the_keeper(self):
        guest = self.attack('flood')
        if self.ended(guest):
            guest.communicate()
            self.check_others()
        else:
            self.check_witness_and_kill(guest)

    # Homecomings.

    def test_lies_when_parked(self):
        for lie in ('fs', 'kind', 'sequence', 'xsave', 'busy'):
            with self.subTest(lie=lie):
                guest = self.attack('park', lie)
                self.read_until(guest, b'lying\n')
                move = self.cluster.migrate(guest.pid, 'home', transient=frozenset())
                self.assertNotEqual('moved', move.result, move)
                self.assertRegex(move.message, r'^[^\n]+$')
                self.assertEqual('n2', self.where(guest))
                self.check_witness_and_kill(guest)

    def test_lies_about_what_is_its_own(self):
        """It comes home with what it claims to have had, or does not; nobody else cares."""
        for lie in ('waiting', 'slots', 'touched', 'registers'):
            with self.subTest(lie=lie):
                guest = self.attack('park', lie)
                self.read_until(guest, b'lying\n')
                self.cluster.migrate(guest.pid, 'home', transient=frozenset())
                if guest.poll() is None:
                    os.kill(guest.pid, signal.SIGKILL)
                self.assertTrue(self.ended(guest))
                self.check_others()

    def test_lies_shown(self):
        """A call that does not exist is no trouble for who looks."""
        guest = self.attack('park', 'waiting')
        self.read_until(guest, b'lying\n')
        threads = self.om_json('stack', guest.pid)['threads']
        self.assertIn('call 2147483647', [thread.get('call') for thread in threads])
        self.check_witness_and_kill(guest)

    def read_until(self, guest, line):
        while (got := guest.stdout.readline()) != line:
            self.assertTrue(got, guest.stderr.read() if guest.poll() is not None else 'no output')

    # Exhaustion.

    def test_threads(self):
        guest = self.attack('threads', 90, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        self.check_killed(guest, 'more threads')

    def test_calls_without_end(self):
        """Its home answers them, and everybody else as well."""
        guest = self.attack('calls')
        self.check_witness_and_kill(guest)

    def test_memory(self):
        guest = self.attack('memory', preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_AS, (700 << 20, 700 << 20)))
        self.check_sound(guest)

    def test_time(self):
        guest = self.attack('loop')
        self.assertEqual(b'away\n', guest.stdout.readline())
        self.check_witness_and_kill(guest)


class EveryCall(FaultCase):
    """All numbers, moved again and again, answer what they answer natively."""

    def answers(self, moves):
        folder = self.folder / ('moved' if moves else 'native')
        folder.mkdir()
        which = 'all' if os.environ.get('OM_TEST_FULL') else 'fast'
        program = self.product.build / 'test' / 'hostile' / 'every_call'
        guest = self.start(program, which, cwd=folder, preload=moves)
        self.assertEqual(b'ready\n', guest.stdout.readline())
        if moves:
            self.move(guest, 'n2')
        (folder / 'go').touch()
        until = time.monotonic() + 20 * WAIT_LIMIT
        while moves and guest.poll() is None and time.monotonic() < until:
            if self.om('where', guest.pid, expect=None).stdout.strip() == 'home':
                self.cluster.migrate(guest.pid, 'n2')
            time.sleep(POLL)
        out, err = self.finish(guest)
        self.assertEqual((b'sound\n', b''), (out, err))
        return re.split('\n', (folder / 'answers').read_text(encoding='ascii'))

    def test_every_call(self):
        native, moved = self.answers(False), self.answers(True)
        self.assertGreater(len(native), 1000)
        self.assertEqual([], [(a, b) for a, b in zip(native, moved) if a != b])
        self.assertEqual(len(native), len(moved))


if __name__ == '__main__':
    main()
