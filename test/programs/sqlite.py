# SPDX-License-Identifier: Apache-2.0
"""What the sqlite3 tests share: the command line program on pipes, given SQL step by step, while a second
connection of this process looks at the same database from outside."""

import os
import sqlite3

from moving import Failure, MovingProgram

SCHEMA = '''\
CREATE TABLE entry(id INTEGER PRIMARY KEY, key TEXT NOT NULL, number INTEGER, data BLOB);
CREATE INDEX entry_key ON entry(key);
CREATE TABLE total(step INTEGER PRIMARY KEY, entries INTEGER, sum INTEGER);
CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN
  UPDATE total SET entries = entries - 1 WHERE step = 0; END;
INSERT INTO total VALUES (0, 0, 0);
'''

# One transaction that stays, one that does not, a savepoint, and questions that walk through all of it.
STEP = '''\
BEGIN IMMEDIATE;
.print locked {step}
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
  INSERT INTO entry(key, number, data)
  SELECT printf('%08x', (i * 2654435761 + {step} * 40503) % 4294967296), i * {step},
         CAST(printf('%.*c', i % 90, 'x') AS BLOB) FROM n;
SAVEPOINT inner;
UPDATE entry SET data = zeroblob(300) WHERE id % 7 = {step} % 7;
DELETE FROM entry WHERE id % 11 = {step} % 11;
{inner};
INSERT INTO total SELECT {step}, count(*), sum(number) FROM entry;
COMMIT;
BEGIN;
DELETE FROM entry WHERE number % 3 = 0;
UPDATE entry SET key = upper(key) || '-' || id;
SELECT 'to be undone', count(*) FROM entry WHERE key LIKE '%-1%';
ROLLBACK;
SELECT substr(key, 1, 2) AS head, count(*), sum(length(data)), max(number) FROM entry
  GROUP BY head ORDER BY 2 DESC, 1 LIMIT 3;
SELECT count(*), sum(a.number - b.number) FROM entry a JOIN entry b ON b.id = a.number % 400;
.print done {step}
'''


class Sqlite(MovingProgram):
    """`journal` is the SQL that chooses the kind of journal."""
    needs = ('sqlite3',)
    journal = ''

    def command(self, work):
        return ['sqlite3', '-batch', '-bail', 'data.db']

    def open_streams(self, folder):
        reader, self.input = os.pipe()
        return [reader, *super().open_streams(folder)[1:]]

    def tell(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self.input, data):]

    def ask(self, run, text, mark):
        """Gives `text` to the program and waits until it has printed `mark`."""
        self.tell(text)
        run.wait_text('stdout', f'{mark}\n'.encode())

    def begin(self, run):
        self.ask(run, f'PRAGMA page_size = 1024; {self.journal}\n{SCHEMA}.print schema\n', 'schema')

    def step(self, run, number):
        inner = 'ROLLBACK TO inner' if number % 3 == 0 else 'RELEASE inner'
        before, after = STEP.format(step=number, inner=inner).split(f'.print locked {number}\n')
        self.ask(run, f'{before}.print locked {number}\n', f'locked {number}')
        if number % 5 == 1:
            self.look(run, number)
        self.ask(run, after, f'done {number}')

    def look(self, run, number):
        """Called inside the program's transaction number `number`: looks at the database from outside."""

    def finish(self, run):
        self.tell('PRAGMA integrity_check; VACUUM;\nSELECT count(*), sum(number) FROM entry;\n')
        os.close(self.input)
        run.wait_end()

    def talk(self, run):
        self.begin(run)
        for number in range(1, self.work + 1):
            self.step(run, number)
        self.finish(run)


def outside(run, sql):
    """What another process gets for `sql`: rows, or the text of the error."""
    other = sqlite3.connect(run.folder / 'work' / 'data.db', timeout=0, isolation_level=None)
    try:
        return other.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        return str(error)
    finally:
        other.close()


def expect(got, want):
    if got != want:
        raise Failure(f'another connection got {got!r}, not {want!r}')
