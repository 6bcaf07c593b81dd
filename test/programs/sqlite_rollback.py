#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 with its ordinary journal: record locks, fsync, a journal that is made and removed by every
transaction. Inside a transaction a second connection may read but not write."""

from moving import main
from sqlite import Sqlite, expect, outside


class SqliteRollback(Sqlite):
    name = 'sqlite_rollback'
    first_work = 60  # steps
    exponent = 1.7
    journal = 'PRAGMA journal_mode = DELETE;'

    def look(self, run, number):
        expect(outside(run, 'SELECT max(step) FROM total'), [(number - 1,)])
        expect(outside(run, 'BEGIN IMMEDIATE'), 'database is locked')


if __name__ == '__main__':
    main(SqliteRollback)
