#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""less of a large file on a terminal, driven by typing: pages, searches both ways, marks, a filter, a new window
size, a second file, and waiting for a file that grows. The transcript must be the same as natively."""

from moving import main
from terminal import Terminal, TerminalProgram

MIB = 24
ROUNDS = 2
PROMPT = '#\x1b[27m\x1b[K'  # the last that less shows before it reads the next key
CTRL_C = '\x03'
BELL = b'\x07'  # the handler of SIGINT rings it, between any two bytes


class LessView(TerminalProgram):
    name = 'less_view'
    needs = ('less',)

    def make_input(self, folder, rng):
        words = [''.join(rng.choices('abcdefghijklmnopqrstuvwxyz', k=rng.randint(2, 9))) for _ in range(3000)]
        with open(folder / 'large', 'w', encoding='ascii') as out:
            number = 0
            while out.tell() < MIB << 20:
                lines = []
                for _ in range(1000):
                    number += 1
                    lines.append(f'{number} {" ".join(rng.choices(words, k=rng.randint(1, 20)))}\n')
                out.writelines(lines)
        self.lines = number

    def settings(self):
        return {'TERM': 'xterm', 'LESSHISTFILE': '-', 'LESSOPEN': ''}

    def arguments(self):
        return ['less', '-n', '-Ps%bt of %B#', 'large', 'log']

    def talk(self, run):
        (run.folder / 'work' / 'log').write_text('the first line\n', encoding='ascii')
        terminal = Terminal(run, self.master)
        terminal.resize(24, 80)
        terminal.start_preloaded(PROMPT)
        keys = self.keys()
        for number, key in enumerate(keys, 1):
            run.pace(number, len(keys))
            if callable(key):
                key(terminal)
            else:
                terminal.type(key)
                terminal.expect(PROMPT)
        run.stop_mover()
        terminal.type('q')
        run.wait_end()
        terminal.keep(without=BELL)

    def keys(self):
        """What is typed, one after the other; functions do more than that."""
        keys = []
        for part in range(ROUNDS):
            at = (2 * part + 1) * self.lines // (2 * ROUNDS)
            keys += ['g', ' ', ' ', 'b', 'mx', f'/^{at} \n', 'j', 'j', 'k', '25\n', "'x", 'G', f'?^{at // 2} \n',
                     f'{20 * part + 15}p', '/^[0-9]+ [a-m]+ [n-z]+$\n', 'n', 'N', '-S\n', 'd', 'u',
                     lambda terminal, rows=20 + part: self.resize(terminal, rows), 'g',
                     f'&^{part + 1}[0-9]*77 \n', 'G', '&\n', ':n',
                     lambda terminal, part=part: self.follow(terminal, part), ':p']
        return keys

    def resize(self, terminal, rows):
        terminal.wait_reading(terminal.run.process.pid)
        terminal.resize(rows, 70)
        terminal.expect(PROMPT)

    def follow(self, terminal, part):
        """The key F waits for more of the file, until Ctrl-C."""
        terminal.type('F')
        terminal.expect('interrupt to abort')
        for number in range(2):
            with open(terminal.run.folder / 'work' / 'log', 'a', encoding='ascii') as log:
                log.write(f'line {part}.{number}\n')
            terminal.expect(f'line {part}.{number}')
            terminal.expect('interrupt to abort')
        terminal.type(CTRL_C)
        terminal.expect(PROMPT)


if __name__ == '__main__':
    main(LessView)
