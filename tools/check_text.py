#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the form of every text file in the tree.

    check_text.py [--root DIR] [--build DIR]

The first line (or the one after #!) names the licence; sources have a comment at their head; no tabs, no trailing
blanks, a newline at the end; columns and lines within limits; a TODO has a kind; no paths of one machine. Exit status
0, or 1 with one "file:line: reason" per error. --build is accepted because all checks are called alike.
"""

import argparse
import os
import pathlib
import re
import sys

MOST_COLUMNS = 120   # the formatter aims at 100; what it does not touch may be longer
MOST_LINES = 500     # more needs a reason in the head comment
NEVER_LINES = 900
REASON = re.compile(r'500 lines|one file|usual size')
HEAD_LINES = 30

SPDX = 'SPDX-License-Identifier: Apache-2.0'
# Kinds of files by suffix or name.
COMMENTED = ('.h', '.cc', '.S')
LICENSED = COMMENTED + ('.py', '.sh', '.capnp', '.tbl', '.map', 'meson.build', 'meson_options.txt', 'dev',
                        '.clang-format', '.editorconfig', 'packages.txt', '.ci/run')
LONG_LINES = ('.tbl', '.md', 'LICENSE')
SNAKE_CASE = re.compile(r'[a-z0-9_]+(\.[a-z]+|\.S)$')
# Other people's text, and generated lists.
NOT_OURS = ('LICENSE', 'test/behaviour/calls.txt')

TODO = re.compile(r'\bTODO\b(?!\((correctness|perf|port|test|cleanup)\): )|\b(FIXME|XXX)\b')
PATHS = re.compile(r'(?<![\w.])/(?:work|root)/\w')
NUMBERED = re.compile(r'\b[Ii]ssues? (#?\d|[A-H]\b)|(?<![&\w])#\d{1,4}\b(?![\d-])')


def files_of(root):
    """Relative names of the tree's files: no builds, no caches, no hidden folders but .ci, not the .git of a
    worktree."""
    for folder, folders, names in os.walk(root):
        at = pathlib.Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders
                            if name not in ('__pycache__', 'corpus') and
                            (name == '.ci' or not name.startswith('.')) and
                            not (at == pathlib.Path('.') and name.startswith('build')))
        for name in sorted(names):
            if not name.endswith('.pyc') and name != '.git':
                yield (at / name).as_posix()


def check_head(root, name, lines):
    """Licence and head comment. A .cc file with a header is described in the header."""
    first = 1 if lines and lines[0].startswith('#!') else 0
    if name.endswith(LICENSED) and (len(lines) <= first or SPDX not in lines[first]):
        yield first + 1, f'the line is to be "{SPDX}"'
    described = name.endswith('.cc') and (root / name).with_suffix('.h').is_file()
    if name.endswith(COMMENTED) and not described and (
            len(lines) < 2 or not lines[1].startswith(('//', '/*', '#', ' *'))):
        yield 2, 'no comment at the head of the file'


def check_size(name, lines):
    if not name.endswith(COMMENTED + ('.py', '.sh')):
        return
    if len(lines) > NEVER_LINES:
        yield len(lines), f'more than {NEVER_LINES} lines'
    elif len(lines) > MOST_LINES and not any(REASON.search(line) for line in lines[:HEAD_LINES]):
        yield len(lines), f'more than {MOST_LINES} lines, and the head comment gives no reason'


def check_line(name, line):
    """What is wrong with one line."""
    if line != line.rstrip():
        yield 'blanks at the end of the line'
    if '\t' in line and not name.endswith('.md'):
        yield 'a tab'
    if len(line) > MOST_COLUMNS and not name.endswith(LONG_LINES):
        yield f'{len(line)} columns; at most {MOST_COLUMNS}'
    if name == 'tools/check_text.py' or name == 'tools/check_text_test.py':
        return
    if TODO.search(line):
        yield 'TODO(kind): with one of correctness, perf, port, test, cleanup'
    if PATHS.search(line):
        yield 'a path of one machine'
    if NUMBERED.search(line) and not line.startswith(('#!', '#include')):
        yield 'a number that only a list elsewhere explains'


def check_text(root, name, data):
    """All errors in one file as (line, reason)."""
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        return [(1, 'not UTF-8')]
    if '\0' in text:
        return [(1, 'a binary file')]
    problems = []
    if '\r' in text:
        problems.append((1, 'lines end in CR LF'))
    if text and not text.endswith('\n'):
        problems.append((text.count('\n') + 1, 'no newline at the end'))
    lines = text.split('\n')[:-1] if text.endswith('\n') else text.split('\n')
    problems += check_head(root, name, lines)
    problems += check_size(name, lines)
    base = name.rpartition('/')[2]
    if name.endswith(COMMENTED + ('.py', '.capnp', '.tbl')) and not SNAKE_CASE.match(base):
        problems.append((1, 'the name of the file is to be in snake_case'))
    for number, line in enumerate(lines, 1):
        problems += [(number, reason) for reason in check_line(name, line)]
    return problems


def check_tree(root):
    problems = []
    for name in files_of(root):
        if name in NOT_OURS:
            continue
        for number, reason in check_text(root, name, (root / name).read_bytes()):
            problems.append(f'{name}:{number}: {reason}')
    return problems


def main():
    parser = argparse.ArgumentParser(description='how the text files look')
    parser.add_argument('--root', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument('--build')
    problems = check_tree(parser.parse_args().root.resolve())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
