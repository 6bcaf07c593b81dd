#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The way between home and the node where a process runs takes milliseconds (slow_keeper.py), longer than from one
signal to the next: the process gets on all the same, and its calls are made once."""

import os
import pathlib
import shutil
import tempfile

from faulty import FaultCase, NumberedJob, main

DELAY = 4    # milliseconds, each way
LINES = 20   # that can only come from over there


class LongLinks(FaultCase):
    nodes = 2

    @classmethod
    def setUpClass(cls):
        cls.libexec = pathlib.Path(tempfile.mkdtemp(prefix='om-long-'))
        cls.libexec.chmod(0o755)
        build = pathlib.Path(cls.options.build or os.environ.get('OM_TEST_BUILD') or 'build').resolve()
        # A copy: om-migrator follows links.
        shutil.copy(pathlib.Path(__file__).resolve().with_name('slow_keeper.py'), cls.libexec / 'om-guest')
        (cls.libexec / 'om-guest').chmod(0o755)
        (cls.libexec / 'real-om-guest').symlink_to(build / 'migrator' / 'guest' / 'om-guest')
        (cls.libexec / 'DELAY').write_text(str(DELAY), encoding='ascii')
        os.environ['OM_LIBEXEC'] = str(cls.libexec)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for file in cls.libexec.iterdir():
            file.unlink()
        cls.libexec.rmdir()

    def get_on(self, how):
        job = NumberedJob(self, program='ticked', more=(how,))
        for to in ('n2', 'home', 'n2'):
            job.move(to)
            job.wait_progress(LINES)
        job.finish()

    def test_calls_between_signals(self):
        self.get_on('plain')

    def test_calls_of_the_handler(self):
        self.get_on('handler')

    def test_calls_that_wait(self):
        self.get_on('blocking')


if __name__ == '__main__':
    main()
