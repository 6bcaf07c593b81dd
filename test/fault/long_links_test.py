#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The link between home and the node where a process runs takes milliseconds (slow_keeper.py), longer than the interval
between signals: a process that would make no more progress comes home, and its calls are made once."""

import pathlib

from faulty import FaultCase, NumberedJob, main

DELAY = 4    # milliseconds, each way
MORE_THAN_UNREAD = 100


class LongLinks(FaultCase):
    nodes = 2

    keeper = pathlib.Path(__file__).resolve().with_name('slow_keeper.py')

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.libexec / 'DELAY').write_text(str(DELAY), encoding='ascii')

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
