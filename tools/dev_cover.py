#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines covered by tests, by folder and file: the table of ./dev cover.

    dev_cover.py --root DIR --build DIR [--json FILE] [--all]

Reads the counts (*.gcda) of a build directory configured with b_coverage, using `gcov --json-format`. A line counts as
run if any program of the build has run it. Fenced code is not instrumented and not listed; tests and generated files
are left out. --all also lists files. Exit status 0, 1 if there are no counts.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDERS = ('common', 'balance', 'migrator', 'deputy', 'cli')
BATCH = 50


def counts_of(build, files, lines):
    """Adds up what gcov says about a batch of .gcda files: lines[source][line] = times."""
    with tempfile.TemporaryDirectory(prefix='om-cover-') as folder:
        subprocess.run(['gcov', '--json-format', *map(str, files)], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for made in pathlib.Path(folder).glob('*.gcov.json.gz'):
            with gzip.open(made, 'rt', encoding='utf-8') as file:
                data = json.load(file)
            for source in data['files']:
                name = os.path.normpath(build / source['file'])
                for line in source['lines']:
                    lines[name][line['line_number']] += line['count']


def collect(root, build):
    """Relative name of a source: {line: times}."""
    files = sorted(build.rglob('*.gcda'))
    lines = collections.defaultdict(collections.Counter)
    # Files of the same name one at a time: gcov would overwrite its output.
    waiting = collections.defaultdict(list)
    for path in files:
        waiting[path.name].append(path)
    while waiting:
        batch = [paths.pop() for paths in list(waiting.values())[:BATCH]]
        waiting = {name: paths for name, paths in waiting.items() if paths}
        counts_of(build, batch, lines)
    result = {}
    for name, found in lines.items():
        path = pathlib.Path(name)
        if path.is_relative_to(root) and not path.is_relative_to(build):
            relative = path.relative_to(root)
            if relative.parts[0] in FOLDERS:
                result[relative.as_posix()] = found
    return result


def share(found):
    run = sum(1 for times in found.values() if times > 0)
    return run, len(found)


def row(name, run, total):
    percent = 100 * run / total if total else 0
    return f'{name:48} {run:6} of {total:6} {percent:5.1f} %'


def main():
    parser = argparse.ArgumentParser(description='lines that tests have run')
    parser.add_argument('--root', type=pathlib.Path, required=True)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--all', action='store_true', help='every file')
    options = parser.parse_args()
    root, build = options.root.resolve(), options.build.resolve()
    sources = collect(root, build)
    if not sources:
        print(f'cover: no counts in {build}', file=sys.stderr)
        return 1
    folders = collections.defaultdict(lambda: [0, 0])
    figures = {}
    for name in sorted(sources):
        run, total = share(sources[name])
        figures[name] = {'run': run, 'lines': total}
        for folder in (os.path.dirname(name), 'all'):
            folders[folder][0] += run
            folders[folder][1] += total
        if options.all:
            print(row(name, run, total))
    for folder in sorted(folders, key=lambda f: (f == 'all', f)):
        print(row(folder, *folders[folder]))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
