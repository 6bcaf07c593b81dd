#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""om cluster run by ssh(1): real sshd in network namespaces, with keys and configuration of their own. Needs root."""

import json
import os
import pathlib
import signal
import subprocess

from cluster_run_test import STEADY, Run, RunCase
from harness import main
import om_machine
import om_process

SSHD = '''ListenAddress %(address)s
Port 22
HostKey %(tools)s/host_key
AuthorizedKeysFile %(tools)s/user_key.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
'''

SSH = '''Host %(host)s
  HostName %(address)s
  HostKeyAlias pcs
'''

SSH_ALL = '''Host *
  User root
  IdentityFile %(tools)s/user_key
  IdentitiesOnly yes
  UserKnownHostsFile %(tools)s/known_hosts
  GlobalKnownHostsFile none
'''


class SshCase(RunCase):
    """Three sshd, each in a network namespace; om runs in a fourth one, which has the bridge between them."""
    needs_root = True
    HOSTS = ('pc1', 'pc2', 'pc3')

    @classmethod
    def lacks(cls):
        return om_machine.lacks_network_namespaces() or (
            '' if os.path.exists('/usr/sbin/sshd') else 'no /usr/sbin/sshd (openssh-server)')

    def ip(self, *words):
        subprocess.run(['ip', *words], check=True, capture_output=True)

    def make_launcher(self):
        tag = f'omr{os.getpid()}'
        self.home = f'{tag}-home'
        self.namespaces = {host: f'{tag}-{host}' for host in self.HOSTS}
        self.sshd = []
        self.addCleanup(self.remove_namespaces)
        for name in (self.home, *self.namespaces.values()):
            self.ip('netns', 'add', name)
            self.ip('-n', name, 'link', 'set', 'lo', 'up')
        self.ip('-n', self.home, 'link', 'add', 'br0', 'type', 'bridge')
        self.ip('-n', self.home, 'addr', 'add', '10.77.9.1/24', 'dev', 'br0')
        self.ip('-n', self.home, 'link', 'set', 'br0', 'up')
        for key in ('host_key', 'user_key'):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', self.tools / key], check=True)
        (self.tools / 'known_hosts').write_text('pcs ' + (self.tools / 'host_key.pub').read_text())
        for number, host in enumerate(self.HOSTS, 11):
            self.start_host(host, f'10.77.9.{number}')
        names = {'tools': self.tools}
        config = ''.join(SSH % {'host': host, 'address': f'10.77.9.{number}'}
                         for number, host in enumerate((*self.HOSTS, 'pc4'), 11))
        (self.tools / 'config').write_text(config + SSH_ALL % names)
        self.script('ssh', f'#!/bin/sh\nexec /usr/bin/ssh -F {self.tools}/config "$@"\n')

    def start_host(self, host, address):
        name = self.namespaces[host]
        self.ip('-n', self.home, 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
        self.ip('-n', self.home, 'link', 'set', host, 'master', 'br0', 'up')
        self.ip('-n', name, 'addr', 'add', address + '/24', 'dev', 'eth0')
        self.ip('-n', name, 'link', 'set', 'eth0', 'up')
        config = self.tools / f'sshd-{host}'
        config.write_text(SSHD % {'address': address, 'tools': self.tools})
        if not os.path.isdir('/run/sshd'):
            os.mkdir('/run/sshd', 0o755)
            self.addCleanup(os.rmdir, '/run/sshd')
        with open(self.tools / f'log-{host}', 'wb') as log:
            sshd = subprocess.Popen(
                ['ip', 'netns', 'exec', name, 'env', '-i', 'PATH=/usr/bin:/bin', '/usr/sbin/sshd', '-D', '-e', '-f',
                 config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.sshd.append(sshd)
        self.wait_until(lambda: b'listening' in (self.tools / f'log-{host}').read_bytes(), f'sshd of {host}')

    def remove_namespaces(self):
        for sshd in self.sshd:
            sshd.terminate()
            sshd.wait()
        for name in (self.home, *self.namespaces.values()):
            subprocess.run(['ip', 'netns', 'del', name], check=False, capture_output=True)

    def check_nothing_left(self):
        self.wait_until(lambda: not self.far_directories() and not self.far_processes(), 'nothing is left', limit=90)
        for sshd in self.sshd:
            sshd.terminate()
            sshd.wait()
        super().check_nothing_left()

    def far_directories(self):
        return set(pathlib.Path('/tmp').glob('om-run.*')) - self.before

    def far_processes(self):
        """Those in the hosts' namespaces but the sshd that listen."""
        inside = {int(pid) for name in self.namespaces.values()
                  for pid in subprocess.run(['ip', 'netns', 'pids', name], text=True, check=True,
                                            capture_output=True).stdout.split()}
        return inside - {sshd.pid for sshd in self.sshd}

    def setUp(self):
        self.before = set(pathlib.Path('/tmp').glob('om-run.*'))
        super().setUp()

    def start_steady_by_ssh(self, hosts):
        run = Run(self, '--hosts', hosts, '--verbose', '--', '/usr/bin/python3', '-c', STEADY,
                  before=('ip', 'netns', 'exec', self.home))
        run.wait_for_control()
        return run, run.job()


class Ssh(SshCase):
    def test_moves_and_nothing_is_left(self):
        run, job = self.start_steady_by_ssh('pc1,pc2,pc3,pc4,no-such-host.invalid')
        said = [line for line in run.said if 'left out' in line]
        self.assertEqual(2, len(said), said)
        self.assertTrue(said[0].startswith('om: pc4 is left out: ssh: '), said)
        self.assertTrue(said[1].startswith('om: no-such-host.invalid is left out: ssh: '), said)
        self.assertEqual({'pc1', 'pc2', 'pc3'}, run.nodes())
        self.assertEqual(4, len({row['address'].split(':')[0] for row in json.loads(run.om('nodes', '--json'))}))
        for to in ('pc1', 'pc3', 'home', 'pc2'):
            run.om('migrate', job, to)
            run.check_steady()
        run.end_input()
        run.finish(3)

    def test_killed(self):
        run, job = self.start_steady_by_ssh('pc1,pc2')
        run.om('migrate', job, 'pc2')
        run.process.kill()
        run.process.wait()
        self.wait_until(lambda: not om_process.alive(job), 'the end of the job')


class Lost(SshCase):
    def test_cable_is_pulled(self):
        run, job = self.start_steady_by_ssh('pc1,pc2')
        run.om('migrate', job, 'pc1')
        self.ip('-n', self.home, 'link', 'set', 'pc1', 'down')
        os.killpg(run.process.pid, signal.SIGINT)
        _, said = run.finish(128 + signal.SIGKILL, limit=200)
        self.assertIn('NODE_LOST', said)
        self.assertIn('om: pc1: whether everything has ended there is not known', said)
        # There it ends by itself after a minute.
        self.wait_until(lambda: not self.far_directories() and not self.far_processes() - self.session_of_sshd(),
                        'the end of pc1', limit=180)
        for pid in self.session_of_sshd():
            os.kill(pid, signal.SIGKILL)

    def session_of_sshd(self):
        """What sshd itself keeps for a connection that it does not know to be lost."""
        return {pid for pid in self.far_processes() if om_process.read_proc(pid, 'comm').startswith('sshd')}


if __name__ == '__main__':
    main()
