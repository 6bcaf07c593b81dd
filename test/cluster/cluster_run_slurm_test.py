#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""om cluster run --slurm in an allocation of a real Slurm: a controller and three nodes that are all this machine.
Needs root, and the packages slurmctld, slurmd and munge."""

import os
import shutil
import signal
import socket
import subprocess

from cluster_run_test import STEADY, Run, RunCase
from harness import main
import om_process

PROGRAMS = ('slurmctld', 'slurmd', 'munged', 'salloc', 'srun', 'scontrol', 'sinfo', 'setpriv')

CONFIGURATION = '''ClusterName=om
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthInfo=socket={munge}/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={tools}/state
SlurmdSpoolDir={tools}/spool-%n
SlurmctldPidFile={tools}/slurmctld.pid
SlurmdPidFile={tools}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
{nodes}
PartitionName=p Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:4
'''
NODE = 'NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=100 State=UNKNOWN'


def free_ports(count):
    held = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Slurm(RunCase):
    needs_root = True
    NODES = ('n1', 'n2', 'n3')

    @classmethod
    def lacks(cls):
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        return 'no ' + ', '.join(missing) if missing else ''

    def make_launcher(self):
        self.place.chmod(0o755)
        self.munge = self.place / 'm'
        self.munge.mkdir(mode=0o755)
        (self.munge / 'key').write_bytes(os.urandom(1024))
        (self.munge / 'key').chmod(0o400)
        for path in (self.munge, self.munge / 'key'):
            shutil.chown(path, 'munge', 'munge')
        (self.tools / 'state').mkdir()
        ports = free_ports(1 + len(self.NODES))
        host = socket.gethostname()
        nodes = '\n'.join(NODE.format(name=name, host=host, port=port) for name, port in zip(self.NODES, ports[1:]))
        (self.tools / 'slurm.conf').write_text(CONFIGURATION.format(host=host, ports=ports, munge=self.munge,
                                                                    tools=self.tools, nodes=nodes))
        os.environ['SLURM_CONF'] = str(self.tools / 'slurm.conf')
        self.addCleanup(os.environ.pop, 'SLURM_CONF')
        self.daemons = []
        self.start_daemon('setpriv', '--reuid', 'munge', '--regid', 'munge', '--clear-groups', 'munged', '--foreground',
                          f'--key-file={self.munge}/key', f'--socket={self.munge}/socket',
                          f'--pid-file={self.munge}/pid', f'--log-file={self.munge}/log',
                          f'--seed-file={self.munge}/seed')
        self.wait_until((self.munge / 'socket').exists, 'munged')
        self.start_daemon('slurmctld', '-D', '-i')
        # A node that finds no controller asks again only after a while.
        self.wait_until(lambda: subprocess.run(['scontrol', 'ping'], capture_output=True, check=False).returncode == 0,
                        'the controller')
        for name in self.NODES:
            (self.tools / f'spool-{name}').mkdir()
            self.start_daemon('slurmd', '-D', '-N', name)
        self.wait_until(lambda: self.idle() == len(self.NODES), 'the nodes', limit=90)

    def start_daemon(self, *command):
        with open(self.tools / f'log-{len(self.daemons)}', 'wb') as log:
            self.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self.addCleanup(self.end_daemons)

    def end_daemons(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait()

    def idle(self):
        done = subprocess.run(['sinfo', '-h', '-N', '-t', 'idle', '-o', '%N'], text=True, capture_output=True,
                              check=False)
        return len(done.stdout.split())

    def environment(self):
        return {**super().environment(), 'SLURM_CONF': os.environ['SLURM_CONF']}

    def check_nothing_left(self):
        self.wait_until(lambda: self.idle() == len(self.NODES), 'the end of the allocation', limit=90)
        self.end_daemons()
        super().check_nothing_left()

    def test_nodes_of_the_allocation(self):
        for number, status in ((None, 3), (signal.SIGTERM, 143)):
            run = Run(self, '--slurm', '--verbose', '--', '/usr/bin/python3', '-c', STEADY,
                      before=('salloc', '-Q', '-N', '2', '-w', 'n1,n3', '-n', '2', '--overcommit'))
            run.wait_for_control()
            self.assertEqual({'n1', 'n3'}, run.nodes())
            om = next(pid for pid in om_process.children(run.process.pid)
                      if om_process.read_proc(pid, 'comm').strip() == 'om')
            run.process.stdout.readline()
            run.read = 1
            job = next(pid for pid in om_process.children(om)
                       if om_process.read_proc(pid, 'cmdline').startswith('/usr/bin/python3'))
            for to in ('n1', 'n3'):
                run.om('migrate', job, to)
                run.check_steady()
            if number:
                os.kill(om, number)
            else:
                run.end_input()
            run.finish(status)

    def test_killed(self):
        run = Run(self, '--slurm', '--verbose', '--', '/usr/bin/python3', '-c', STEADY,
                  before=('salloc', '-Q', '-N', '2', '-n', '2', '--overcommit'))
        run.wait_for_control()
        om = next(pid for pid in om_process.children(run.process.pid)
                  if om_process.read_proc(pid, 'comm').strip() == 'om')
        os.kill(om, signal.SIGKILL)
        run.process.communicate(timeout=100)


if __name__ == '__main__':
    main()
