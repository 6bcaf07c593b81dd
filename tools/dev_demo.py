#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: a job moves between two nodes of a local cluster while you watch.

    dev_demo.py --build DIR

Runs examples/primes natively, then preloaded, moves it to n2, home and to n2 again with `om migrate`, shows its output
with the place where each line was computed, and compares both runs. Exit status 0: the job was moved three times and
its output and status equal the native ones; 1: otherwise. The cluster is stopped whatever happens.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

MOVES = ('n2', 'home', 'n2')
NATIVE_SECONDS = 4.0   # intended run time of the job
MOST_STEPS = 2000
LINES = 50             # of progress; the moves are made after every quarter of them
LIMIT = 120            # seconds for any single step


class Wrong(Exception):
    """The demonstration did not show what it should."""


def say(text=''):
    print(text, flush=True)


class Demo:
    def __init__(self, build):
        self.build = build
        self.job = build / 'examples' / 'primes'
        self.environment = {**os.environ, 'PATH': f'{build / "cli"}:{os.environ["PATH"]}',
                            'OM_LIBEXEC': str(build / 'libexec'),
                            'OM_PRELOAD': str(build / 'libom' / 'libom.so')}
        for name in ('LD_PRELOAD', 'OM_CONTROL', 'OM_NODE'):
            self.environment.pop(name, None)
        self.place = 'n1'
        self.lines = []
        self.changed = threading.Condition()

    def om(self, *arguments):
        return subprocess.run(['om', *arguments], env=self.environment, capture_output=True,
                              text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, check=False)

    def check_om(self, *arguments):
        done = self.om(*arguments)
        if done.returncode != 0:
            raise Wrong(f'om {" ".join(arguments)}: exit status {done.returncode}: '
                        f'{done.stderr.strip()}')
        return done.stdout

    def native(self, steps, size):
        start = time.monotonic()
        done = subprocess.run([self.job, str(steps), str(size)], capture_output=True, text=True,
                              timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
        return done, time.monotonic() - start

    def measured_work(self):
        """Steps and step size (in millions) for which the job takes about NATIVE_SECONDS."""
        size = 1
        while True:
            seconds = self.native(LINES, size)[1]
            if seconds > NATIVE_SECONDS / 8 or size >= 500:
                return min(MOST_STEPS, max(LINES, int(LINES * NATIVE_SECONDS / seconds))), size
            size *= 2

    def read_job(self, pipe, every):
        for number, line in enumerate(pipe):
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
                place = self.place
            if number % every == 0:
                say(f'  [{place}]  {line.rstrip()}')

    def wait_for_lines(self, number, job):
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.lines) >= number or
                                           job.poll() is not None, LIMIT)
        if not enough or job.poll() is not None:
            raise Wrong(f'the job printed only {len(self.lines)} lines; {number} were awaited')

    def move(self, job, to):
        record = self.om('migrate', str(job.pid), to, '--json')
        try:
            data = json.loads(record.stdout)
        except ValueError:
            data = {}
        if record.returncode != 0 or data.get('result') != 'moved' or not data.get('moved', True):
            raise Wrong(f'om migrate {job.pid} {to}: exit status {record.returncode}: '
                        f'{record.stdout.strip()} {record.stderr.strip()}')
        with self.changed:
            self.place = data['to']
        where = self.check_om('where', str(job.pid)).strip()
        if where != data['to']:
            raise Wrong(f'it was moved to {data["to"]}, but om where says {where}')
        say(f'$ om migrate {job.pid} {to}')
        say(f'    {data["from"]} -> {data["to"]}: it stood still for {data["freeze_ms"]:.1f} ms of '
            f'{data["total_ms"]:.0f}; {data["pages"]} pages, {data["bytes_wire"] / 2**20:.1f} MiB '
            'were sent')
        return data

    def moved(self, steps, size):
        """The job, preloaded and moved: stdout, stderr, exit status."""
        preload = self.environment['OM_PRELOAD']
        say(f'$ LD_PRELOAD={os.path.basename(preload)} primes {steps} {size} &')
        with tempfile.TemporaryFile('w+') as errors, subprocess.Popen(
                [self.job, str(steps), str(size)], stdin=subprocess.DEVNULL, text=True,
                env={**self.environment, 'LD_PRELOAD': preload}, stdout=subprocess.PIPE,
                stderr=errors) as job:
            reader = threading.Thread(target=self.read_job, args=(job.stdout, steps // 20 + 1))
            reader.start()
            try:
                for number, to in enumerate(MOVES, 1):
                    self.wait_for_lines(steps * number // (len(MOVES) + 1), job)
                    used = cpu_seconds(job.pid)
                    self.move(job, to)
                    if self.place != 'n1':
                        self.wait_for_lines(steps * (2 * number + 1) // (2 * len(MOVES) + 2), job)
                        say(f'    while it computes on {self.place}, its process on n1 has used '
                            f'{cpu_seconds(job.pid) - used:.2f} s of CPU time')
                status = job.wait(timeout=LIMIT)
            finally:
                if job.poll() is None:
                    job.kill()
                reader.join()
            errors.seek(0)
            return ''.join(self.lines), errors.read(), status

    def show(self, directory):
        say('A job that moves. First natively, without anything of ours:')
        steps, size = self.measured_work()
        native, seconds = self.native(steps, size)
        say(f'$ primes {steps} {size}')
        say(f'    {seconds:.1f} s; its last line: {native.stdout.splitlines()[-1]}')
        say()
        say('Now with two nodes on this machine, n1 (its home) and n2:')
        say('$ om cluster dev start --nodes 2 --dir D')
        try:
            self.check_om('cluster', 'dev', 'start', '--nodes', '2', '--dir', str(directory))
            environment = self.check_om('cluster', 'dev', 'env', '--dir', str(directory), '--node',
                                        'n1')
            for line in environment.splitlines():
                name, _, value = line.removeprefix('export ').partition('=')
                self.environment[name] = value.strip("'")
            output, errors, status = self.moved(steps, size)
        finally:
            stopped = self.om('cluster', 'dev', 'stop', '--dir', str(directory))
        say('$ om cluster dev stop --dir D')
        if stopped.returncode != 0 or directory.exists():
            raise Wrong(f'the cluster did not stop: {stopped.stderr.strip()}')
        say()
        if (output, errors, status) != (native.stdout, native.stderr, native.returncode):
            raise Wrong(f'the moved job ended with status {status} (native {native.returncode}), '
                        f'{len(output)} bytes of output (native {len(native.stdout)}), stderr: '
                        f'{errors.strip() or "none"}')
        say(f'The job was moved {len(MOVES)} times and ended on {self.place}. Its {steps} lines and '
            'its exit status are those of the native run.')


def cpu_seconds(pid):
    """CPU time of the process itself, from /proc; 0 if it has ended."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def main():
    parser = argparse.ArgumentParser(description='a job that moves')
    parser.add_argument('--build', required=True, type=pathlib.Path)
    build = parser.parse_args().build.resolve()
    with tempfile.TemporaryDirectory(prefix='om-demo-') as directory:
        try:
            Demo(build).show(pathlib.Path(directory) / 'c')
        except (Wrong, OSError, subprocess.TimeoutExpired) as wrong:
            say()
            print(f'demo: FAILED: {wrong}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print('demo: interrupted', file=sys.stderr)
            return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
