#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal under `bash -i`, driven by typing: lines, Ctrl-C, Ctrl-Z, jobs, bg, fg, a
new window size, a secret without echo, and its end by Ctrl-C. The job moves, bash does not. The
transcript, every byte that the terminal showed, must be the same as natively."""

from moving import main
from terminal import Terminal, TerminalProgram

LINES = 40
CTRL_C, CTRL_Z = '\x03', '\x1a'

WRAPPER = '''\
#!/bin/sh
[ -z "$JOB_PRELOAD" ] || export LD_PRELOAD="$JOB_PRELOAD"
exec "$JOB_PROGRAM"
'''


class BashJob(TerminalProgram):
    name = 'bash_job'
    needs = ('/bin/bash',)
    preloaded = False
    ignored_files = ('job.pid',)

    def make_input(self, folder, rng):
        (folder / 'job').write_text(WRAPPER, encoding='ascii')
        (folder / 'job').chmod(0o755)

    def settings(self):
        return {'JOB_PROGRAM': self.binary('typed_job'), 'PS1': '> ', 'HISTFILE': ''}

    def arguments(self):
        return ['/bin/bash', '--norc', '--noprofile', '--noediting', '-i']

    def talk(self, run):
        terminal = Terminal(run, self.master)
        terminal.resize(24, 80)
        terminal.expect('> ')
        terminal.type('./job\n')
        terminal.expect_line('ready on a terminal')
        pid = int((run.folder / 'work' / 'job.pid').read_text(encoding='ascii'))
        run.start_mover(pid)
        for number in range(1, LINES + 1):
            run.pace(number, LINES)
            self.step(terminal, number)
        terminal.type('default\n')
        terminal.expect_line('default now')
        terminal.type(CTRL_C)
        terminal.expect('> ')
        run.stop_mover()
        terminal.type('echo status $?\n')
        terminal.expect_line('status 130')
        terminal.expect('> ')
        terminal.type('exit\n')
        terminal.expect_line('exit')
        run.wait_end()
        terminal.keep()

    def step(self, terminal, number):
        """One thing done at the terminal."""
        if number % 8 == 3:
            terminal.type(CTRL_C)
            terminal.expect_line(f'[interrupt {number // 8 + 1}]')
        elif number % 8 == 5:
            self.stop_and_continue(terminal)
        elif number % 8 == 7:
            terminal.resize(20 + number, 100)
            terminal.expect_line(f'[size {20 + number} x 100]')
        elif number == 14:
            terminal.type('secret\n')
            terminal.expect('secret? ')
            terminal.type('not to be shown\n')
            terminal.expect_line('15 characters')
        elif number == 26:
            self.compute_in_background(terminal)
        else:
            terminal.type(f'line number {number}\n')
            terminal.expect_line(f'{str(number)[::-1]} rebmun enil')

    def stop_and_continue(self, terminal):
        terminal.type(CTRL_Z)
        terminal.expect('Stopped')
        terminal.expect('> ')
        terminal.type('jobs\n')
        terminal.expect('Stopped')
        terminal.expect('> ')
        terminal.type('fg\n')
        terminal.expect_line('./job')

    def compute_in_background(self, terminal):
        terminal.type('compute\n')
        terminal.expect_line('computing')
        terminal.type(CTRL_Z)
        terminal.expect('Stopped')
        terminal.expect('> ')
        terminal.type('bg\n')
        terminal.expect('./job &')
        terminal.expect('> ')
        terminal.type('jobs\n')
        terminal.expect('Running')
        terminal.expect('> ')
        terminal.type('fg\n')
        terminal.expect_line('./job')
        (terminal.run.folder / 'work' / 'enough').touch()
        terminal.expect_line('computed')


if __name__ == '__main__':
    main(BashJob)
