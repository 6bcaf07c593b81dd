#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command line's contract on a real cluster: what each verb prints, JSON fields and their types, exit status,
results on stdout and diagnostics on stderr. Processes really move here; migrator_protocol_test.py tests the same daemon
with stand-ins for the helpers that move them. It is one file because all verbs run on the same cluster."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import unittest

from harness import ClusterCase, main
import om_machine
import om_process
from om_cluster import MIGRATE_FIELDS

NUMBER = (int, float)
PS_FIELDS = {'pid': int, 'home': str, 'at': str, 'threads': int, 'rss_bytes': int,
             'cpu_percent': NUMBER, 'cpu_ms': int, 'state': str, 'command': str}
NODE_FIELDS = {'name': str, 'state': str, 'address': str, 'self': bool, 'reason': str, 'cpus': int,
               'load': NUMBER, 'memory_bytes': int, 'free_bytes': int, 'guests': int, 'kernel': str,
               'version': str, 'rtt_us': NUMBER}
LOAD_FIELDS = {'running': NUMBER, 'cores': int, 'threads': int, 'speed': int, 'swap_bytes': int,
               'swap_free_bytes': int}
EVENT_FIELDS = {'number': int, 'time': str, 'kind': str, 'pid': int, 'node': str, 'code': str,
                'message': str}
REASON_FIELDS = {'code': str, 'message': str, 'remedy': str}
NO_PID = 4194304 - 1  # above any pid_max that is in use


