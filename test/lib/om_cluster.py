# SPDX-License-Identifier: Apache-2.0
"""A private cluster on this machine, and `om migrate` with a check of its answer.

`om cluster dev` does the work and chooses the ports. The cluster's home node is n1. A cluster that somebody else
started is used through $OM_TEST_CLUSTER (its directory) and never stopped here.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time

import om_machine
import om_process
from om_product import BrokenSetup, MachineLacks

HOME_NODE = 'n1'
START_LIMIT = 60  # seconds, for start, stop and env
SHELL_VARIABLES = ('_', 'PWD', 'SHLVL', 'OLDPWD')

# Refusals that pass by themselves: retried for a while.
TRANSIENT = frozenset({'SHARED_MM', 'STOPPED', 'UNINTERRUPTIBLE', 'BUSY'})
RETRY_SECONDS = 15
RETRY_PAUSE = 0.1
NO_END = 'NO_END'     # our own code: `om migrate` did not return

MIGRATE_FIELDS = {'pid': int, 'from': str, 'to': str, 'mode': str, 'freeze_ms': (int, float),
                  'total_ms': (int, float), 'bytes_raw': int, 'bytes_wire': int, 'pages': int,
                  'threads': int, 'result': str, 'code': str, 'message': str}


@dataclasses.dataclass
class Move:
    """The judged answer of one `om migrate`: moved, refused, failed or ended (no such process)."""
    to: str
    result: str
    code: str = ''
    message: str = ''
    data: dict = dataclasses.field(default_factory=dict)
    tries: int = 1

    def real(self):
        """Whether the process changed its place; `moved` also means that it was there already."""
        return self.result == 'moved' and self.code != 'ALREADY_THERE'

    def __str__(self):
        text = f'to {self.to}: {self.result}'
        if self.code:
            text += f' {self.code}'
        if self.message:
            text += f' ({self.message})'
        return text


def daemons_of(directory):
    """Process ids of the daemons of the cluster in `directory`."""
    try:
        state = json.loads(pathlib.Path(directory, 'cluster.json').read_text(encoding='utf-8'))
        return [node['pid'] for node in state['nodes'] if 'pid' in node]
    except (OSError, ValueError, KeyError):
        return []


class Cluster:
    def __init__(self, product, directory, nodes=3, extra=()):
        self.product = product
        self.directory = str(directory)
        self.nodes = nodes
        self.extra = list(extra)
        self.owned = False
        self.environments = {}

    def run(self, *arguments, limit=START_LIMIT, env=None):
        """Runs `om ARGUMENTS` with the cluster's environment and returns the completed process."""
        try:
            return subprocess.run([self.product.om, *arguments], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, errors='replace', timeout=limit,
                                  env=env or self.product.environment(self.directory), check=False)
        except subprocess.TimeoutExpired as late:
            raise BrokenSetup(f'om {" ".join(arguments)}: no end after {limit:.0f} s') from late

    def start(self):
        self.product.require()
        self.product.check_readable()
        lacking = om_machine.lacks_moves()
        if lacking:
            raise MachineLacks(lacking)
        os.makedirs(os.path.dirname(self.directory), exist_ok=True)
        done = self.run('cluster', 'dev', 'start', '--nodes', str(self.nodes), '--dir',
                        self.directory, *self.extra)
        self.owned = True
        if done.returncode != 0:
            self.stop()
            raise BrokenSetup(f'om cluster dev start: exit {done.returncode}: '
                              f'{done.stderr.strip()}')
        return self

    def save_logs(self, folder):
        """Copies the daemons' logs into `folder`, because stop() removes them with the cluster."""
        for log in sorted(pathlib.Path(self.directory).glob('n*/log*')):
            target = pathlib.Path(folder, 'logs', log.parent.name)
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, target)

    def answers(self):
        """Whether all daemons answer."""
        try:
            return all(self.run('nodes', limit=10, env=self.environment(f'n{n}')).returncode == 0
                       for n in range(1, self.nodes + 1))
        except BrokenSetup:
            return False

    def stop(self):
        """Ends the cluster if it was started here; returns the text of a failed stop, or ''."""
        if not self.owned:
            return ''
        self.owned = False
        with om_process.reaping(daemons_of(self.directory)):
            done = self.run('cluster', 'dev', 'stop', '--dir', self.directory)
        return '' if done.returncode == 0 else f'exit {done.returncode}: {done.stderr.strip()}'

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def environment(self, node=HOME_NODE):
        """The environment of a user's shell after `eval "$(om cluster dev env --dir D --node NODE)"`."""
        if node not in self.environments:
            script = 'eval "$("$1" cluster dev env --dir "$2" --node "$3")" && exec env -0'
            done = subprocess.run(
                ['/bin/sh', '-c', script, 'sh', self.product.om, self.directory, node],
                env=self.product.environment(self.directory), capture_output=True,
                stdin=subprocess.DEVNULL, timeout=START_LIMIT, check=False)
            items = os.fsdecode(done.stdout).split('\0')
            found = dict(item.split('=', 1) for item in items if '=' in item)
            found = {key: value for key, value in found.items() if key not in SHELL_VARIABLES}
            if done.returncode != 0 or 'OM_CONTROL' not in found:
                raise BrokenSetup(f'om cluster dev env --node {node}: exit {done.returncode}: '
                                  f'{os.fsdecode(done.stderr).strip()}')
            self.environments[node] = found
        return dict(self.environments[node])

    def migrate_once(self, pid, to, limit):
        environment = self.environment()
        try:
            done = self.run('migrate', str(pid), to, '--json', limit=limit, env=environment)
        except BrokenSetup as late:
            return Move(to, 'failed', NO_END, str(late))
        if done.returncode == 4:
            return Move(to, 'ended', message=done.stderr.strip())
        try:
            data = json.loads(done.stdout)
        except ValueError:
            return Move(to, 'failed', message=f'exit {done.returncode}, stdout {done.stdout!r}, '
                                              f'stderr {done.stderr.strip()!r}')
        problem = judge_record(data, pid, to, done.returncode)
        if problem:
            return Move(to, 'failed', message=f'{problem} in {data}')
        return Move(to, data['result'], data['code'] or '', data['message'] or '', data)

    def migrate(self, pid, to, transient=TRANSIENT, limit=60):
        """Moves `pid`; retries transient refusals for RETRY_SECONDS."""
        start = time.monotonic()
        tries = 0
        while True:
            tries += 1
            move = self.migrate_once(pid, to, limit)
            move.tries = tries
            again = move.result == 'refused' and move.code in transient
            if not again or time.monotonic() - start > RETRY_SECONDS:
                return move
            time.sleep(RETRY_PAUSE)


def judge_record(data, pid, to, status):
    """What is wrong with the object that `om migrate --json` printed; '' if it is as documented."""
    if not isinstance(data, dict):
        return 'not an object'
    for name, kind in MIGRATE_FIELDS.items():
        if name not in data:
            return f'no {name}'
        if data[name] is not None and not isinstance(data[name], kind):
            return f'{name} is no {kind}'
    if data['result'] not in ('moved', 'refused', 'failed'):
        return 'unknown result'
    if data['pid'] != pid:
        return f'pid is not {pid}'
    if data['to'] not in ((to, HOME_NODE) if to == 'home' else (to,)):
        return f'to is not {to}'
    if (data['result'] == 'moved') != (status == 0):
        return f'exit status {status} does not fit the result'
    if data['result'] == 'refused' and (status != 6 or not data['code']):
        return f'a refusal has exit status 6 and a code, not {status}'
    if data['result'] != 'moved' and not data['message']:
        return 'no message'
    return ''


def shared_cluster(product):
    """The running cluster that $OM_TEST_CLUSTER names, or None."""
    directory = os.environ.get('OM_TEST_CLUSTER')
    return Cluster(product, directory) if directory else None
