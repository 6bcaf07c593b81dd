#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Provokes every reason not to move (docs/REASONS.md) that can be: `om why` and `om migrate` name it with a message and
a remedy, the program runs on correctly at home, and once the cause is gone the process moves. NOT_HERE lists the codes
that cannot be provoked here, and why; ELSEWHERE names other tests that provoke one."""

import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import types

from faulty import FaultCase, main, om_process
from om_product import DEFAULT_UID

RIGHT_END = 5  # exit status of provoke
LIMITS = ('--max-guests', '--max-guests-per-home', '--max-guests-per-user')
SKIPPED = 77

# Causes in the process, which the program removes again.
CURABLE = ('AIO', 'CPU_TIMER', 'DEVICE_MAPPED', 'FD_LIMIT', 'FD_TABLE', 'GS_BASE', 'HUGETLB', 'IN_CALL', 'IO_URING',
           'NOT_DUMPABLE', 'OWN_TRAPS', 'PKEYS', 'SECCOMP', 'SHARED_FILE', 'SHARED_MM', 'SHARED_WRITABLE', 'TRACED',
           'UFFD', 'UNINTERRUPTIBLE', 'VERSION')
# Found when the threads are stopped, or by the target: om why cannot know.
AT_THE_STOP = ('GS_BASE', 'CPU_TIMER', 'UNINTERRUPTIBLE', 'IN_CALL', 'OWN_TRAPS', 'VERSION')
# Module and test method, which names the code; without a module: this one.
ELSEWHERE = {
    'ALREADY_THERE': '../cluster/commands_test.py test_human_output_of_migrate',
    'NO_SUCH_PROCESS': '../cluster/commands_test.py test_status_4_no_such_process_or_node',
    'TIMEOUT': '../cluster/commands_test.py test_status_7_timeout',
    'INTERNAL': 'steps_test.py try_step',
    'BLOCKED': 'test_blocked',
    'CPU_FEATURE': 'test_cpu_feature',
    'FULL': 'full_test.py test_full',
    'HOME_MEMORY': 'test_home_memory',
    'NOT_PRELOADED': 'test_not_preloaded',
    'NO_MEMORY': 'test_no_memory',
    'OUT_OF_REACH': 'lost_links_test.py test_helpers_that_stand_still',
    'PERMISSION': 'test_permission',
    'ROOT_OWNED': 'test_root_owned',
    'SANITIZER': 'test_sanitizer',
    'SETUID': 'test_changed_user',
    'STARTING': '../cluster/starting_test.py test_libraries_before_libom',
    'STATIC_BINARY': 'test_static_binary',
    'STOPPED': 'test_stopped',
    'TARGET_UNREACHABLE': 'test_target_unreachable',
    # Codes for what happened, or for the answer to a command.
    'BAD_PEERS': '../cluster/commands_test.py test_bad_peers',
    'BAD_REQUEST': '../hostile/deep_json_test.py test_control_socket',
    'CAME_HOME': '../cluster/commands_test.py test_coming_home_is_an_event_and_no_reason',
    'DEPUTY_LOST': '../cluster/migrator_protocol_test.py test_deputy_that_fails_at_home',
    'GUEST': '../cluster/commands_test.py test_a_guest_is_not_a_process_of_the_node',
    'KEEPER_FAILED': '../cluster/commands_test.py test_a_keeper_that_fails_is_an_event',
    'NODE_LOST': 'shortages_test.py test_the_body_is_killed_before_it_has_acted',
    'NOT_ATTACHED': '../hostile/local_users_test.py test_nobody_attaches_without_the_secret',
    'NO_DAEMON': '../cluster/commands_test.py test_status_3_no_daemon',
    'NO_DEPUTY': '../cluster/commands_test.py test_status_4_no_such_process_or_node',
    'NO_SUCH_NODE': '../cluster/commands_test.py test_status_4_no_such_process_or_node',
    'OTHER_NODE': '../cluster/commands_test.py test_a_command_of_another_node_does_not_see_it',
    'REMOTE_CONTROL': '../cluster/remote_control_test.py test_not_unless_it_is_allowed',
    'TOO_MANY_REQUESTS': '../cluster/commands_test.py test_too_many_requests',
    # Why a machine does not join, leave or sign.
    'ALREADY_MEMBER': '../cluster/join_test.py test_what_is_refused',
    'BAD_TOKEN': '../cluster/join_test.py test_what_is_refused',
    'DENIED': '../cluster/join_test.py test_a_removed_key_stays_out',
    'NAME_TAKEN': '../cluster/join_test.py test_what_is_refused',
    'NOT_A_MEMBER': '../cluster/join_test.py test_what_is_refused',
    'NO_MEMBER': '../cluster/join_test.py test_what_is_refused',
    'NO_SIGNER': '../cluster/join_test.py test_what_is_refused',
}
NOT_HERE = {
    'CET': 'needs a CPU, kernel and C library with shadow stacks (unit test of the preflight)',
    'CPU_COUNT': 'one machine has one set of CPU numbers (unit test of the admission)',
}


class RefusalCase(FaultCase):
    def program(self, cause, **how):
        """A running `provoke CAUSE` that has brought about its cause; None if this machine cannot."""
        program = self.product.build / 'test' / 'fault' / 'provoke'
        job = self.start(program, cause, stdin=subprocess.PIPE, **how)
        line = job.stdout.readline()
        if line != b'caused\n':
            job.wait()
            self.assertEqual(SKIPPED, job.returncode, (line, job.stderr.read()))
            return None
        return job

    def say(self, job, answer):
        """Lets it continue."""
        job.stdin.write(b'\n')
        job.stdin.flush()
        self.assertEqual(answer, job.stdout.readline())

    def end_right(self, job):
        self.say(job, b'right\n')
        self.finish(job, RIGHT_END)

    def codes(self, job):
        why = self.om_json('why', job.pid)
        self.assertEqual(why['can_move'], not why['reasons'])
        for reason in why['reasons']:
            self.check_reason(reason)
        return [reason['code'] for reason in why['reasons']]

    def check_reason(self, reason):
        self.assertTrue(reason['message'].endswith('.') or ': ' in reason['message'], reason)
        self.assertTrue(reason['remedy'].endswith('.'), reason)

    def check_refused(self, job, code, to='n2'):
        """`om migrate` refuses, with code, message and remedy; the process stays as it is."""
        self.refuse(job, to, code)
        done = self.om('migrate', job.pid, to, expect=6)
        self.assertEqual('', done.stdout)
        lines = done.stderr.splitlines()
        self.assertTrue(lines[0].startswith(f'om: {code}: '), lines)
        self.assertGreater(len(lines), 1, 'no remedy')
        self.assertIn(code, [event['code'] for event in self.om_json('events', job.pid)])

    def restart(self, node, *options, root_may_leave=True):
        """Restarts a node's daemon, with options that replace those of an earlier restart."""
        _, command, settings = self.kill_daemon(node)
        earlier = ('--accept', '--config', *LIMITS)
        command = [word for at, word in enumerate(command)
                   if word not in (*earlier, '--root-may-leave') and command[at - 1] not in earlier]
        command += ['--root-may-leave'] * root_may_leave
        self.restart_daemon((node, [*command, *map(str, options)], settings))
        self.wait_until(lambda: {n['state'] for n in self.om_json('nodes')} == {'up'}, 'all nodes up')

    def config(self, text):
        path = self.folder / 'om.toml'
        path.write_text(text, encoding='ascii')
        return '--config', path

    def move_at_last(self, job, to):
        """A move that must succeed once a new daemon is known, or a guest's keeper has ended."""
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, to, 60).result == 'moved', 'a move')

    # Programs into which libom.so cannot be loaded. Each says "up", waits for a line, then executes its arguments if it
    # has any, else says "right".
    C_PROGRAM = ('#include <stdio.h>\n#include <unistd.h>\n'
                 'int main(int argc, char** argv) {\n'
                 '  puts("up"); fflush(stdout); getchar();\n'
                 '  if (argc > 1) { execv(argv[1], argv + 1); return 1; }\n'
                 '  puts("right"); return 5;\n}\n')
    # i386, with its own system calls; the libraries for it are not installed by default anywhere.
    PROGRAM_32 = """
        .globl _start
        _start:
          mov $4, %eax; mov $1, %ebx; mov $up, %ecx; mov $3, %edx; int $0x80
          mov $3, %eax; xor %ebx, %ebx; mov $line, %ecx; mov $1, %edx; int $0x80
          lea 8(%esp), %ecx; mov (%ecx), %ebx; test %ebx, %ebx; jz 1f
          mov (%esp), %eax; lea 8(%esp,%eax,4), %edx; mov $11, %eax; int $0x80
        1:
          mov $4, %eax; mov $1, %ebx; mov $right, %ecx; mov $6, %edx; int $0x80
          mov $1, %eax; mov $5, %ebx; int $0x80
        .data
        up: .ascii "up\\n"
        right: .ascii "right\\n"
        line: .byte 0
        """

    def build(self, name, *flags):
        program, source = self.folder / name, self.folder / 'program.c'
        source.write_text(self.C_PROGRAM, encoding='ascii')
        return self.tool(program, 'gcc', source, *flags, '-o', program)

    def build_32(self):
        program, source = self.folder / 'of-32-bits', self.folder / 'program.s'
        source.write_text(self.PROGRAM_32, encoding='ascii')
        self.tool(program, 'as', '--32', source, '-o', self.folder / 'program.o')
        return self.tool(program, 'ld', '-m', 'elf_i386', self.folder / 'program.o', '-o', program)

    def tool(self, program, *command):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except FileNotFoundError as error:
            self.skipTest(str(error))
        if done.returncode != 0:
            self.skipTest(f'{program.name} cannot be built here: {done.stderr.strip()}')
        return program

    def needs_native(self, program, **user):
        """Skips the test if this machine cannot run the program, as that would look like a failure of the program."""
        try:
            done = subprocess.run([program], check=False, input=b'\n', capture_output=True, timeout=30, **user)
        except OSError as error:
            self.skipTest(f'{program.name}: {error.strerror}')
        if (done.returncode, done.stdout) != (RIGHT_END, b'up\nright\n'):
            self.skipTest(f'{program.name} natively: status {done.returncode}, {done.stdout + done.stderr!r}')

    def check_stays_home(self, program, code, detail='', keeps_preload=True, **user):
        """`om check` knows before the start; `om run` runs it and says so in a line. The same holds for what a movable
        program turns into, at home or away; and once it turns into one that can move, it moves."""
        self.needs_native(program, **user)
        heir = [self.product.build / 'test/fault/provoke', 'NOTHING'] if keeps_preload else []
        checks = [self.start(self.product.om, 'check', *options, '--', program, preload=False, **user)
                  for options in ([], ['--json'])]
        text, report = [self.finish(check, 6)[0].decode() for check in checks]
        self.assertRegex(text, f'(?s)^{code}: .*{detail}.*\n    .*\n$')
        report = json.loads(report)
        self.assertEqual((False, [code]), (report['can_move'], [r['code'] for r in report['reasons']]))
        self.check_reason(report['reasons'][0])
        job = self.start(self.product.om, 'run', '--', program, preload=False, stdin=subprocess.PIPE, **user)
        self.assertEqual(b'up\n', job.stdout.readline())
        out, err = job.communicate(b'\n', timeout=30)
        self.assertEqual((RIGHT_END, b'right\n'), (job.returncode, out))
        self.assertEqual((True, 1), (err.startswith(b'om: '), err.count(b'\n')), err)

        for away in (False, True):
            runner = self.start(self.product.om, 'run', '--', 'sh', '-c', 'read line; exec "$@"', 'sh', program, *heir,
                                preload=False, stdin=subprocess.PIPE, **user)
            pid = self.wait_until(lambda runner=runner: om_process.children(runner.pid), 'a child')[0]
            self.wait_until(lambda pid=pid: 'libom.so' in om_process.read_proc(pid, 'maps'), 'libom.so')
            job = types.SimpleNamespace(pid=pid, stdin=runner.stdin, stdout=runner.stdout)
            if away:
                self.move(job, 'n2')
            self.say(job, b'up\n')
            # The daemon needs a moment to learn that it is at home again.
            self.wait_until(lambda job=job: code in self.codes(job), code)
            self.assertIn(detail, self.om('why', pid, expect=None).stdout)
            self.check_refused(job, code)
            if heir:
                self.say(job, b'caused\n')
                self.assertEqual([], self.codes(job))
                self.move(job, 'n2')
                self.say(job, b'cured\n')
            self.say(job, b'right\n')
            self.finish(runner, RIGHT_END)


