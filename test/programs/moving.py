# SPDX-License-Identifier: Apache-2.0
"""The base of the real-program tests: run a program natively, then while it moves, and compare.

A test is a module with one subclass of MovingProgram and `main(TheClass)`. The native run is made
with a first guess of the work and again with more of it until it takes long enough for the moves
(the machine decides, nothing is timed otherwise). Then the same work is done while a mover moves
the process at random among home, n2 and n3. Exit status, stdout, stderr and all files in the
working directory must be equal, bit for bit, and at least --moves moves must have been made.

  bc_pi.py --native          no cluster: two native runs must be equal (checks the test itself)
  bc_pi.py --scale 2         twice as long
  bc_pi.py --seed 5          the moves, places and inputs of that run

Exit codes as in docs/TESTING.md. The directory of a failed run is kept, the repeating command
printed.
"""

import argparse
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))

import om_machine  # noqa: E402
import om_process  # noqa: E402
from om_case import Failure, Outcome, file_tree, show, show_status  # noqa: E402
from om_cluster import TRANSIENT, Cluster, shared_cluster  # noqa: E402
from om_product import (EXIT_FAILED, EXIT_OK, BrokenSetup, MachineLacks, Product,  # noqa: E402
                        drop_privileges, remove_tree, remove_work, work_directory)
from om_worker import Worker  # noqa: E402

PLACES = ('home', 'n2', 'n3')
ENDING = 10              # a process that has been said to have ended has done so within that time, in seconds
NATIVE_SECONDS = 20      # at scale 1: room for twice the wanted moves
MOVE_SECONDS = 0.1       # what a move is thought to take when the least duration is chosen
MAX_GROWTH = 5           # native runs to find the amount of work
POLL = 0.02


class Mover(threading.Thread):
    """Moves one process, or any of a family, at random until it has ended or stop() is called."""

    def __init__(self, cluster, pid, rng, interval, family=False, refusals=()):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.pid = pid
        self.family = family      # also what `pid` has started
        self.refusals = refusals  # codes that are right for this program
        self.refused = 0
        self.random = rng
        self.interval = interval
        self.where = {}           # by process; those that are not in it are at home
        self.done = 0
        self.transient = 0
        self.log = []
        self.problem = ''
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.wait(self.random.uniform(*self.interval)) and not self.problem:
                self.step()
        except Exception as error:  # judged by the main thread
            self.problem = f'{type(error).__name__}: {error}'

    def step(self):
        pid = self.random.choice(self.targets())
        to = self.random.choice([place for place in PLACES if place != self.where.get(pid, 'home')])
        move = self.cluster.migrate_once(pid, to, 60)
        self.log.append(f'{pid} {move}')
        if move.result == 'moved':
            self.where[pid] = to
            self.done += move.real()
        elif move.result == 'refused' and move.code in TRANSIENT:
            self.transient += 1
        elif move.result == 'refused' and move.code in self.refusals:
            self.where[pid] = 'home'
            self.refused += 1
        elif not self.has_ended(pid, move):
            self.problem = f'after {self.done} moves: {move}'

    @staticmethod
    def has_ended(pid, move):
        """Whether the process is gone. One that is said to have ended may be about to: its threads are first."""
        until = time.monotonic() + (ENDING if move.result == 'ended' else 0)
        while om_process.alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
        return not om_process.alive(pid)

    def targets(self):
        if not self.family:
            return [self.pid]
        return [self.pid, *(pid for pid in om_process.descendants(self.pid) if om_process.alive(pid))]

    def stop(self):
        self.stopping.set()
        self.join()


class Run:
    """One run of the program. `mover` is None in a native one."""

    def __init__(self, program, folder, environment, limit):
        self.program = program
        self.folder = folder
        self.environment = environment
        self.deadline = time.monotonic() + limit
        self.process = None
        self.mover = None
        self.start_mover = lambda pid: None

    def check(self):
        if time.monotonic() > self.deadline:
            raise Failure('no end in time')
        if self.mover and self.mover.problem:
            raise Failure(self.mover.problem)

    def moves(self):
        return self.mover.done if self.mover else 0

    def pace(self, step, steps):
        """Waits until the share step/steps of the wanted moves is made; at once in a native run."""
        while self.mover and self.mover.done * steps < self.program.options.moves * step:
            self.check()
            time.sleep(POLL)

    def wait_refusals(self, count):
        """Waits until `count` moves have been refused for the program's own reason; not in a native run."""
        while self.mover and self.mover.refused < count:
            self.check()
            time.sleep(POLL)

    def stop_mover(self):
        if self.mover:
            self.mover.stop()

    def wait_end(self):
        while self.process.poll() is None:
            self.check()
            time.sleep(POLL)

    def wait_text(self, name, text):
        """Waits until the output file `name` (stdout, stderr) contains `text`."""
        while text not in (self.folder / name).read_bytes():
            self.check()
            if self.process.poll() is not None:
                raise Failure(f'ended ({show_status(self.process.returncode)}) without {text!r} in '
                              f'{name}: {show((self.folder / "stderr").read_bytes())}')
            time.sleep(POLL)

    def execute(self):
        work = self.folder / 'work'
        streams = self.program.open_streams(self.folder)
        self.process = subprocess.Popen(
            self.program.command(work), cwd=work, env=self.environment, start_new_session=True,
            stdin=streams[0], stdout=streams[1], stderr=streams[2])
        for stream in set(streams):
            os.close(stream)
        try:
            if self.program.moves_itself:
                self.start_mover(self.process.pid)
            self.program.talk(self)
            self.wait_end()
        finally:
            self.stop_mover()
            if self.process.poll() is None:
                om_process.kill_group(self.process.pid)
            self.process.wait()
            left = om_process.end_descendants(0 if sys.exc_info()[0] else 3)
        self.check()
        if left:
            raise Failure('left processes behind: ' + ', '.join(left))
        files = file_tree(work)
        for name in self.program.inputs() + list(self.program.ignored_files):
            files.pop(name, None)
        stdout, stderr = (path.read_bytes() if path.exists() else b''
                          for path in (self.folder / 'stdout', self.folder / 'stderr'))
        return Outcome(self.process.returncode, stdout, stderr, files)


