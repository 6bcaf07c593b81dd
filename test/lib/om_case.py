#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one behaviour program in one mode (or all) and judges it. docs/TESTING.md describes the protocol.

The native run is the oracle: its exit status must be as declared, and every other mode must end the same way with the
same stdout, stderr and files. `om migrate` makes the moves, and must answer `moved`, or refuse with the code that the
program declares.

  om_case.py --mode moved-back pipe_keeps_order      one case, in a private cluster
  om_case.py --mode all pipe_keeps_order             all modes
  OM_TEST_CLUSTER=DIR om_case.py ...                 in a cluster that is up already

Used by run_suite.py through run_case().
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import random
import subprocess
import sys
import time
import traceback

import om_process
from om_behaviour import MODES, PLANS, all_behaviours, missing_need
from om_cluster import TRANSIENT, Cluster, shared_cluster
from om_product import (EXIT_BROKEN, EXIT_FAILED, EXIT_OK, EXIT_SKIP, BrokenSetup, Product,
                        drop_privileges, remove_tree, remove_work, work_directory)
from om_worker import Worker

POLL = 0.002
BLOCK_LIMIT = 20      # seconds until a thread must be seen in its call
REBLOCK_LIMIT = 0.5   # after a move: the call may have ended in time, so this is not an error
GAP_MAX = 0.05        # seconds between two moves of one point
RESTLESS_GAP = (0.05, 0.3)
LEFT_GRACE = 3        # seconds for the program's helpers to end after it
SHOWN = 2000          # bytes of output shown in a report


@dataclasses.dataclass
class Outcome:
    """The result of a run: compared between modes."""
    status: int = 0  # negative: signal
    stdout: bytes = b''
    stderr: bytes = b''
    files: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Result:
    name: str
    mode: str
    verdict: str  # ok, skip, fail, broken
    reason: str = ''
    seconds: float = 0.0
    moves: list = dataclasses.field(default_factory=list)
    seed: int = 0
    directory: str = ''
    outcome: Outcome = None

    def done(self):
        return sum(move.real() for move in self.moves)


class Failure(Exception):
    """The case failed; the text is the reason."""


