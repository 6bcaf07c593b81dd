#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 with a write-ahead log that others may use: its index is memory shared with them. Opening it brings the
program home, where it stays (SHARED_WRITABLE) and is right; a second connection reads while it writes. With
another journal it moves again."""

from moving import Failure, main
from sqlite import Sqlite, expect, outside

STEPS = 6     # for each journal
REFUSALS = 3  # that must be seen while the log is open


class SqliteWalShared(Sqlite):
    name = 'sqlite_wal_shared'
    grows = False
    journal = 'PRAGMA journal_mode = DELETE;'
    refusals = ('SHARED_WRITABLE',)

    def look(self, run, number):
        expect(outside(run, 'SELECT max(step) FROM total'), [(number - 1,)])

    def talk(self, run):
        self.begin(run)
        self.steps(run, range(1, STEPS + 1), lambda step: run.pace(step, 2 * STEPS))
        self.ask(run, 'PRAGMA journal_mode = WAL;\nSELECT count(*) FROM total;\n.print log\n', 'log')
        before = run.moves()
        self.steps(run, range(STEPS + 1, 2 * STEPS + 1), lambda step: run.wait_refusals(REFUSALS))
        if run.moves() > before + 1:  # one may have been under way
            raise Failure(f'{run.moves() - before} moves with a shared log')
        self.ask(run, 'PRAGMA journal_mode = DELETE;\n.print no log\n', 'no log')
        self.steps(run, range(2 * STEPS + 1, 3 * STEPS + 1), lambda step: run.pace(step - STEPS, 2 * STEPS))
        self.finish(run)

    def steps(self, run, numbers, wait):
        for number in numbers:
            self.step(run, number)
            wait(number)


if __name__ == '__main__':
    main(SqliteWalShared)
