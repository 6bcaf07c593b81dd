#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""xz with two threads compresses a file: big buffers, worker threads, read and write of regular
files."""

from moving import MovingProgram, main, write_text


class XzCompress(MovingProgram):
    name = 'xz_compress'
    needs = ('xz',)
    first_work = 24  # MiB

    def make_input(self, folder, rng):
        write_text(folder / 'input', rng, self.work)

    def command(self, work):
        return ['xz', '--keep', '-7', '--extreme', '--threads=2', '--block-size=1MiB', 'input']


if __name__ == '__main__':
    main(XzCompress)
