#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""om cluster run: a private cluster for the life of one command. The hosts are directories here: a launcher starts the
shell in each. Some are no use, as their names say. Slurm is a pair of scripts on PATH."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness import OwnClusterCase, main
import om_machine
import om_process

STEADY = ('import sys, threading\n'
          'threading.Thread(target=lambda: (sys.stdin.read(), done.append(1)), daemon=True).start()\n'
          'done, n = [], 0\n'
          'while not done:\n'
          '    print(n, flush=True); n += 1\n'
          '    sum(range(20000)); threading.Event().wait(0.01)\n'
          'sys.exit(3)\n')

LAUNCHER = '''#!/bin/sh
host=$1
shift
path=/usr/bin:/bin
mkdir -p "$OM_TEST_HOSTS/$host"
case $host in
gone*) echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255 ;;
silent*) while read -r line; do :; done; exit ;;
odd*) echo om-host 1; echo something else; exec cat >/dev/null ;;
arch*|old*|musl*) path=$OM_TEST_TOOLS/$host:$path ;;
damaged*|untraced*) set -- /usr/bin/python3 "$OM_TEST_TOOLS/$host.py" "$@" ;;
installed*) path=$OM_TEST_TOOLS/prefix/bin:$path ;;
talking*) echo Welcome to this host; echo; echo fail is not what it means ;;
esac
echo $$ >"$OM_TEST_TOOLS/$host.pid"
exec env -i PATH="$path" HOME=/nonexistent TMPDIR="$OM_TEST_HOSTS/$host" "$@"
'''

# Passes on what it reads, one byte of a program changed.
DAMAGED = '''import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
passed = 0
while True:
    block = bytearray(os.read(0, 1 << 16))
    if not block:
        break
    if passed <= 1_000_000 < passed + len(block):
        block[1_000_000 - passed] ^= 1
    passed += len(block)
    try:
        child.stdin.write(block)
        child.stdin.flush()
    except BrokenPipeError:
        break
child.stdin = None
sys.exit(child.wait())
'''

UNTRACED = '''import os, sys
sys.path.insert(0, %r)
import om_machine
SYS_ptrace, EPERM = 101, 1
error = om_machine.install_filter((0x20, 0, 0, 0), (0x15, 0, 1, SYS_ptrace), (6, 0, 0, 0x50000 | EPERM),
                                  (6, 0, 0, om_machine.SECCOMP_RET_ALLOW))
assert error == 0, error
os.execvp(sys.argv[1], sys.argv[1:])
''' % os.path.dirname(om_machine.__file__)


class Run:
    """An om cluster run that goes on."""

    def __init__(self, case, *arguments, environment=None, before=(), **how):
        self.case = case
        how = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'cwd': case.here,
               'start_new_session': True, **how}
        self.process = subprocess.Popen([*before, case.product.om, 'cluster', 'run', *map(str, arguments)],
                                        env={**case.environment(), **(environment or {})}, **how)
        case.addCleanup(case.end, self.process)
        self.said = []

    def wait_for_control(self):
        """Reads stderr until the cluster is there."""
        for line in self.process.stderr:
            self.said.append(line.decode())
            if 'OM_CONTROL=' in self.said[-1]:
                self.control = self.said[-1].strip().partition('OM_CONTROL=')[2]
                return
        self.case.fail(''.join(self.said))

    def job(self):
        """The pid of the command, once it has written its first line."""
        self.process.stdout.readline()
        self.read = 1
        return next(pid for pid in om_process.children(self.process.pid)
                    if om_process.read_proc(pid, 'cmdline').startswith('/usr/bin/python3'))

    def check_steady(self):
        for number in range(self.read, self.read + 5):
            self.case.assertEqual(b'%d\n' % number, self.process.stdout.readline())
        self.read += 5

    def om(self, *arguments, expect=0):
        done = subprocess.run([self.case.product.om, *map(str, arguments)], text=True, capture_output=True, timeout=100,
                              env={**self.case.environment(), 'OM_CONTROL': self.control}, check=False)
        self.case.assertEqual(expect, done.returncode, f'om {arguments}: {done.stdout}{done.stderr}')
        return done.stdout

    def nodes(self):
        return {row['name'] for row in json.loads(self.om('nodes', '--json'))
                if not row['self'] and row['state'] == 'up'}

    def end_input(self):
        self.process.stdin.close()
        self.process.stdin = None

    def finish(self, status, limit=100):
        out, err = self.process.communicate(timeout=limit)
        said = ''.join(self.said) + err.decode()
        self.case.assertEqual(status, self.process.returncode, said)
        return out.decode(), said