class Refusals(RefusalCase):
    def test_every_code_has_its_place(self):
        here = pathlib.Path(__file__).resolve().parent
        page = re.findall(r'^\| ([A-Z_]+) \|', (here / '../../docs/REASONS.md').read_text(), re.M)
        self.assertGreater(len(page), 30)
        self.assertEqual(sorted(page), sorted([*CURABLE, *ELSEWHERE, *NOT_HERE]))
        self.assertEqual(set(), set(AT_THE_STOP) - set(CURABLE))
        causes = (here / 'provoke.cc').read_text()
        for code in CURABLE:
            self.assertIn(f'{{"{code}", ', causes)
        for code, place in ELSEWHERE.items():
            module, _, method = place.rpartition(' ')
            text = (here / (module or 'refusals_test.py')).read_text()
            body = re.search(rf'^    def {method}\(.*\n((?:     .*\n|\n)+)', text, re.M)
            self.assertTrue(body and re.search(rf"""['"]{code}['"]""", body[1]), f'{code} is not in {place}')
        for code in NOT_HERE:  # a unit test has it
            name = 'k' + ''.join(word.capitalize() for word in code.split('_'))
            texts = [file.read_text() for file in (here / '../unit').rglob('*.cc')]
            self.assertTrue([text for text in texts if name in text or f'"{code}"' in text], code)

    def test_causes_that_come_and_go(self):
        for code in CURABLE:
            with self.subTest(code=code):
                job = self.program(code)
                if job is None:
                    print(f'{code}: cannot be provoked here')
                    continue
                self.assertEqual([] if code in AT_THE_STOP else [code], self.codes(job))
                self.check_refused(job, code)
                if code == 'NOT_DUMPABLE':  # all that can be known
                    self.assertIn(code, self.om('where', job.pid, expect=1).stderr)
                else:
                    self.assertEqual('n1', self.where(job))
                self.say(job, b'cured\n')
                self.assertEqual([], self.codes(job))
                self.move(job, 'n2')
                self.end_right(job)

    def test_stopped(self):
        job = self.program('NOTHING')
        os.kill(job.pid, signal.SIGSTOP)
        self.wait_until(lambda: self.codes(job) == ['STOPPED'], 'STOPPED')
        self.check_refused(job, 'STOPPED')
        os.kill(job.pid, signal.SIGCONT)
        self.wait_until(lambda: self.codes(job) == [], 'the reason gone')
        self.move(job, 'n3')
        self.say(job, b'cured\n')
        self.end_right(job)

    def test_static_binary(self):
        program = self.build('static', '-static')
        self.check_stays_home(program, 'STATIC_BINARY')

    def test_32_bit_program(self):
        program = self.build_32()
        self.check_stays_home(program, 'NOT_PRELOADED', 'a 32-bit program')

    def test_sanitizer(self):
        program = self.build('sanitized', '-fsanitize=address')
        self.check_stays_home(program, 'SANITIZER', 'libasan')

    def test_not_preloaded(self):
        """Until it becomes a program that is."""
        job = self.start('/bin/sh', '-c', 'read line; LD_PRELOAD="$1" exec "$2" NOTHING', 'sh',
                         self.product.preload, self.product.build / 'test/fault/provoke',
                         preload=False, stdin=subprocess.PIPE)
        self.wait_until(lambda: om_process.read_proc(job.pid, 'comm').strip() == 'sh', 'the shell')
        self.assertEqual(['NOT_PRELOADED'], self.codes(job))
        self.check_refused(job, 'NOT_PRELOADED')
        self.say(job, b'caused\n')
        self.move(job, 'n2')
        self.say(job, b'cured\n')
        self.end_right(job)

    def test_home_limits(self):
        """A limit that leaves libom no room: the process stays, with everything that the limit permits, until there is
        room."""
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            with self.subTest(kind=kind):
                job = self.program('NOTHING')
                before = resource.prlimit(job.pid, kind)
                field = {resource.RLIMIT_AS: 'VmSize', resource.RLIMIT_DATA: 'VmData'}[kind]
                size = om_process.memory(job.pid, field)
                resource.prlimit(job.pid, kind, (size + (8 << 20), before[1]))
                self.assertEqual(['HOME_MEMORY'], self.codes(job))
                self.check_refused(job, 'HOME_MEMORY')
                self.assertEqual(size, om_process.memory(job.pid, field))
                resource.prlimit(job.pid, kind, before)
                self.move(job, 'n2')
                self.move(job, 'home')
                self.assertEqual(size, om_process.memory(job.pid, field))
                self.say(job, b'cured\n')
                self.end_right(job)

    def test_home_memory(self):
        """While away the process maps more than it may at home: it stays away until there is room."""
        limit = 400 << 20
        script = ('import mmap, resource, sys\n'
                  'print("up", flush=True)\n'
                  'sys.stdin.readline()\n'
                  'try:\n'
                  f'    m = mmap.mmap(-1, {limit}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n'
                  '    print("mapped", flush=True)\n'
                  'except OSError as error:\n'
                  '    print(error.strerror, flush=True)\n'
                  'sys.stdin.readline()\n')
        job = self.start('/usr/bin/python3', '-S', '-c', script, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        # Only for the process at home: the body keeps the old limit.
        before = resource.prlimit(job.pid, resource.RLIMIT_AS)
        used = om_process.memory(job.pid)
        resource.prlimit(job.pid, resource.RLIMIT_AS, (used + (64 << 20), before[1]))
        self.say(job, b'mapped\n')
        self.check_refused(job, 'HOME_MEMORY', 'home')
        self.assertEqual('n2', self.where(job))
        resource.prlimit(job.pid, resource.RLIMIT_AS, before)
        self.move(job, 'home')
        job.stdin.write(b'\n')
        job.stdin.close()
        job.stdin = None
        self.assertEqual(0, job.wait(30))

    # Refused by the target.

    def refused_until_restarted(self, code, *options):
        job = self.program('NOTHING')
        self.restart('n3', *options)
        # n1 may keep the old daemon's connection for a moment.
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).code == code, code)
        self.check_refused(job, code, 'n3')
        self.restart('n3')
        self.move_at_last(job, 'n3')
        self.say(job, b'cured\n')
        self.end_right(job)

    def test_blocked(self):
        self.refused_until_restarted('BLOCKED', '--accept', 'never')

    def test_no_memory(self):
        self.refused_until_restarted('NO_MEMORY', *self.config('memory_headroom_mib = 900000000\n'))

    def test_cpu_feature(self):
        self.refused_until_restarted('CPU_FEATURE', *self.config('hide_cpu_features = ["sse4_2"]\n'))

    def test_target_unreachable(self):
        job = self.program('NOTHING')
        killed = self.kill_daemon('n3')
        self.wait_until(lambda: self.cluster.migrate_once(job.pid, 'n3', 60).code == 'TARGET_UNREACHABLE',
                        'TARGET_UNREACHABLE')
        self.check_refused(job, 'TARGET_UNREACHABLE', 'n3')
        self.move(job, 'n2')
        self.restart_daemon(killed)
        self.move_at_last(job, 'n3')
        self.say(job, b'cured\n')
        self.end_right(job)


