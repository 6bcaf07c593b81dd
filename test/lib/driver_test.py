#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the test driver: it makes the planned moves, and fails what it must fail.

The programs are small shell scripts that speak the protocol of om_test.h; `om` is a script that answers from a file and
records its requests. Nothing of the product is needed.
"""

import errno
import json
import os
import pathlib
import stat
import tempfile
import textwrap
import unittest

import om_behaviour
import om_case
import om_cluster
import om_machine
import om_product
import om_worker

FAKE_OM = '''\
#!/bin/sh
case "$1 $2 $3" in
  'cluster dev env') echo "export OM_CONTROL=/nowhere; export OM_PRELOAD=''"; exit 0 ;;
  cluster*) exit 0 ;;
esac
echo "$3" >> "$OM_FAKE_DIR/asked"
answer=$(cat "$OM_FAKE_DIR/answer")
[ -f "$OM_FAKE_DIR/then" ] && mv "$OM_FAKE_DIR/then" "$OM_FAKE_DIR/answer"
status=${answer%% *}
echo "${answer#* }" | sed "s/@PID/$2/; s/@TO/$3/"
exit "$status"
'''

POINT = '''\
point() {
  printf 'pid %d\\ntid %d\\n%s' $$ $$ "$2" > $OM_TEST_DIR/new
  mv $OM_TEST_DIR/new $OM_TEST_DIR/ready.$1
  while ! [ -e $OM_TEST_DIR/moved.$1 ]; do sleep 0.01; done
}
'''


def record(status=0, **change):
    data = {'pid': '@PID', 'from': 'n1', 'to': '@TO', 'mode': 'full', 'freeze_ms': 1.5,
            'total_ms': 2, 'bytes_raw': 1, 'bytes_wire': 1, 'pages': 1, 'threads': 1,
            'result': 'moved', 'code': '', 'message': '', **change}
    return f'{status} ' + json.dumps(data).replace('"@PID"', '@PID')


REFUSED = record(6, result='refused', code='TRACED', message='a tracer has it')


class DriverTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = pathlib.Path(temporary.name)
        for name in om_product.PROGRAMS:
            self.script(self.top / 'bin' / name, FAKE_OM if name == 'om' else '#!/bin/sh\n')
        self.script(self.top / 'bin' / 'libom.so', '')
        self.product = om_product.Product(self.top)
        plain = self.product.environment
        self.product.environment = lambda home: plain(home) | {'OM_FAKE_DIR': str(self.top)}
        self.cluster = om_cluster.Cluster(self.product, self.top / 'cluster')
        self.answer(record())

    def script(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answer(self, first, then=None):
        (self.top / 'answer').write_text(first, encoding='utf-8')
        if then:
            (self.top / 'then').write_text(then, encoding='utf-8')

    def asked(self):
        path = self.top / 'asked'
        return path.read_text(encoding='utf-8').split() if path.exists() else []

    def run_program(self, body, mode='native', **facts):
        behaviour = om_behaviour.Behaviour('program', self.top / 'program.cc', limit=20)
        for name, value in facts.items():
            setattr(behaviour, name, value)
        self.script(self.top / 'test/behaviour/program',
                    '#!/bin/sh\n' + POINT + textwrap.dedent(body))
        cases = self.top / 'cases'
        worker = om_case.start_case(behaviour, mode, self.product, self.cluster, cases, 7)
        return om_case.result_of(worker, behaviour, mode, 7, cases)

    def expect(self, verdict, text, result):
        self.assertEqual((verdict, True), (result.verdict, text in result.reason), result)

    def test_native_run_makes_no_moves(self):
        self.expect('ok', '', self.run_program('point 1; echo done'))
        self.assertEqual([], self.asked())

    def test_one_point_gets_all_moves(self):
        self.expect('ok', '', self.run_program('point 1; echo done', 'moved-twice'))
        self.assertEqual(['n2', 'home', 'n3', 'n2'], self.asked())

    def test_last_point_gets_the_rest(self):
        self.expect('ok', '', self.run_program('point 1; point 2', 'moved-twice', points='2'))
        self.assertEqual(['n2', 'home', 'n3', 'n2'], self.asked())

    def test_points_share_the_moves(self):
        def moves(points, plan):
            behaviour = om_behaviour.Behaviour('x', None, points=points)
            return [behaviour.moves_at(point, plan) for point in (1, 2, 3)]
        self.assertEqual([['a', 'b', 'c'], None, None], moves('1', ('a', 'b', 'c')))
        self.assertEqual([['a'], ['b', 'c'], None], moves('2', ('a', 'b', 'c')))
        self.assertEqual([['a'], [], None], moves('2', ('a',)))
        self.assertEqual([['a'], ['b'], None], moves('moves', ('a', 'b')))
        self.assertEqual([[], None, None], moves('moves', ()))
        self.assertEqual([['a', 'b']] * 3, moves('each', ('a', 'b')))

    def test_missing_point_fails(self):
        self.expect('fail', 'only 1 of 2', self.run_program('point 1', 'moved-back', points='2'))

    def test_unannounced_point_fails(self):
        self.expect('fail', 'unexpected point 2', self.run_program('point 1; point 2', 'moved'))

    def test_wrong_exit_status_fails(self):
        self.expect('fail', 'exit 3', self.run_program('exit 3'))
        self.expect('ok', '', self.run_program('exit 3', status=3))
        self.expect('ok', '', self.run_program('kill -9 $$', status=-9))

    def test_skip_and_broken_are_told_apart(self):
        self.expect('skip', 'no such thing', self.run_program('echo no such thing >&2; exit 77'))
        self.expect('broken', 'odd', self.run_program('echo odd >&2; exit 99'))
        self.expect('fail', 'skipped itself', self.run_program(
            'point 1; [ $OM_TEST_MOVES = 0 ] || exit 77', 'moved'))

    def test_different_output_fails(self):
        self.expect('fail', 'stdout differs',
                    self.run_program('point 1; echo $OM_TEST_MOVES', 'moved'))
        self.expect('fail', 'stderr differs',
                    self.run_program('point 1; echo $OM_TEST_MOVES >&2', 'moved'))
        self.expect('ok', '', self.run_program('point 1; echo $OM_TEST_MOVES', 'moved',
                                               output_free=True))

    def test_different_files_fail(self):
        self.expect('fail', 'files differ from the native run: left', self.run_program(
            'point 1; echo $OM_TEST_MOVES > left', 'moved'))

    def test_endless_program_is_ended(self):
        self.expect('fail', 'no end after', self.run_program('sleep 1000 & sleep 1000', limit=0.5))

    def test_left_process_fails(self):
        self.expect('fail', 'left processes behind',
                    self.run_program('setsid sleep 1000 > /dev/null 2>&1 &'))

    def test_thread_never_blocked_fails(self):
        self.addCleanup(setattr, om_case, 'BLOCK_LIMIT', om_case.BLOCK_LIMIT)
        om_case.BLOCK_LIMIT = 0.5
        self.expect('fail', 'never seen in 99999', self.run_program('point 1 "block 99999"'))

    def test_refused_move_fails(self):
        self.answer(REFUSED)
        self.expect('fail', 'refused TRACED', self.run_program('point 1', 'moved'))

    def test_expected_refusal_is_required(self):
        self.answer(REFUSED)
        self.expect('ok', '', self.run_program('point 1', 'moved-twice', expect='TRACED'))
        self.assertEqual(['n2'], self.asked())
        self.expect('fail', 'wanted a refusal SECCOMP',
                    self.run_program('point 1', 'moved', expect='SECCOMP'))
        self.answer(record())
        self.expect('fail', 'wanted a refusal TRACED',
                    self.run_program('point 1', 'moved', expect='TRACED'))

    def test_transient_refusal_is_tried_again(self):
        self.answer(record(6, result='refused', code='SHARED_MM', message='vfork'), record())
        result = self.run_program('point 1', 'moved')
        self.expect('ok', '', result)
        self.assertEqual(2, result.moves[0].tries)

    def test_no_refusal_is_tried_again(self):
        self.answer(record(6, result='refused', code='SHARED_MM', message='vfork'), record())
        result = self.run_program('point 1', 'moved', transient=('none',))
        self.expect('fail', 'refused SHARED_MM', result)

    def test_unsound_answers_fail(self):
        for answer in ('0 no json', record(pid=1), record(to='n9'), record(result='done'),
                       record(1), record(6, result='refused', message='no code'), '3 {}',
                       record(1, result='failed', code='X')):
            with self.subTest(answer):
                self.answer(answer)
                self.expect('fail', 'failed', self.run_program('point 1', 'moved'))

    def test_native_failure_is_the_reason_of_every_mode(self):
        self.expect('fail', 'native: ended with exit 4', self.run_program('exit 4', 'moved'))

    def test_failed_case_keeps_its_directory_and_command(self):
        result = self.run_program('point 1; echo $OM_TEST_MOVES', 'moved')
        report = pathlib.Path(result.directory, 'report').read_text(encoding='utf-8')
        self.assertIn('--mode moved --seed 7 program', report)
        self.assertFalse(os.path.exists(self.run_program('point 1', 'moved').directory))

    def test_who_is_to_stay_away_is_looked_at(self):
        # The script for om says nothing to `om where`: the place is another one.
        facts = {'points': '2', 'stays_away': True}
        self.expect('fail', 'did not stay at n2',
                    self.run_program('point 1; point 2', 'moved', **facts))
        self.expect('ok', '', self.run_program('point 1; point 2', 'native', **facts))

    def test_declarations_are_checked(self):
        source = self.top / 'named.cc'
        source.write_text('// om-points: 2\n// om-expect: refused AIO\n// om-status: signal 6\n'
                          '#include "x"\n// om-points: 9\n', encoding='utf-8')
        parsed = om_behaviour.parse_source(source)
        self.assertEqual(('2', 'AIO', -6), (parsed.points, parsed.expect, parsed.status))
        for line in ('om-point: 2', 'om-points: x', 'om-expect: moved', 'om-status: 3',
                     'om-suite: some'):
            source.write_text(f'// {line}\n', encoding='utf-8')
            with self.assertRaises(om_product.BrokenSetup, msg=line):
                om_behaviour.parse_source(source)

    def test_worker_that_dies_is_a_broken_case(self):
        behaviour = om_behaviour.Behaviour('program', None)
        worker = om_worker.Worker(lambda: os._exit(3))
        result = om_case.result_of(worker, behaviour, 'native', 1, '/x')
        self.expect('broken', 'died', result)

    def test_what_cannot_be_removed_leaves_its_surroundings_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            with self.assertRaises(FileNotFoundError):
                om_product.remove_tree(pathlib.Path(folder, 'none'))
            self.assertEqual(0o755, stat.S_IMODE(os.stat(folder).st_mode))


class MachineTest(unittest.TestCase):
    """What a machine lacks is detected natively, here in a child that has been deprived of it."""
    RET_ERRNO_EXDEV = 0x00050000 | errno.EXDEV

    def without(self, number, question):
        """The answer to `question` where system call `number` fails with EXDEV."""
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            # Load the number; if it is this one, the errno, else go on.
            error = om_machine.install_filter((0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, self.RET_ERRNO_EXDEV),
                                              (6, 0, 0, om_machine.SECCOMP_RET_ALLOW))
            os.write(into, b'no filter' if error else question().encode())
            os._exit(0)
        os.close(into)
        os.waitpid(pid, 0)
        with os.fdopen(out, 'rb') as stream:
            return stream.read().decode()

    @unittest.skipIf(om_machine.lacks_filters(), 'no seccomp filters')
    def test_what_is_forbidden_is_lacking(self):
        ptrace, prctl, unshare = 101, 157, 272
        said = os.strerror(errno.EXDEV)
        self.assertIn(said, self.without(ptrace, om_machine.lacks_tracing))
        self.assertIn(said, self.without(ptrace, om_machine.lacks_moves))
        self.assertIn(said, self.without(prctl, om_machine.lacks_filters))
        self.assertIn(said, self.without(unshare, lambda: om_machine.lacks_namespaces(0, 'any')))
        self.assertEqual('', self.without(unshare, om_machine.lacks_filters))


if __name__ == '__main__':
    unittest.main()
