#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""vim on a terminal, driven by typing: insertions, substitutions, macros, undo, sorting, other files, a swap file,
a filter that is another process, and a new window size. Every screen and all files must be the same as natively."""

import shutil

from moving import MachineLacks, main
from terminal import Terminal, TerminalProgram

LINES = 3000
ESCAPE, CTRL_G, CTRL_L, CTRL_R, CTRL_V = '\x1b', '\x07', '\x0c', '\x12', '\x16'
# A whole screen: from clearing it to the ruler.
SCREEN = rb'(?s)\x1b\[H\x1b\[J.*?\d+,\d[-0-9]*[^,]{1,12}(Top|Bot|All|%)\x1b'

STEPS = (
    'ggOtyped at the top' + ESCAPE,
    ':%s/\\<a\\([a-z]*\\)/<\\1>/g\n',
    'Gothe last line' + ESCAPE + 'yypp',
    '50%dapuu' + CTRL_R,
    ":2,400sort n\n",
    'ggqa0f x5jAmacro' + ESCAPE + 'jq40@a',
    ':g/macro$/m0\n',
    'gg5j' + CTRL_V + '20jlld$p',
    ':set textwidth=40\n',
    '30Ggq3jgUG',
    ':w\n',
    '100Gma200Gd\'ak"bp',
    ':g/e/normal Aé\n',
    ':1,20!sort -r\n',
    'u' + 'U',
    '500Gvjjjjy:r input\n',
    '/[0-9]* [m-z]*$\n',
    'nnNr#.~~~',
    ':w! copy\n',
    ':e! copy\n',
    ':silent undo 1\n',
    ':v/5/d\n',
    ':w >> all\n',
    ':e input\n',
)


class VimEdit(TerminalProgram):
    name = 'vim_edit'
    grows = False

    def make_input(self, folder, rng):
        words = [''.join(rng.choices('abcdefghijklmnopqrstuvwxyz', k=rng.randint(2, 9))) for _ in range(400)]
        (folder / 'input').write_text(
            ''.join(f'{rng.randrange(10000)} {" ".join(rng.choices(words, k=rng.randint(3, 9)))}\n'
                    for _ in range(LINES)), encoding='ascii')

    def settings(self):
        return {'TERM': 'vt100', 'LC_ALL': 'C.UTF-8'}

    def arguments(self):
        for name in ('vim.tiny', 'vim.basic', 'vim'):
            if shutil.which(name):
                return [name, '-u', 'NONE', '-i', 'NONE', '-N', '--cmd', 'set ruler noshowcmd', 'text']
        raise MachineLacks('not installed: vim')

    def talk(self, run):
        shutil.copy(run.folder / 'work' / 'input', run.folder / 'work' / 'text')
        terminal = Terminal(run, self.master)
        terminal.resize(24, 80)
        terminal.start_preloaded('Top')
        screens = b''
        for number in range(2 * len(STEPS)):
            run.pace(number, 2 * len(STEPS))
            if number % 10 == 5:
                self.resize(terminal, 20 + number % 7, 90 - number)
            terminal.type(STEPS[number % len(STEPS)])
            terminal.type(CTRL_G)
            terminal.expect('%--')
            # What is shown on the way to the same screen depends on how fast the keys come.
            terminal.type(CTRL_L)
            screens += terminal.expect_match(SCREEN)
        run.stop_mover()
        terminal.type(':wq! last\n')
        run.wait_end()
        terminal.drain()
        (run.folder / 'work' / 'screens').write_bytes(screens)

    def resize(self, terminal, rows, columns):
        terminal.resize(rows, columns)
        terminal.expect_match(SCREEN)


if __name__ == '__main__':
    main(VimEdit)
