#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The way between home and the node where a process runs takes milliseconds (slow_keeper.py), longer than from one
signal to the next: a process that would not get on any more comes home, and its calls are made once."""

import os
import pathlib
import shutil
import tempfile

from faulty import FaultCase, NumberedJob, main

DELAY = 4    # milliseconds, each way
MORE_THAN_UNREAD = 100


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
        for _ in range(2):
            job.move('n2')
            job.wait_progress(MORE_THAN_UNREAD)
        job.move('home')
        job.finish()
        return [event['message'] for event in self.om_json('events', job.pid) if event['code'] == 'CAME_HOME']

    def test_calls_between_signals(self):
        self.assertIn('signals came faster', ' '.join(self.get_on('plain')))

    def test_calls_of_the_handler(self):
        self.get_on('handler')

    def test_calls_that_wait(self):
        self.get_on('blocking')

    def test_handlers_on_top_of_each_other(self):
        self.get_on('two')


if __name__ == '__main__':
    main()
