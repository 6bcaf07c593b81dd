#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gzip compresses what it is given through a pipe: one thread that computes between reads that block and
writes to a file. A writer outside feeds it, in pieces of odd sizes."""

import os
import threading

from moving import MovingProgram, main, write_text


class GzipCompress(MovingProgram):
    name = 'gzip_compress'
    needs = ('gzip',)
    first_work = 120  # MiB

    def make_input(self, folder, rng):
        write_text(folder / 'input', rng, self.work)

    def command(self, work):
        return ['gzip', '-9', '--verbose']

    def open_streams(self, folder):
        reader, self.writer = os.pipe()
        os.set_inheritable(self.writer, False)
        return [reader, *super().open_streams(folder)[1:]]

    def talk(self, run):
        def feed():
            with open(run.folder / 'work' / 'input', 'rb') as source, os.fdopen(self.writer, 'wb', 0) as pipe:
                size = 1
                while data := source.read(size):
                    pipe.write(data)
                    size = size * 7 % 100003 + 1
        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        run.wait_end()
        feeder.join(10)


if __name__ == '__main__':
    main(GzipCompress)