class Commands(ClusterCase):
    def sleeper(self, node='n1'):
        """A process that waits until the test ends, and has completed its start."""
        job = self.start('/bin/sh', '-c', 'echo up; exec sleep 1000', node=node)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.wait_until(lambda: self.name_of(job.pid) == 'sleep', 'exec')
        self.wait_until(lambda: self.om('where', job.pid, node=node, expect=None).returncode == 0,
                        'libom')
        return job

    @staticmethod
    def name_of(pid):
        return om_process.read_proc(pid, 'comm').strip()

    def check_fields(self, item, fields):
        for name, kind in fields.items():
            self.assertIn(name, item)
            self.assertIsInstance(item[name], kind, name)

    def row(self, pid):
        return next((row for row in self.om_json('ps') if row['pid'] == pid), None)

    # Moving.

    def test_there_on_and_back(self):
        job = self.sleeper()
        self.assertEqual('n1', self.where(job))
        place = 'n1'
        for to, at in (('n2', 'n2'), ('n3', 'n3'), ('home', 'n1'), ('n3', 'n3'), ('n1', 'n1')):
            record = self.om_json('migrate', job.pid, to)
            self.check_fields(record, MIGRATE_FIELDS)
            self.assertEqual((job.pid, place, at, 'moved', ''),
                             tuple(record[k] for k in ('pid', 'from', 'to', 'result', 'code')))
            self.assertEqual(1, record['threads'])
            if at != 'n1':
                self.assertGreater(record['pages'], 0)
                self.assertGreaterEqual(record['bytes_raw'], record['pages'] * 4096)
                self.assertGreater(record['bytes_wire'], 0)
            self.assertLessEqual(record['freeze_ms'], record['total_ms'] + 1)
            self.assertEqual(at, self.where(job))
            self.assertEqual({'pid': job.pid, 'home': 'n1', 'at': at,
                              'state': 'home' if at == 'n1' else 'away'},
                             self.om_json('where', job.pid))
            place = at
        self.assertIsNone(job.poll())

    def test_human_output_of_migrate(self):
        job = self.sleeper()
        done = self.om('migrate', job.pid, 'n2')
        self.assertRegex(done.stdout, rf'^{job.pid}: n1 -> n2 in \d+ ms \(frozen [\d.]+ ms, .* sent\)\n$')
        self.assertEqual('', done.stderr)
        done = self.om('migrate', job.pid, 'n2')
        self.assertEqual('', done.stdout)
        self.assertIn('already', done.stderr)
        record = self.om_json('migrate', job.pid, 'n2')
        self.assertEqual(('moved', 'ALREADY_THERE', False),
                         (record['result'], record['code'], record['moved']))

    def test_openmosix_is_the_same_program(self):
        link = os.path.join(os.path.dirname(self.product.om), 'openmosix')
        self.assertTrue(os.path.samefile(link, self.product.om) or
                        subprocess.run(['cmp', link, self.product.om], check=False).returncode == 0)
        done = subprocess.run([link, 'nodes', '--json'], env=self.cluster.environment(), check=False,
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(['n1', 'n2', 'n3'], [node['name'] for node in json.loads(done.stdout)])

    # Looking.

    def test_controls_in_a_command_do_not_reach_the_terminal(self):
        """U+009B is ESC [ in one character, U+202E changes the direction of what follows."""
        name = 'a\u009b31m\u202eb'
        job = self.start('/bin/bash', '-c', 'exec -a "$0" sleep 1000', name)
        self.wait_until(lambda: (self.row(job.pid) or {}).get('command') == f'{name} 1000', 'the name')
        text = self.om('ps').stdout
        self.assertIn('a?31m?b 1000', text)
        for output in (text, self.om('ps', '--json').stdout):
            self.assertFalse(set(output) & set('\u009b\u202e'), output)

    def test_ps(self):
        job = self.sleeper()
        other = self.sleeper(node='n2')
        self.move(job, 'n2')
        row = self.wait_until(lambda: self.row(job.pid), 'a row in om ps')
        self.check_fields(row, PS_FIELDS)
        self.assertEqual(('n1', 'n2', 'away', 1, 'sleep 1000'),
                         tuple(row[k] for k in ('home', 'at', 'state', 'threads', 'command')))
        self.assertGreater(row['rss_bytes'], 0)
        self.assertIsNone(self.row(other.pid), 'a process of another node')
        text = self.om('ps').stdout
        self.assertRegex(text, r'(?m)^ *PID +HOME +AT ')
        self.assertRegex(text, rf'(?m)^ *{job.pid} +n1 +n2 +away ')
        self.assertNotIn('\x1b', text)
        self.move(job, 'home')
        self.assertEqual(('n1', 'home'), (self.row(job.pid)['at'], self.row(job.pid)['state']))
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        self.assertIsNone(self.row(job.pid))

    def test_cpu_percent_is_told_wherever_it_runs(self):
        job = self.start('/bin/sh', '-c', 'while :; do :; done')
        busy = lambda: (self.row(job.pid) or {}).get('cpu_percent', 0) > 10
        self.wait_until(busy, 'cpu_percent at home')
        self.move(job, 'n3')
        self.wait_until(busy, 'cpu_percent away')
        before = self.row(job.pid)['cpu_ms']
        self.wait_until(lambda: self.row(job.pid)['cpu_ms'] > before + 200, 'cpu_ms away')
        self.assertGreater(self.row(job.pid)['running'], 0)
        self.assertGreaterEqual(self.row(job.pid)['calls_per_cpu_s'], 0)

    def test_nodes(self):
        nodes = self.wait_until(
            lambda: all(node['state'] == 'up' for node in self.om_json('nodes')) and
            self.om_json('nodes'), 'all nodes up')
        for node in nodes:
            self.check_fields(node, NODE_FIELDS)
        self.assertEqual(['n1', 'n2', 'n3'], sorted(node['name'] for node in nodes))
        self.assertEqual(['n1'], [node['name'] for node in nodes if node['self']])
        self.assertEqual(os.sysconf('SC_NPROCESSORS_ONLN'), nodes[0]['cpus'])
        guests = lambda: {n['name']: n['guests'] for n in self.om_json('nodes', node='n2')}['n2']
        self.wait_until(lambda: guests() == 0, 'no guest at n2')
        job = self.sleeper()
        self.move(job, 'n2')
        self.wait_until(lambda: guests() == 1, 'a guest at n2')
        self.move(job, 'n3')
        self.wait_until(lambda: guests() == 0, 'no guest at n2')
        self.assertRegex(self.om('nodes').stdout, r'(?m)^n1\* +up ')

    def test_node_info(self):
        self.wait_until(lambda: {node['state'] for node in self.om_json('nodes')} == {'up'}, 'all nodes up')
        self.wait_until(lambda: self.om_json('node', 'info')['speed'] >= 10, 'a speed')
        own = self.om_json('node', 'info')
        self.check_fields(own, NODE_FIELDS)
        self.assertEqual(('n1', True, []), (own['name'], own['self'], own['refuses']))
        self.check_fields(own, LOAD_FIELDS)
        self.assertLessEqual(own['cores'], own['threads'])
        self.assertEqual(own['threads'], own['cpus'])
        self.assertIsInstance(own['memory_pressure'], (int, float, type(None)))
        changing = ('load', 'free_bytes', 'running', 'memory_pressure', 'swap_free_bytes')
        again = self.om_json('node', 'info', 'n1')
        self.assertEqual({**own, **{name: 0 for name in changing}}, {**again, **{name: 0 for name in changing}})
        confinement = own['confinement']
        self.assertLessEqual({'accept', 'namespaces', 'users', 'own_uids', 'cgroup', 'limits', 'used'},
                             set(confinement))
        self.assertEqual(own['guests'], confinement['used']['guests'])
        told = self.om('node', 'info').stdout
        for line in (f'node +n1 at {own["address"]}', 'state +up', 'cluster +', 'refused +', 'namespaces +',
                     "guests' users +", 'cgroups +', 'CPU +normal', 'memory +no limit', 'threads +', 'guests +'):
            self.assertRegex(told, f'(?m)^{line}')
        other = self.om_json('node', 'info', 'n2')
        self.check_fields(other, NODE_FIELDS)
        self.assertEqual(('n2', False, [], False), (other['name'], other['self'], other['refuses'],
                                                    'confinement' in other))
        self.assertRegex(self.om('node', 'info', 'n2').stdout, r'(?m)^guests +[0-9]+$')

    def test_node_info_counts_whom_it_refused(self):
        """Somebody who says nothing that a node would is counted, by cause."""
        before = self.om_json('node', 'info')['refused']
        host, port = self.om_json('node', 'info')['address'].rsplit(':', 1)
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b'GET / HTTP/1.0\r\n\r\n' * 20)
            stranger.shutdown(socket.SHUT_WR)
            self.wait_until(lambda: sum(self.om_json('node', 'info')['refused'].values()) > sum(before.values()),
                            'one more refusal')
        self.assertRegex(self.om('node', 'info').stdout, r'(?m)^refused +[1-9]')

    def test_node_why(self):
        self.wait_until(lambda: {node['state'] for node in self.om_json('nodes')} == {'up'}, 'all nodes up')
        self.assertEqual({'node': 'n2', 'reasons': []}, self.om_json('node', 'why', 'n2'))
        self.assertEqual('n2 takes processes\n', self.om('node', 'why', 'n2').stdout)
        for words in (('node', 'why', 'n9'), ('node', 'info', 'n9')):
            self.fails(4, *words, code='NO_SUCH_NODE')

    def test_events(self):
        job = self.sleeper()
        self.move(job, 'n2')
        self.move(job, 'home')
        events = self.om_json('events', job.pid)
        for event in events:
            self.check_fields(event, EVENT_FIELDS)
            self.assertRegex(event['time'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z$')
            self.assertEqual(job.pid, event['pid'])
        self.assertEqual(['n2', 'n1'], [e['node'] for e in events if e['kind'] == 'moved'])
        self.assertIn(str(job.pid), self.om('events').stdout)
        for event in events:
            if event['kind'] == 'moved':
                self.assertRegex(event['message'], r'^n\d -> n\d in \d+ ms, frozen \d+\.\d ms$')

    def kinds(self, pid):
        return [event['kind'] for event in self.om_json('events', pid)]

    def codes_of(self, pid):
        return [event['code'] for event in self.om_json('events', pid)]

    def test_a_job_that_ended_is_known_by_its_om_run(self):
        """One that was killed while away has ended; it does not run at home."""
        runner = self.start(self.product.om, 'run', '--', '/bin/sleep', '1000', preload=False)
        pid = self.wait_until(lambda: om_process.children(runner.pid), 'the job')[0]
        self.wait_until(lambda: self.name_of(pid) == 'sleep', 'exec')
        self.wait_until(lambda: self.om('migrate', runner.pid, 'n2', expect=None).returncode == 0, 'a move')
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(128 + signal.SIGTERM, runner.wait(30))
        self.wait_until(lambda: 'ended' in self.kinds(pid), 'the end')
        self.assertNotIn('home', self.kinds(pid))
        self.assertEqual(self.om_json('events', pid), self.om_json('events', runner.pid))
        self.assertIn('moved', self.kinds(runner.pid))

    def test_a_job_that_was_lost_is_known_by_its_om_run(self):
        script = 'echo up >&2; read x; echo up >&2; read x'
        runner = self.start(self.product.om, 'run', '--', '/bin/sh', '-c', script, preload=False, stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', runner.stderr.readline())
        pid = om_process.children(runner.pid)[0]
        self.om('migrate', runner.pid, 'n2')
        runner.stdin.write(b'go\n')
        runner.stdin.flush()
        self.assertEqual(b'up\n', runner.stderr.readline())  # it has acted there
        os.kill(next(body for body in om_process.descendants(os.getpid()) if self.name_of(body) == 'om-body' and
                     om_process.read_proc(body, 'stat')), signal.SIGKILL)
        runner.wait(30)
        said = self.om('why', runner.pid, expect=4).stderr
        self.assertIn('NODE_LOST', said)
        self.assertIn(f'process {pid} ', said)

    def test_coming_home_is_an_event_and_no_reason(self):
        job = self.start('/bin/sh', '-c', 'echo up; read x; /bin/true; echo "$x"; read x', stdin=subprocess.PIPE)
        self.assertEqual(b'up\n', job.stdout.readline())
        self.move(job, 'n2')
        job.stdin.write(b'on\n')
        job.stdin.flush()
        self.assertEqual(b'on\n', job.stdout.readline())
        self.wait_until(lambda: 'CAME_HOME' in self.codes_of(job.pid), 'CAME_HOME')
        self.move(job, 'n3')
        self.assertEqual((True, []), tuple(self.om_json('why', job.pid)[key] for key in ('can_move', 'reasons')))

    def test_a_keeper_that_fails_is_an_event(self):
        job = self.sleeper()
        self.move(job, 'n3')
        keeper = next(pid for pid in om_process.descendants(os.getpid())
                      if self.name_of(pid) == 'om-guest' and 'n3' in om_process.read_proc(pid, 'cmdline').split('\0'))
        os.kill(keeper, signal.SIGKILL)
        self.wait_until(lambda: 'KEEPER_FAILED' in [event['code'] for event in self.om_json('events', node='n3')],
                        'KEEPER_FAILED')

    def test_a_guest_is_not_a_process_of_the_node(self):
        """There om says whose guest it is, for either pid."""
        job = self.sleeper()
        self.move(job, 'n2')
        body = next(pid for pid in om_process.descendants(os.getpid()) if self.name_of(pid) == 'om-body')
        for pid in (job.pid, body):
            for verb, status in ((('where', pid), 4), (('migrate', pid, 'n3'), 6)):
                said = self.om(*verb, node='n2', expect=status).stderr
                self.assertIn('GUEST', said)
                self.assertIn(f'process {job.pid} of n1', said)
                self.assertNotIn('OM_CONTROL', said)

    def test_ps_shows_whose_guest_it_is(self):
        """On each node where it stays; a name cannot control the terminal. The program still sees its own."""
        pr_set_mm, pr_set_mm_map_size = 35, 15
        if ctypes.CDLL(None).prctl(pr_set_mm, pr_set_mm_map_size, ctypes.byref(ctypes.c_uint()), 0, 0) != 0:
            self.skipTest('this kernel has no PR_SET_MM_MAP (CONFIG_CHECKPOINT_RESTORE)')
        name = 'evil\x1b]0;\n\xe9'
        script = f"""
import ctypes, sys
ctypes.CDLL(None).prctl(15, {name.encode()!r})
for line in sys.stdin:
    print(repr(open('/proc/self/cmdline').read()), flush=True)
"""
        job = self.start('/usr/bin/python3', '-c', script, stdin=subprocess.PIPE)

        def own_command():
            job.stdin.write(b'on\n')
            job.stdin.flush()
            return job.stdout.readline()
        own = own_command()
        for node in ('n2', 'n3', 'n2'):
            self.move(job, node)
            body, = (pid for pid in om_process.descendants(os.getpid()) if self.name_of(pid) == 'om-body' and
                     om_process.alive(pid))
            self.assertEqual(f'om-body: {job.pid}@n1 evil?]0;???\0', om_process.read_proc(body, 'cmdline'))
            keeper = om_process.read_proc(int(om_process.stat_fields(body)[1]), 'cmdline').split('\0')
            self.assertEqual(f'{job.pid}@n1', keeper[keeper.index('--guest') + 1])
            self.assertEqual(own, own_command())

    def test_bad_peers(self):
        """A file with an error changes nothing, and the answer says where the error is."""
        node = self.cluster.directory + '/n2'
        command = om_process.read_proc(self.daemon_pid('n2'), 'cmdline').split('\0')
        if '--peers' in command:
            path = pathlib.Path(command[command.index('--peers') + 1])
        else:
            killed = self.kill_daemon('n2')
            path = pathlib.Path(node, 'peers')
            peers = ''.join(f"{n['name']} {n['address']}\n" for n in self.om_json('nodes'))
            path.write_text(peers, encoding='ascii')
            killed[1].extend(['--peers', str(path)])
            self.restart_daemon(killed)
        good = path.read_text(encoding='ascii')
        path.write_text(good + 'n9 nowhere at all\n', encoding='ascii')
        self.fails(1, 'debug', 'peers.reload', code='BAD_PEERS', env=self.cluster.environment('n2'))
        self.assertEqual(3, len(self.om_json('nodes', node='n2')))
        path.write_text(good + 'n9 localhost:1\n', encoding='ascii')  # names are looked up
        self.om('debug', 'peers.reload', node='n2')
        addresses = {n['name']: n['address'] for n in self.om_json('nodes', node='n2')}
        self.assertIn(addresses['n9'], ('127.0.0.1:1', '[::1]:1'))
        path.write_text(good, encoding='ascii')
        self.om('debug', 'peers.reload', node='n2')

    def test_too_many_requests(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.cluster.environment()['OM_CONTROL'])
            waiting = b'{"verb":"epitaph","pid":%d,"wait_ms":60000}\n' % self.away().pid
            client.sendall(waiting * 200)
            with client.makefile('r', encoding='utf-8') as answers:
                self.assertEqual('TOO_MANY_REQUESTS', json.loads(answers.readline())['code'])

    def away(self):
        job = self.sleeper()
        self.move(job, 'n2')
        return job

    def test_why_and_check(self):
        job = self.sleeper()
        why = self.om_json('why', job.pid)
        self.assertEqual((True, [], job.pid), (why['can_move'], why['reasons'], why['pid']))
        self.assertEqual(f'process {job.pid} can move\n', self.om('why', job.pid).stdout)
        os.kill(job.pid, signal.SIGSTOP)
        why = self.wait_until(lambda: (lambda w: not w['can_move'] and w)(self.om_json('why', job.pid)),
                              'STOPPED')
        self.check_fields(why['reasons'][0], REASON_FIELDS)
        self.assertEqual('STOPPED', why['reasons'][0]['code'])
        self.assertTrue(why['reasons'][0]['message'] and why['reasons'][0]['remedy'])
        self.assertIn('STOPPED', self.om('why', job.pid).stdout)
        os.kill(job.pid, signal.SIGCONT)
        self.wait_until(lambda: self.om_json('why', job.pid)['can_move'], 'the reason gone')
        self.assertEqual(0, self.om('check', '--', 'sleep', '1').returncode)
        check = json.loads(self.om('check', '--json', '--', 'sleep', '1').stdout)
        self.assertEqual((True, []), (check['can_move'], check['reasons']))
        self.assertTrue(check['program'].endswith('/sleep'))

    def test_doctor_and_version(self):
        doctor = self.om_json('doctor', expect=None)
        self.assertIsInstance(doctor['ok'], bool)
        for check in doctor['checks']:
            self.check_fields(check, {'check': str, 'status': str, 'detail': str, 'remedy': str})
            self.assertIn(check['status'], ('ok', 'warn', 'fail'))
        self.assertEqual(0 if doctor['ok'] else 1, self.om('doctor', expect=None).returncode)
        self.assertTrue(doctor['ok'], doctor)
        version = self.om_json('version')
        self.assertEqual(version['version'], version['daemon']['version'])
        self.assertIn(version['version'], self.om('version').stdout)

    def test_doctor_tries_abilities_out(self):
        """A machine is fine even if its /proc/cpuinfo lacks what nothing needs."""
        lacking = om_machine.lacks_namespaces(om_machine.CLONE_NEWUSER | om_machine.CLONE_NEWNS, 'user and mount')
        if lacking or shutil.which('unshare') is None:
            self.skipTest(lacking or 'no unshare(1)')
        shown = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').replace(' fsgsbase', '')
        (self.folder / 'cpuinfo').write_text(shown, encoding='utf-8')
        done = subprocess.run(['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
                               'mount --bind "$1" /proc/cpuinfo && exec "$2" doctor --json', 'sh',
                               self.folder / 'cpuinfo', self.product.om], env=self.cluster.environment(),
                              capture_output=True, text=True, timeout=30, check=False)
        if not done.stdout:
            self.skipTest(f'no /proc/cpuinfo of its own: {done.stderr.strip()}')
        checks = {check['check']: check for check in json.loads(done.stdout)['checks']}
        self.assertEqual('ok', checks['cpu']['status'], checks['cpu'])

    # Exit status.

    def fails(self, status, *arguments, code='', env=None, limit=60):
        """om must end with `status`, print nothing on stdout, and say why on stderr."""
        done = self.cluster.run(*map(str, arguments), limit=limit,
                                env=env or self.cluster.environment())
        self.assertEqual((status, ''), (done.returncode, done.stdout), (arguments, done.stderr))
        self.assertTrue(done.stderr.startswith('om: '), done.stderr)
        self.assertIn(code, done.stderr)
        self.assertNotIn('\x1b', done.stderr)
        return done.stderr

    def test_status_2_wrong_command_line(self):
        for words in (('migrate',), ('migrate', '1'), ('migrate', 'x', 'n2'), ('migrate', '-5', 'n2'),
                      ('nonsense',), ('ps', '--nonsense'), ('node',), ('node', 'why'), ('where',), ('check',),
                      ('cluster', 'dev', 'start')):
            with self.subTest(words=words):
                self.fails(2, *words)

    def test_status_3_no_daemon(self):
        env = {**self.cluster.environment(), 'OM_CONTROL': str(self.folder / 'no.sock')}
        for words in (('ps',), ('nodes',), ('node', 'info'), ('node', 'why', 'n2'), ('where', '1'),
                      ('migrate', os.getpid(), 'n2'), ('events',)):
            with self.subTest(words=words):
                said = self.fails(3, *words, env=env)
                self.assertIn(str(self.folder / 'no.sock'), said)
                self.assertIn('om-migrator --name', said, 'how to start one')
        # A socket on which nobody answers, as after a crash.
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(self.folder / 'dead.sock'))
        dead.close()
        self.fails(3, 'ps', env={**env, 'OM_CONTROL': str(self.folder / 'dead.sock')})
        done = self.cluster.run('why', str(os.getpid()), '--json', env=env)
        self.assertEqual(3, done.returncode)
        self.assertIn('NO_DAEMON', [r['code'] for r in json.loads(done.stdout)['reasons']])

    def test_status_4_no_such_process_or_node(self):
        job = self.sleeper()
        self.fails(4, 'migrate', NO_PID, 'n2')
        self.fails(4, 'where', NO_PID)
        self.fails(4, 'why', NO_PID)
        self.assertIn('n7', self.fails(4, 'migrate', job.pid, 'n7', code='NO_SUCH_NODE'))
        self.fails(4, 'debug', 'session', job.pid, code='NO_DEPUTY')
        ended = subprocess.Popen(['/bin/true'])
        ended.wait()
        self.fails(4, 'migrate', ended.pid, 'n2')
        done = self.om('migrate', NO_PID, 'n2', '--json', expect=4)
        self.assertEqual(('failed', 'NO_SUCH_PROCESS'),
                         tuple(json.loads(done.stdout)[k] for k in ('result', 'code')))

    @staticmethod
    def process_of_another_user():
        for entry in pathlib.Path('/proc').iterdir():
            try:
                if entry.name.isdigit() and entry.stat().st_uid != os.geteuid():
                    return int(entry.name)
            except OSError:
                continue  # it has just ended
        return None

    @unittest.skipIf(os.geteuid() == 0, 'root may move any process')
    def test_status_5_permission(self):
        other = self.process_of_another_user()
        if other is None:
            self.skipTest('no process of another user is to be seen in /proc')
        self.fails(5, 'migrate', other, 'n2', code='PERMISSION')

    def test_status_6_refused(self):
        bare = self.start('/bin/sleep', '1000', preload=False)
        self.wait_until(lambda: self.name_of(bare.pid) == 'sleep', 'exec')
        self.fails(6, 'migrate', bare.pid, 'n2', code='NOT_PRELOADED')
        job = self.sleeper()
        os.kill(job.pid, signal.SIGSTOP)
        self.wait_until(lambda: not self.om_json('why', job.pid)['can_move'], 'STOPPED')
        self.fails(6, 'migrate', job.pid, 'n2', code='STOPPED')
        record = json.loads(self.om('migrate', job.pid, 'n2', '--json', expect=6).stdout)
        self.check_fields(record, MIGRATE_FIELDS)
        self.assertEqual(('refused', 'STOPPED', 'n1', 'n2'),
                         tuple(record[k] for k in ('result', 'code', 'from', 'to')))

    def test_status_7_timeout(self):
        job = self.sleeper()
        self.fails(7, 'migrate', job.pid, 'n2', '--timeout', '0.001', code='TIMEOUT')
        # The move continues, or never began: either way the process is soon somewhere and can move again.
        self.wait_until(lambda: self.om_json('where', job.pid)['state'] in ('home', 'away'), 'an end')
        self.move(job, 'n3')

    def test_wrong_words_are_told_the_right_ones(self):
        """Each error is one line that names what was meant, or where to look."""
        for words, said in ((('mig', '1', 'n2'), 'there is no verb mig; did you mean om migrate?'),
                            (('evnets',), 'there is no verb evnets; did you mean om events?'),
                            (('top',), 'there is no verb top; see om --help'),
                            (('cluster', 'begin'), 'there is no verb begin; see om cluster --help'),
                            (('cluster', 'dev', 'strat'), 'did you mean om cluster dev start?'),
                            (('migrate', 'abc', 'n2'), 'abc is no process number'),
                            (('events', '0'), '0 is no process number'),
                            (('migrate', '1', 'n2', '--timeout', 'soon'),
                             'soon is not a number of seconds from 0.001 to 86400')):
            with self.subTest(words=words):
                line = self.fails(2, *words).splitlines()[0]
                self.assertTrue(line.endswith(said), line)
        done = self.cluster.run()
        self.assertEqual((2, ''), (done.returncode, done.stdout))
        self.assertIn('migrate', done.stderr)

    def test_help_by_verb(self):
        self.assertEqual(self.om('--help').stdout, self.om('help').stdout)
        self.assertEqual(self.om('migrate', '--help').stdout, self.om('help', 'migrate').stdout)
        self.assertEqual(self.om('cluster', 'dev', 'start', '--help').stdout,
                         self.om('help', 'cluster', 'dev', 'start').stdout)
        self.fails(2, 'help', 'nonsense')

    def test_every_program_tells_its_version(self):
        version = self.om_json('version')['version']
        for name in ('om-migrator', 'om-deputy', 'om-guest'):
            done = subprocess.run([self.product.found[name], '--version'], capture_output=True, text=True,
                                  timeout=30, check=True)
            self.assertEqual((f'{name} {version}\n', ''), (done.stdout, done.stderr))

    def test_help_is_for_every_verb(self):
        listed = self.om('--help').stdout.partition('Subcommands:\n')[2]
        verbs = re.findall(r'^  ([a-z]+) ', listed, re.M)
        self.assertIn('cluster', verbs)
        for verb in verbs:
            done = self.om(verb, '--help')
            self.assertIn(f'om {verb}', done.stdout)
            self.assertEqual('', done.stderr)

    def test_no_colour_unless_on_a_terminal(self):
        if shutil.which('script') is None:
            self.skipTest('no script(1)')
        job = self.sleeper()
        self.move(job, 'n2')
        plain = {key: value for key, value in self.cluster.environment().items() if key != 'NO_COLOR'}
        plain['TERM'] = 'xterm-256color'

        def on_a_terminal(env):
            done = subprocess.run(['script', '-qec', f'{self.product.om} ps', '/dev/null'], env=env,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True)
            return done.stdout
        self.assertIn(b'\x1b[', on_a_terminal(plain))
        self.assertNotIn(b'\x1b[', on_a_terminal({**plain, 'NO_COLOR': '1'}))
        self.assertNotIn('\x1b', self.cluster.run('ps', env=plain).stdout)


class Preloaded(ClusterCase):
    """Programs with only LD_PRELOAD, with and without a daemon."""
    nodes = 2

    SCRIPT = ('import os, signal, sys, threading\n'
              'print(sorted(os.listdir("/proc/self/fd")))\n'
              'print(open("/proc/self/comm").read(), end="")\n'
              'print([signal.getsignal(n) for n in (signal.SIGSYS, signal.SIGURG, signal.SIGUSR1)])\n'
              'print([l for l in open("/proc/self/status") if l.startswith(("Seccomp:", "SigCgt", "SigBlk"))])\n'
              'print(threading.active_count(), len(os.listdir("/proc/self/task")))\n'
              'print("to stderr", file=sys.stderr)\n'
              'sys.exit(7)\n')

    def outcome(self, **settings):
        env = {key: value for key, value in self.cluster.environment().items()
               if not key.startswith('OM_')}
        done = subprocess.run(['/usr/bin/python3', '-S', '-E', '-c', self.SCRIPT], env={**env, **settings},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_native_without_a_daemon(self):
        want = self.outcome()
        self.assertEqual(7, want[0])
        library = self.product.preload
        self.assertEqual(want, self.outcome(LD_PRELOAD=library))
        self.assertEqual(want, self.outcome(LD_PRELOAD=library, OM_CONTROL='/nowhere/control.sock'))
        self.assertEqual(want, self.outcome(LD_PRELOAD=library,
                                            OM_CONTROL=self.cluster.environment()['OM_CONTROL']))

    def test_a_command_of_another_node_does_not_see_it(self):
        job = self.start('/bin/sleep', '1000', node='n2')
        self.wait_until(lambda: self.om('where', job.pid, node='n2', expect=None).returncode == 0, 'libom')
        self.assertEqual('n2\n', self.om('where', job.pid, node='n2').stdout)
        said = self.om('where', job.pid, node='n1', expect=4).stderr
        self.assertIn('OTHER_NODE', said)
        self.assertNotIn('OM_CONTROL', said)
        self.om('migrate', job.pid, 'n1', node='n2')
        self.assertEqual('n1\n', self.om('where', job.pid, node='n2').stdout)


if __name__ == '__main__':
    main()