class RefusalsOfRoot(RefusalCase):
    needs_root = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.base, 0o755)  # other users reach the control socket

    def test_privileged_files(self):
        """Set-user-id, set-group-id, or with capabilities: the loader drops libom.so, also for what they start."""
        self.folder.chmod(0o755)
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest(f'the file system of {self.folder} is mounted nosuid')
        user = {'user': DEFAULT_UID, 'group': DEFAULT_UID, 'extra_groups': []}
        for name in ('setuid', 'setgid', 'capable'):
            with self.subTest(name=name):
                program = self.build(name)
                program.chmod({'setuid': 0o4755, 'setgid': 0o2755}.get(name, 0o755))
                if name == 'capable':  # version 2, effective: CAP_NET_RAW
                    try:
                        os.setxattr(program, 'security.capability', struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0))
                    except OSError as error:
                        self.skipTest(f'no capabilities of files: {error.strerror}')
                self.check_stays_home(program, 'SETUID', keeps_preload=False, **user)

    def test_changed_user(self):
        job = self.program('SETUID')
        self.assertEqual(['SETUID'], self.codes(job))
        self.check_refused(job, 'SETUID')
        self.say(job, b'cured\n')
        self.assertEqual([], self.codes(job))
        self.move(job, 'n2')
        self.end_right(job)

    def test_root_owned(self):
        """Root's processes stay at home unless the node is configured otherwise, as it is by `om cluster dev`."""
        user = {'user': DEFAULT_UID, 'group': DEFAULT_UID, 'extra_groups': [], 'cwd': '/'}
        job, other = self.program('NOTHING'), self.program('NOTHING', **user)
        self.move(job, 'n2')
        self.restart('n1', root_may_leave=False)
        self.wait_until(lambda: self.where(job) == 'n2', 'its deputy back')
        # A process that is away can only go home.
        self.assertEqual(['ROOT_OWNED'], self.codes(job))
        self.check_refused(job, 'ROOT_OWNED', 'n3')
        self.assertEqual('n2', self.where(job))
        self.move(job, 'home')
        self.wait_until(lambda: self.om_json('why', job.pid)['state'] == 'home', 'it at home')
        self.assertEqual(['ROOT_OWNED'], self.codes(job))
        self.check_refused(job, 'ROOT_OWNED')
        self.assertRegex(self.om('why', job.pid).stdout, '^ROOT_OWNED: .*: one of its user ids is 0\n')
        # Nobody else's does.
        self.assertEqual([], self.codes(other))
        self.move(other, 'n2')
        self.restart('n1', *self.config('root_may_leave = true\n'), root_may_leave=False)
        self.assertEqual([], self.codes(job))
        self.move_at_last(job, 'n2')
        self.restart('n1')
        for each in (job, other):
            self.say(each, b'cured\n')
            self.end_right(each)

    def test_root_of_a_namespace_of_an_ordinary_user(self):
        """Has no more rights than that user."""
        user = {'user': DEFAULT_UID, 'group': DEFAULT_UID, 'extra_groups': [], 'cwd': '/'}
        inside = ('unshare', '--user', '--map-root-user', '--')
        if subprocess.run([*inside, 'true'], check=False, capture_output=True, **user).returncode != 0:
            self.skipTest('an ordinary user gets no user namespace here')
        self.restart('n1', root_may_leave=False)
        job = self.start(*inside, self.product.build / 'test/fault/provoke', 'NOTHING', stdin=subprocess.PIPE, **user)
        self.assertEqual(b'caused\n', job.stdout.readline())
        self.assertEqual((0, DEFAULT_UID), (int(om_process.read_proc(job.pid, 'uid_map').split()[0]),
                                            os.stat(f'/proc/{job.pid}').st_uid))
        self.assertEqual([], self.codes(job))
        self.move(job, 'n2')
        self.restart('n1')
        self.say(job, b'cured\n')
        self.end_right(job)

    def test_permission(self):
        job = self.program('NOTHING')
        done = subprocess.run([self.product.om, 'migrate', str(job.pid), 'n2'], check=False, text=True,
                              env=self.cluster.environment(), capture_output=True, user=DEFAULT_UID,
                              timeout=60, cwd='/')
        self.assertEqual((5, ''), (done.returncode, done.stdout), done.stderr)
        self.assertIn('PERMISSION', done.stderr)
        self.say(job, b'cured\n')
        self.end_right(job)


if __name__ == '__main__':
    main()