@dataclasses.dataclass
class Done:
    """What the process that executed a Run hands back."""
    outcome: Outcome = None
    seconds: float = 0
    moves: int = 0
    transient: int = 0
    log: list = dataclasses.field(default_factory=list)
    problem: str = ''
    broken: str = ''


def run_here(run):
    done = Done()
    start = time.monotonic()
    try:
        done.outcome = run.execute()
    except Failure as failure:
        done.problem = str(failure)
    except BrokenSetup as broken:
        done.broken = str(broken)
    done.seconds = time.monotonic() - start
    if run.mover:
        done.moves, done.transient, done.log = run.mover.done, run.mover.transient, run.mover.log
    return done


def write_text(path, rng, mib):
    """A file of letters that can be compressed; a piece at a time, as a random generator has a limit."""
    letters = bytes(rng.choice(b'etaoin shrdlucmfwyp,.\n') for _ in range(256))
    with open(path, 'wb') as out:
        for _ in range(mib):
            out.write(rng.randbytes(1 << 20).translate(letters))


class MovingProgram:
    """What a test says about its program."""
    name = ''
    needs = ()             # commands that must exist
    first_work = 1         # amount of work of the first native run
    exponent = 1           # the time grows with this power of the work
    status = 0             # how it ends natively
    moves_itself = True    # the started process is the one that moves; else talk() starts the mover
    moves_family = False   # True: with everything that it starts
    grows = True           # False: the duration is up to talk(), which paces itself by the moves
    refusals = ()          # codes with which it may refuse at times, besides those that end by themselves
    ignored_files = ()     # files that differ between any two runs

    def __init__(self, options, product, base):
        self.options = options
        self.product = product
        self.base = base
        self.work = self.first_work
        self.seed = options.seed

    def make_input(self, folder, rng):
        """Writes the input for self.work into `folder`; the same for the same random generator."""

    def command(self, work):
        """The program and its arguments; it runs in `work`."""
        raise NotImplementedError

    def settings(self):
        """Environment variables of its own."""
        return {}

    def open_streams(self, folder):
        """Descriptors of its standard input, output and error; closed here once it runs."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        return [os.open('/dev/null', os.O_RDONLY), os.open(folder / 'stdout', flags, 0o644),
                os.open(folder / 'stderr', flags, 0o644)]

    def talk(self, run):
        """Serves the program while it runs; returns when only its end is left to wait for."""

    def input_folder(self):
        return self.base / f'input-{self.work}'

    def inputs(self):
        return sorted(path.name for path in self.input_folder().iterdir())

    def binary(self, name):
        path = self.product.build / 'test' / 'programs' / name
        if not os.access(path, os.X_OK):
            raise BrokenSetup(f'{path} is not built')
        return str(path)

    def run(self, label, limit, extra=None, prepare=None):
        """Runs the program in a process of its own and gives what it left."""
        folder = self.base / label
        if folder.exists():
            remove_tree(folder)
        (folder / 'work').mkdir(parents=True)
        if not self.input_folder().exists():
            self.input_folder().mkdir()
            self.make_input(self.input_folder(), random.Random(f'{self.seed} input'))
        for name in self.inputs():
            os.link(self.input_folder() / name, folder / 'work' / name)
        environment = self.product.environment(folder / 'work')
        environment.update(extra or {})
        environment.update(self.settings(), HOME=str(folder / 'work'), TMPDIR=str(folder / 'work'))
        run = Run(self, folder, environment, limit)
        if prepare:
            prepare(run)
        worker = Worker(lambda: run_here(run))
        try:
            done = worker.wait()
        except BaseException:
            worker.stop()
            raise
        if done is None or done.broken:
            raise BrokenSetup(f'{label}: {done.broken if done else "the driver died"}')
        if done.problem:
            raise Failure(f'{label}: {done.problem}')
        if done.outcome.status != self.status:
            raise Failure(f'{label}: ended with {show_status(done.outcome.status)}: '
                          f'{show(done.outcome.stderr)}')
        return done

    def run_native(self):
        """Native runs with growing work until one takes long enough: its outcome and duration."""
        pause = sum(self.options.interval) / 2 + MOVE_SECONDS
        want = max(NATIVE_SECONDS * self.options.scale, 1.25 * self.options.moves * pause)
        for _ in range(MAX_GROWTH):
            done = self.run('native', 600)
            print(f'native: work {self.work}, {done.seconds:.1f} s', flush=True)
            if not self.grows or self.options.native or done.seconds >= 0.9 * want:
                break
            growth = (1.15 * want / max(done.seconds, 0.05)) ** (1 / self.exponent)
            self.work = int(self.work * max(1.1, min(growth, 50))) + 1
        return done

    def run_moving(self, cluster, seconds):
        rng = random.Random(f'{self.seed} moves')
        node = cluster.environment()
        node['LD_PRELOAD'] = node.get('OM_PRELOAD') or self.product.preload
        if not self.moves_itself:
            node['JOB_PRELOAD'] = node.pop('LD_PRELOAD')

        def prepare(run):
            def start_mover(pid):
                run.mover = Mover(cluster, pid, rng, self.options.interval, self.moves_family,
                                  self.refusals)
                run.mover.start()
            run.start_mover = start_mover

        limit = 120 + 10 * seconds + 10 * self.options.moves
        done = self.run('moving', limit, node, prepare)
        print(f'moving: {done.seconds:.1f} s, {done.moves} moves, {done.transient} put off',
              flush=True)
        return done

    def move_enough(self, cluster, native):
        """The runs to compare. One that ended before enough moves is done again with more work."""
        for attempt in range(3):
            moving = self.run_moving(cluster, native.seconds)
            if moving.moves >= self.options.moves:
                return native, moving
            if not self.grows or attempt == 2:
                break
            compare(moving.outcome, native.outcome)
            self.work *= 2
            native = self.run('native', 600)
            print(f'native: work {self.work}, {native.seconds:.1f} s', flush=True)
        raise Failure(f'only {moving.moves} moves, want {self.options.moves}: '
                      + '; '.join(moving.log[-10:]))


def compare(got, want):
    for what in ('status', 'stdout', 'stderr'):
        one, other = getattr(got, what), getattr(want, what)
        if one != other:
            both = (one, other) if what == 'status' else (show(one), show(other))
            raise Failure(f'{what} differs: got {both[0]!r}, want {both[1]!r}')
    changed = sorted(name for name in got.files.keys() | want.files.keys()
                     if got.files.get(name) != want.files.get(name))
    if changed:
        raise Failure('files differ: ' + ', '.join(changed))


def parse_options(kind):
    parser = argparse.ArgumentParser(description=f'Runs {kind.name} while it moves.')
    parser.add_argument('--build', help='build directory (default: $OM_TEST_BUILD or build)')
    parser.add_argument('--native', action='store_true', help='no cluster: compare two native runs')
    parser.add_argument('--scale', type=float, default=1, help='of the duration (default: 1)')
    parser.add_argument('--moves', type=int, default=10, help='moves that must be made')
    parser.add_argument('--interval', type=float, nargs=2, default=(0.3, 1.0), metavar='SECONDS',
                        help='least and greatest pause between moves')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--work', help='working directory')
    return parser.parse_args()


def run_test(kind, options):
    missing = [command for command in kind.needs if shutil.which(command) is None]
    lacking = f'not installed: {", ".join(missing)}' if missing else not options.native and om_machine.lacks_moves()
    if lacking:
        raise MachineLacks(lacking)
    om_process.become_subreaper()  # so that the cluster's daemons are reaped at once when it stops
    product = Product(options.build)
    base = work_directory(options.work, kind.name)
    cluster = None
    print(f'{kind.name}: seed {options.seed}, uid {os.geteuid()}', flush=True)
    try:
        program = kind(options, product, base)
        native = program.run_native()
        if options.native:
            other = program.run('again', 600)
        else:
            cluster = shared_cluster(product) or Cluster(product, base / 'cluster').start()
            native, other = program.move_enough(cluster, native)
        compare(other.outcome, native.outcome)
    except (Failure, BrokenSetup) as failure:
        print(f'{kind.name}: {failure}\nkept {base}\nrepeat: {sys.argv[0]} --build {product.build} '
              f'--seed {options.seed} --scale {options.scale}', file=sys.stderr)
        return EXIT_FAILED if isinstance(failure, Failure) else failure.status
    finally:
        if cluster:
            cluster.save_logs(base)
            problem = cluster.stop()
            if problem:
                print(f'om cluster dev stop: {problem}', file=sys.stderr)
    remove_work(base)
    return EXIT_OK


def main(kind):
    options = parse_options(kind)
    if options.seed is None:
        options.seed = random.randrange(1 << 30)
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
        drop_privileges(options.work)
        sys.exit(run_test(kind, options))
    except BrokenSetup as setup:
        print(f'{setup.kind}: {setup}', file=sys.stderr)
        sys.exit(setup.status)