def file_tree(folder):
    """{relative path: kind and content hash} of everything in a directory."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = 'link ' + os.readlink(path)
        elif path.is_file():
            found[name] = 'file ' + hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = 'directory' if path.is_dir() else 'special'
    return found


class Case:
    """One run of a program: starts it, serves its points, waits for its end."""

    def __init__(self, behaviour, mode, product, cluster, directory, seed):
        self.behaviour = behaviour
        self.mode = mode
        self.product = product
        self.cluster = cluster
        self.directory = pathlib.Path(directory)
        self.random = random.Random(f'{seed} {behaviour.name} {mode}')
        self.plan = PLANS[mode]
        self.moves = []
        self.where = 'home'
        self.pid = None        # the process that announced a point last: the one that moves
        self.refused = False
        self.process = None
        self.deadline = time.monotonic() + behaviour.limit

    def environment(self, work):
        result = self.product.environment(work)
        if self.mode == 'preload':
            result['LD_PRELOAD'] = self.product.preload
            result['OM_CONTROL'] = str(self.directory / 'no-daemon.sock')
        elif self.mode != 'native':
            node = self.cluster.environment()
            result.update(node, HOME=str(work), TMPDIR=str(work), LD_PRELOAD=node.get(
                'OM_PRELOAD', self.product.preload))
        result['OM_TEST_DIR'] = str(self.directory / 'sync')
        result['OM_TEST_MOVES'] = str(len(self.plan))
        return result

    def run(self):
        work = self.directory / 'work'
        for folder in (work, self.directory / 'sync'):
            folder.mkdir(parents=True)
        stdout, stderr = self.directory / 'stdout', self.directory / 'stderr'
        with open(stdout, 'wb') as out, open(stderr, 'wb') as err:
            self.process = subprocess.Popen(
                [self.behaviour.binary(self.product)], cwd=work, env=self.environment(work),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            self.serve()
        finally:
            if self.process.poll() is None:
                om_process.kill_group(self.process.pid)
            self.process.wait()
            left = om_process.end_descendants(0 if sys.exc_info()[0] else LEFT_GRACE)
        if left:
            raise Failure('left processes behind: ' + ', '.join(left))
        return Outcome(self.process.returncode, stdout.read_bytes(), stderr.read_bytes(),
                       file_tree(work))

    def serve(self):
        """Follows the program until it ends."""
        point = 1
        next_move = None
        while self.process.poll() is None:
            if time.monotonic() > self.deadline:
                self.note_threads()
                raise Failure(f'no end after {self.behaviour.limit:.0f} s (point {point})')
            ready = self.directory / 'sync' / f'ready.{point}'
            if ready.exists():
                self.serve_point(point, ready)
                (self.directory / 'sync' / f'moved.{point}').touch()
                point += 1
                next_move = time.monotonic() + self.random.uniform(*RESTLESS_GAP)
            elif self.mode == 'restless' and next_move and time.monotonic() > next_move:
                self.move(self.random.choice([n for n in ('home', 'n2', 'n3') if n != self.where]),
                          may_end=True)
                next_move = time.monotonic() + self.random.uniform(*RESTLESS_GAP)
            else:
                time.sleep(POLL)

    def note_threads(self):
        """Writes to `threads` what every thread at home waits in, for investigating a hang."""
        pid = self.pid or self.process.pid
        lines = [f'process {pid}, last known at {self.where}']
        for task in sorted(pathlib.Path(f'/proc/{pid}/task').glob('*')):
            state = ' '.join(om_process.stat_fields(f'{pid}/task/{task.name}')[:1])
            call = om_process.read_proc(pid, f'task/{task.name}/syscall').strip()
            lines.append(f'{task.name} {state} {call}')
        (self.directory / 'threads').write_text('\n'.join(lines) + '\n', encoding='utf-8')

    def serve_point(self, point, ready):
        said = dict(line.split(' ', 1) for line in ready.read_text(encoding='ascii').splitlines())
        self.pid, tid = int(said['pid']), int(said['tid'])
        if self.behaviour.stays_away and self.moves:
            self.check_stayed()
        block = said.get('block', '')
        if block:
            self.wait_blocked(tid, block, BLOCK_LIMIT, True)
        moves = self.behaviour.moves_at(point, self.plan)
        if moves is None:
            raise Failure(f'unexpected point {point}: om-points is {self.behaviour.points}')
        for number, to in enumerate(moves):
            if number:
                time.sleep(self.random.uniform(0, GAP_MAX))
                if block and self.where == 'home':
                    self.wait_blocked(tid, block, REBLOCK_LIMIT, False)
            self.move(to)

    def check_stayed(self):
        done = self.cluster.run('where', str(self.pid), env=self.cluster.environment())
        place = 'n1' if self.where == 'home' else self.where
        if done.stdout.strip() != place:
            raise Failure(f'it did not stay at {place}: {done.stdout}{done.stderr}')

    def wait_blocked(self, tid, block, limit, must):
        numbers = {int(n) for n in block.split('|')} if block != 'stopped' else None
        start = time.monotonic()
        seen = None
        while time.monotonic() - start < limit and self.process.poll() is None:
            if numbers is None:
                seen = om_process.stat_fields(self.pid)[:1]
                if seen == ['T']:
                    return
            else:
                seen = om_process.current_syscall(self.pid, tid)
                if seen in numbers:
                    return
            time.sleep(POLL / 2)
        if must and self.process.poll() is None:
            raise Failure(f'thread {tid} of {self.pid} never seen in {block}, last in {seen}')

    def move(self, to, may_end=False):
        if self.refused:
            return
        left = max(1, self.deadline - time.monotonic())
        want = self.behaviour.expect
        declared = self.behaviour.transient
        transient = frozenset() if declared == ('none',) else TRANSIENT.union(declared) - {want}
        move = self.cluster.migrate(self.pid, to, transient, left)
        self.moves.append(move)
        if want:
            if move.result != 'refused' or move.code != want:
                raise Failure(f'wanted a refusal {want}, got a move {move}')
            self.refused = True
        elif move.result == 'moved':
            self.where = to
        elif not (may_end and (move.result == 'ended' or not om_process.alive(self.pid))):
            status = self.process.poll()
            end = '' if status is None else f'; it ended with {show_status(status)}'
            raise Failure(f'move {len(self.moves)} {move} after {move.tries} tries{end}')


def show(text):
    shown = text[-SHOWN:].decode('utf-8', 'backslashreplace')
    return ('...' if len(text) > SHOWN else '') + shown


def show_status(status):
    return f'exit {status}' if status >= 0 else f'signal {-status}'


def judge(behaviour, mode, outcome, native):
    """The verdict on a run that has ended: (ok | skip | broken, reason), or raises Failure."""
    if outcome.status == EXIT_SKIP:
        if mode != 'native' and native.status != EXIT_SKIP:
            raise Failure('skipped itself, but not in native mode: ' + show(outcome.stderr))
        return 'skip', show(outcome.stderr).strip()
    if outcome.status == EXIT_BROKEN:
        return 'broken', show(outcome.stderr).strip()
    if outcome.status != behaviour.status:
        raise Failure(f'ended with {show_status(outcome.status)}, not '
                      f'{show_status(behaviour.status)}: {show(outcome.stderr).strip()}')
    if mode == 'native' or behaviour.output_free:
        return 'ok', ''
    for what in ('stdout', 'stderr'):
        got, want = getattr(outcome, what), getattr(native, what)
        if got != want:
            raise Failure(f'{what} differs from the native run: got {show(got)!r}, '
                          f'want {show(want)!r}')
    if outcome.files != native.files:
        changed = sorted(name for name in outcome.files.keys() | native.files.keys()
                         if outcome.files.get(name) != native.files.get(name))
        raise Failure('files differ from the native run: ' + ', '.join(changed))
    return 'ok', ''


def repeat_command(product, behaviour, mode, seed):
    return f'{__file__} --build {product.build} --mode {mode} --seed {seed} {behaviour.name}'


def run_case(behaviour, mode, product, cluster, base, seed, native=None):
    """Runs and judges one case in the calling process, a subreaper without other children.

    `native` is the outcome of the native run; without it, that is made first. Removes the directory of a case that is
    ok or skipped.
    """
    directory = pathlib.Path(base, f'{behaviour.name}.{mode}')
    result = Result(behaviour.name, mode, 'broken', seed=seed, directory=str(directory))
    start = time.monotonic()
    case = None
    try:
        if directory.exists():
            remove_tree(directory)
        need = missing_need(behaviour)
        if need:
            result.verdict, result.reason = 'skip', need
            return result
        if mode != 'native' and native is None:
            oracle = run_case(behaviour, 'native', product, cluster, base, seed)
            if oracle.verdict != 'ok':
                result.verdict, result.reason = oracle.verdict, 'native: ' + oracle.reason
                return result
            native = oracle.outcome
        case = Case(behaviour, mode, product, cluster, directory, seed)
        result.outcome = case.run()
        result.verdict, result.reason = judge(behaviour, mode, result.outcome, native)
        if result.verdict == 'ok' and len(case.moves) < len(case.plan) and not case.refused:
            raise Failure(f'only {len(case.moves)} of {len(case.plan)} moves were asked for')
    except Failure as failure:
        result.verdict, result.reason = 'fail', str(failure)
    except BrokenSetup as broken:
        result.verdict, result.reason = 'broken', str(broken)
    except Exception:  # an error in the driver is one broken case, not the end of the suite
        result.verdict, result.reason = 'broken', traceback.format_exc()
    finally:
        result.seconds = time.monotonic() - start
        result.moves = case.moves if case else []
        if result.verdict in ('ok', 'skip') and directory.exists():
            if os.environ.get('OM_TEST_KEEP') != '1':
                remove_tree(directory)
        elif directory.exists():
            text = [result.reason, *map(str, result.moves),
                    repeat_command(product, behaviour, mode, seed), '']
            (directory / 'report').write_text('\n'.join(text), encoding='utf-8')
    return result


def start_case(*arguments):
    """Starts run_case(*arguments) in a process of its own; result_of() waits for it."""
    return Worker(lambda: run_case(*arguments))


def result_of(worker, behaviour, mode, seed, base):
    """What a worker of start_case returned; a worker that died is a broken case."""
    result = worker.wait()
    if result is None:
        result = Result(behaviour.name, mode, 'broken', 'the driver died', seed=seed,
                        directory=str(pathlib.Path(base, f'{behaviour.name}.{mode}')))
    return result


def print_result(result, out=sys.stdout):
    line = f'{result.verdict:6} {result.name} [{result.mode}] {result.seconds:.2f} s'
    if result.moves:
        line += f', {result.done()} moves'
    if result.reason:
        line += ': ' + result.reason
    print(line, file=out, flush=True)


def exit_code(results):
    verdicts = {result.verdict for result in results}
    if 'fail' in verdicts:
        return EXIT_FAILED
    if 'broken' in verdicts:
        return EXIT_BROKEN
    return EXIT_SKIP if verdicts == {'skip'} else EXIT_OK


def find(name):
    name = pathlib.Path(name).stem
    found = [b for b in all_behaviours(name) if b.name == name]
    if not found:
        raise BrokenSetup(f'no behaviour {name} (run_suite.py --list)')
    return found[0]


def main():
    parser = argparse.ArgumentParser(description='Runs one behaviour program in one mode.')
    parser.add_argument('program', help='name of a program in test/behaviour')
    parser.add_argument('--mode', choices=(*MODES, 'all'), default='native')
    parser.add_argument('--build', help='build directory (default: $OM_TEST_BUILD or build)')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--work', help='where the directories of cases go')
    options = parser.parse_args()
    drop_privileges(options.work)
    product = Product(options.build)
    behaviour = find(options.program)
    seed = options.seed if options.seed is not None else random.randrange(1 << 30)
    print(f'seed {seed}', flush=True)
    modes = MODES if options.mode == 'all' else (options.mode,)
    base = work_directory(options.work, 'case')
    cluster = shared_cluster(product)
    if cluster is None and set(modes) - {'native', 'preload'}:
        cluster = Cluster(product, base / 'cluster').start()
    results, native = [], None
    try:
        for mode in modes:
            worker = start_case(behaviour, mode, product, cluster, base, seed, native)
            result = result_of(worker, behaviour, mode, seed, base)
            print_result(result)
            native = result.outcome if mode == 'native' and result.verdict == 'ok' else native
            results.append(result)
    finally:
        if cluster is not None:
            cluster.save_logs(base)
            problem = cluster.stop()
            if problem:
                print(f'om cluster dev stop: {problem}', file=sys.stderr)
    if exit_code(results) in (EXIT_OK, EXIT_SKIP):
        remove_work(base)
    else:
        print(f'kept {base}', file=sys.stderr)
    return exit_code(results)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except BrokenSetup as setup:
        print(f'{setup.kind}: {setup}', file=sys.stderr)
        sys.exit(setup.status)
