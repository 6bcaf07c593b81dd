#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 with a write-ahead log for itself alone: the log's index is in its own memory, so it moves. A second
connection gets nothing."""

from moving import main
from sqlite import Sqlite, expect, outside


class SqliteWalExclusive(Sqlite):
    name = 'sqlite_wal_exclusive'
    first_work = 60  # steps
    exponent = 1.7
    journal = 'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 300;'

    def look(self, run, number):
        expect(outside(run, 'SELECT max(step) FROM total'), 'database is locked')


if __name__ == '__main__':
    main(SqliteWalExclusive)