class RunCase(OwnClusterCase):
    work = 'crun'

    def setUp(self):
        # Short, for the sockets in it.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix='omr', dir='/tmp'))
        self.addCleanup(shutil.rmtree, self.place)
        self.here, self.hosts, self.tools = (self.place / name for name in ('o', 'h', 't'))
        for folder in (self.here, self.hosts, self.tools):
            folder.mkdir()
        self.make_launcher()
        self.addCleanup(self.check_nothing_left)

    def make_launcher(self):
        self.script('launch', LAUNCHER)
        for host, tool, text in (('arch', 'uname', 'echo riscv64'), ('old', 'getconf', 'echo glibc 2.17'),
                                 ('musl', 'getconf', 'exit 1')):
            (self.tools / host).mkdir()
            self.script(f'{host}/{tool}', '#!/bin/sh\n' + text + '\n')
        (self.tools / 'damaged.py').write_text(DAMAGED)
        (self.tools / 'untraced.py').write_text(UNTRACED)

    def script(self, name, text):
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)

    def environment(self):
        result = {**self.product.environment(self.here), 'OM_TEST_HOSTS': str(self.hosts),
                  'OM_TEST_TOOLS': str(self.tools)}
        result['PATH'] = f'{self.tools}:{result["PATH"]}'
        return result

    def directories(self):
        return [str(path) for path in [*self.here.glob('om-run.*'), *self.hosts.glob('*/om-run.*')]]

    def check_nothing_left(self):
        left = om_process.end_descendants(grace=30)
        self.assertEqual(([], []), (left, self.directories()))

    def start_run(self, hosts, *command, **how):
        return Run(self, '--hosts', hosts, '--launcher', self.tools / 'launch', '--verbose', '--', *command, **how)

    def start_steady(self, hosts):
        run = self.start_run(hosts, '/usr/bin/python3', '-c', STEADY)
        run.wait_for_control()
        return run, run.job()

    def run_quietly(self, hosts, *command, status=0, stdin=b''):
        """Without --verbose: stdout and stderr of what has ended."""
        done = subprocess.run([self.product.om, 'cluster', 'run', '--hosts', hosts, '--launcher', self.tools / 'launch',
                               '--', *command], input=stdin, capture_output=True, env=self.environment(), timeout=100,
                              cwd=self.here, check=False)
        self.assertEqual(status, done.returncode, done.stderr)
        return done.stdout.decode(), done.stderr.decode()


class Command(RunCase):
    def test_is_as_if_nothing_were_around_it(self):
        out, err = self.run_quietly('alpha,beta', 'sh', '-c', 'cat; echo to stderr >&2; exit 7', stdin=b'from stdin\n',
                                    status=7)
        self.assertEqual(('from stdin\n', 'to stderr\n'), (out, err))

    def test_moves_through_the_hosts(self):
        run, job = self.start_steady('alpha,user@beta.example.org,beta')
        self.assertEqual({'alpha', 'beta', 'beta-2'}, run.nodes())
        self.assertEqual(3, len([line for line in run.said if 'copied' in line]))
        self.assertEqual(4, len(self.directories()))
        for directory in self.directories():
            self.assertEqual(0o700, os.stat(directory).st_mode & 0o777)
        for to in ('alpha', 'beta-2', 'home', 'beta'):
            run.om('migrate', job, to)
            run.check_steady()
            self.assertEqual(to, run.om('where', job).strip() if to != 'home' else to)
        run.end_input()
        run.finish(3)
        self.assertEqual([], self.directories())

    def test_command_that_does_not_exist(self):
        out, err = self.run_quietly('alpha', './no-such-command', status=127)
        self.assertEqual('', out)
        self.assertIn('no-such-command', err)

    def test_what_stays_in_the_background_comes_home(self):
        run = self.start_run('alpha', 'sh', '-c', 'python3 -c "$0" </dev/zero & echo $!; read x; exit 4',
                             STEADY.replace('sys.stdin.read()', 'threading.Event().wait()'))
        run.wait_for_control()
        pid = int(run.process.stdout.readline())
        self.wait_until(lambda: run.process.stdout.readline() == b'5\n', 'it at work')
        run.om('migrate', pid, 'alpha')
        run.process.stdin.write(b'go\n')
        run.process.stdin.flush()
        self.wait_until(lambda: run.process.poll() is not None, 'the end of the cluster', limit=60)
        self.assertEqual(4, run.process.returncode)
        first = int(run.process.stdout.readline())
        for number in range(first + 1, first + 200):
            self.assertEqual(number, int(run.process.stdout.readline()))
        os.kill(pid, signal.SIGKILL)


