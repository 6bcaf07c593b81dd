#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Connections between home and the remote node are cut at random moments (`om debug`): the process
goes on after each cut, and every call has been executed exactly once."""

from faulty import ROUNDS, FaultCase, NumberedJob, main


class LostLinks(FaultCase):
    def cut(self, job, what):
        self.om('debug', what, job.pid)

    def cut_often(self, what):
        job = NumberedJob(self)
        job.move('n2')
        job.wait_progress(5)
        for _ in range(6 * ROUNDS):
            self.cut(job, self.random.choice(what))
            job.wait_progress(self.random.randrange(1, 12))
        self.assertEqual('n2', self.om('where', job.pid).stdout.strip())
        job.move('home')
        job.wait_progress(5)
        job.finish()

    def test_channels(self):
        self.cut_often(['channels'])

    def test_session(self):
        self.cut_often(['session'])

    def test_both(self):
        self.cut_often(['channels', 'session', 'all'])

    def test_cuts_while_it_moves(self):
        """A cut during a move may cost the move, never the process or a call."""
        job = NumberedJob(self)
        for _ in range(ROUNDS):
            for to in ('n2', 'n3', 'home'):
                mover = self.start(self.product.om, 'migrate', job.pid, to, preload=False)
                while mover.poll() is None:
                    self.cluster.run('debug', self.random.choice(['channels', 'session', 'all']),
                                     str(job.pid), env=self.cluster.environment())
                job.wait_progress(2)
        job.finish()


if __name__ == '__main__':
    main()
