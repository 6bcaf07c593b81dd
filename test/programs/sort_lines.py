#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sort orders 50 MB (at least) of lines by version numbers: two threads, many temporary files,
merging."""

from moving import MovingProgram, main


class SortLines(MovingProgram):
    name = 'sort_lines'
    needs = ('sort',)
    first_work = 60  # MB
    exponent = 1.25

    def make_input(self, folder, rng):
        words = [bytes(rng.choices(b'abcdefghijklmnopqrstuvwxyz0123456789-.', k=rng.randint(2, 12)))
                 for _ in range(5000)]
        with open(folder / 'input', 'wb') as out:
            while out.tell() < self.work * 1_000_000:
                out.writelines(b' '.join(rng.choices(words, k=4)) + b'\n' for _ in range(10000))

    def command(self, work):
        return ['sort', '--version-sort', '--parallel=2', '--buffer-size=6M',
                '--temporary-directory=.', '--output=sorted', 'input']


if __name__ == '__main__':
    main(SortLines)