class Ends(RunCase):
    def test_ctrl_c(self):
        run, job = self.start_steady('alpha,beta')
        run.om('migrate', job, 'alpha')
        os.killpg(run.process.pid, signal.SIGINT)
        run.finish(130)
        self.assertEqual([], self.directories())

    def test_killed(self):
        run, job = self.start_steady('alpha,beta')
        run.om('migrate', job, 'alpha')
        run.process.kill()
        run.process.wait()
        self.wait_until(lambda: not self.directories(), 'everything gone', limit=60)
        self.wait_until(lambda: not om_process.alive(job), 'the end of the job')

    def test_while_it_starts(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            run = self.start_run('alpha,silent', 'true')
            self.wait_until(lambda: list(self.hosts.glob('alpha/om-run.*/lib/*')), 'alpha being filled')
            os.killpg(run.process.pid, number)
            run.finish(status)
            self.wait_until(lambda: not self.directories(), 'everything gone', limit=60)

    def test_host_that_goes(self):
        run, job = self.start_steady('alpha,beta')
        run.om('migrate', job, 'alpha')
        shell = int((self.tools / 'alpha.pid').read_text())
        far = next(pid for pid in om_process.descendants(shell)
                   if 'run-node' in om_process.read_proc(pid, 'cmdline').split('\0'))
        os.kill(far, signal.SIGKILL)
        self.wait_until(lambda: run.om('where', job).strip() not in ('alpha', 'moving'), 'it at home', limit=60)
        run.check_steady()
        run.om('migrate', job, 'beta')
        run.check_steady()
        run.end_input()
        _, said = run.finish(3)
        self.assertIn('om: alpha has gone: ', said)


class Hosts(RunCase):
    REASONS = {'gone': 'No route to host', 'odd': 'answers something else: something else',
               'arch': 'its architecture is riscv64', 'old': 'its C library is glibc 2.17; glibc 2.',
               'musl': 'its C library is no glibc', 'damaged': 'has arrived damaged', 'untraced': 'ptrace'}

    def test_what_is_no_use_is_left_out(self):
        run = self.start_run(','.join([*self.REASONS, 'talking']), 'sh', '-c', 'read x')
        run.wait_for_control()
        self.assertEqual({'talking'}, run.nodes())
        said = [line for line in run.said if 'left out' in line]
        self.assertEqual(len(self.REASONS), len(said), said)
        for host, reason in self.REASONS.items():
            self.assertEqual(1, len([line for line in said
                                     if line.startswith(f'om: {host} is left out: ') and reason in line]), (host, said))
        self.assertEqual(2, len(self.directories()))
        run.process.stdin.write(b'\n')
        run.finish(0)

    def test_none_is_left(self):
        out, err = self.run_quietly('gone', 'sh', '-c', 'echo "$OM_CONTROL"; exit 5', status=5)
        self.assertEqual(['om: gone is left out: ssh: connect to host gone port 22: No route to host',
                          'om: no host is left: the command runs here'], err.splitlines())
        self.assertTrue(out.startswith(str(self.here)), out)

    def test_slurm(self):
        self.script('scontrol', '#!/bin/sh\ntest "$*" = "show hostnames n[1-3]" && printf "n1\\nn2\\nn3\\n"\n')
        self.script('srun', '#!/bin/sh\necho "$*" >>"$OM_TEST_TOOLS/srun.log"\n'
                    'for word; do case $word in --nodelist=*) host=${word#*=} ;; esac; done\n'
                    'exec "$OM_TEST_TOOLS/launch" "$host" /bin/sh\n')
        run = Run(self, '--slurm', '--verbose', 'sh', '-c', 'read x; exit 6',
                  environment={'SLURM_JOB_ID': '17', 'SLURM_JOB_NODELIST': 'n[1-3]', 'SLURMD_NODENAME': 'n1'})
        run.wait_for_control()
        self.assertEqual({'n2', 'n3'}, run.nodes())
        asked = (self.tools / 'srun.log').read_text().splitlines()
        self.assertEqual([f'--quiet --jobid=17 --nodes=1 --ntasks=1 --overlap --cpu-bind=none --nodelist={host} /bin/sh'
                          for host in ('n2', 'n3')], sorted(asked))
        run.process.stdin.write(b'\n')
        run.finish(6)

    def test_wrong_command_lines(self):
        for arguments, said in ((('--', 'true'), '--hosts or --slurm'),
                                (('--slurm', '--', 'true'), 'no Slurm allocation'),
                                (('--slurm', '--hosts', 'a', '--', 'true'), 'neither --hosts'),
                                (('--hosts', 'a,,b', '--', 'true'), 'empty name'),
                                (('--hosts', 'a,-oProxyCommand=x', '--', 'true'), 'no name of a host'),
                                (('--hosts', 'a,b;x', '--', 'true'), 'no name of a host'),
                                (('--hosts', 'a,a', '--', 'true'), 'twice'),
                                (('--hosts', 'a', '--balance', 'spread', '--', 'true'), 'only none'),
                                (('--hosts', 'a'), 'no command')):
            done = subprocess.run([self.product.om, 'cluster', 'run', *arguments], text=True, capture_output=True,
                                  env=self.environment(), timeout=30, check=False)
            self.assertEqual(2, done.returncode, arguments)
            self.assertIn(said, done.stderr)


class More(RunCase):
    """Of the suite full."""

    def test_killed_with_the_process_that_keeps_the_cluster(self):
        run, job = self.start_steady('alpha,beta')
        run.om('migrate', job, 'alpha')
        keeper = next(pid for pid in om_process.children(run.process.pid) if pid != job)
        os.kill(keeper, signal.SIGKILL)
        run.process.kill()
        run.process.wait()
        self.wait_until(lambda: not list(self.hosts.glob('*/om-run.*')), 'everything gone there', limit=60)
        self.wait_until(lambda: not om_process.alive(job), 'the end of the job')
        self.assertEqual([], om_process.end_descendants(grace=30))
        shutil.rmtree(*self.here.glob('om-run.*'))  # as documented

    def install(self):
        prefix = self.tools / 'prefix'
        library = prefix / 'lib/x86_64-linux-gnu/om'
        for folder in (prefix / 'bin', prefix / 'libexec/om', library):
            folder.mkdir(parents=True)
        for name, folder in (('om', 'bin'), ('om-migrator', 'bin'), ('om-deputy', 'libexec/om'),
                             ('om-guest', 'libexec/om'), ('om-body', 'libexec/om')):
            shutil.copy(self.product.found[name], prefix / folder / name)
        shutil.copy(self.product.preload, library / 'libom.so')
        return prefix

    def test_what_is_installed_is_not_copied(self):
        prefix = self.install()
        for same in (True, False):
            if not same:
                with open(prefix / 'libexec/om/om-guest', 'ab') as file:
                    file.write(b'another build')
            run, job = self.start_steady('installed')
            self.assertEqual(same, any('programs installed' in line for line in run.said), run.said)
            copied = {path.name for path in self.hosts.glob('installed/om-run.*/bin/*')}
            self.assertEqual(set() if same else
                             {'om', 'om-migrator', 'om-deputy', 'om-guest', 'om-body', 'libom.so'}, copied)
            run.om('migrate', job, 'installed')
            run.check_steady()
            run.end_input()
            run.finish(3)

    def test_terminated(self):
        run, job = self.start_steady('alpha')
        run.om('migrate', job, 'alpha')
        run.process.send_signal(signal.SIGTERM)
        run.finish(143)


if __name__ == '__main__':
    main()
