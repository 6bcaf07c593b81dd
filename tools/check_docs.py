#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the documentation says what the tree says.

    check_docs.py [--root DIR] [--build DIR]

docs/syscalls.md equals the generator's output; docs/REASONS.md has a row for every code of common/movable/reasons.cc
and no other, and no other source spells a code out; with --build, docs/CLI.md has every verb and option that `om
--help` lists; links lead to existing files and headings; file names of this tree, in documents and comments, name
existing files; every source file of the product is in a code map. Exit status 0, or 1 with one "file:line: reason" per
error.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

GENERAL_OPTIONS = ('--help', '--version')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
CODE_FENCE = re.compile(r'^(```|    )')
# `folder/name.suffix` or `folder/name` in backticks, where folder is one of the tree's.
NAMED_FILE = re.compile(r'`((?:[a-z_.]+/)+[A-Za-z0-9_.-]+)`')
# `name.suffix` in a document of a product folder is a file of that folder.
LONE_FILE = re.compile(r'`([a-z0-9_]+\.(?:cc|h|S|tbl|capnp))`')


def relative(root, path):
    return path.relative_to(root).as_posix()


def documents(root):
    return sorted([*root.glob('*.md'), *root.glob('docs/*.md'), *root.glob('bench/*.md'),
                   *(path for folder in PRODUCT for path in root.glob(f'{folder}/**/*.md'))])


def anchors_of(text):
    """The headings' anchors, as Markdown tools derive them."""
    found = set()
    for line in text.splitlines():
        match = re.match(r'#+ +(.*?) *#*$', line)
        if match:
            kept = re.sub(r'[^\w\- ]', '', match.group(1).lower())
            found.add(kept.replace(' ', '-'))
    return found


def check_links(root, path):
    text = path.read_text(encoding='utf-8')
    for number, line in enumerate(text.splitlines(), 1):
        if CODE_FENCE.match(line):
            continue
        for target in LINK.findall(line):
            if re.match(r'[a-z]+:', target):
                continue
            name, _, anchor = target.partition('#')
            other = path.parent / name if name else path
            if not other.exists():
                yield f'{relative(root, path)}:{number}: no file {target}'
            elif anchor and other.suffix == '.md' and \
                    anchor not in anchors_of(other.read_text(encoding='utf-8')):
                yield f'{relative(root, path)}:{number}: no heading {target}'


def named_files(root, path, line):
    """(as written, path from the root) of each file that a line names; names relative to the document's folder count
    too."""
    folder = path.parent
    for name in NAMED_FILE.findall(line):
        if folder.name in PRODUCT and (folder / name.split('/')[0]).exists():
            yield name, relative(root, folder / name)
        else:
            yield name, name
    if folder.name in PRODUCT:
        for name in LONE_FILE.findall(line):
            yield name, relative(root, folder / name)


def check_named_files(root, path):
    folders = {child.name for child in root.iterdir()
               if child.is_dir() and not child.name.startswith('build')}
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        for shown, name in named_files(root, path, line):
            if name.split('/')[0] in folders and not (root / name).exists() and \
                    not list(root.glob(name + '.*')):
                yield f'{relative(root, path)}:{number}: no file {shown}'


# A file's name in a comment, with or without folders.
COMMENT = re.compile(r'(?://|^\s*#(?!\s*include))(.*)')
FILE_NAME = re.compile(r'(?<![\w./<-])((?:[\w.-]+/)*[\w-]+\.(?:cc|h|S|py|tbl|capnp|md))(?![\w(/]|\.\w)')
# Headers of the kernel's sources and of Cap'n Proto; build products.
OTHER_FILES = ('include/linux/', 'uapi/linux/', 'linux/', 'rpc.capnp', 'gen/')
COMMENTED = ('.cc', '.h', '.S', '.capnp', '.tbl')
PRODUCT = ('libom', 'common', 'balance', 'deputy', 'guest', 'migrator', 'cli', 'sim')


def sources(root, suffixes=COMMENTED):
    for folder in (*PRODUCT, 'bench', 'examples', 'pch', 'test'):
        for path in sorted((root / folder).rglob('*')):
            if path.suffix in suffixes:
                yield path


def check_comments(root):
    """Files named in comments exist; a name may be a path from the root or the end of one."""
    known = [relative(root, path) for path in sources(root, (*COMMENTED, '.py', '.md'))]
    known += [relative(root, path) for path in [*documents(root), *root.glob('tools/*')]]
    ends = {'/'.join(name.split('/')[at:]) for name in known for at in range(name.count('/') + 1)}
    for path in sources(root):
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            for comment in COMMENT.findall(line):
                for name in FILE_NAME.findall(comment):
                    if name not in ends and not name.startswith(OTHER_FILES):
                        yield f'{relative(root, path)}:{number}: no file {name}'


def check_code_maps(root):
    """A document names every .cc and .S of the product, or its folder, in backticks."""
    named = {name.removesuffix('/') for path in documents(root)
             for _, name in named_files(root, path, path.read_text(encoding='utf-8'))}
    for path in sources(root, ('.cc', '.S')):
        name = relative(root, path)
        if name.split('/')[0] not in PRODUCT or path.name == 'main.cc':
            continue
        if name not in named and str(pathlib.PurePosixPath(name).parent) not in named:
            yield f'{name}:1: in no code map'


def check_syscalls(root):
    with tempfile.TemporaryDirectory(prefix='om-docs-') as folder:
        made = pathlib.Path(folder, 'syscalls.md')
        done = subprocess.run([sys.executable, str(root / 'tools/gen_syscalls.py'), 'docs',
                               str(root / 'libom/abi'), str(made)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f'libom/abi: {done.stderr.strip() or done.stdout.strip()}'
        elif made.read_bytes() != (root / 'docs/syscalls.md').read_bytes():
            yield ('docs/syscalls.md:1: not up to date: '
                   'python3 tools/gen_syscalls.py docs libom/abi docs/syscalls.md')


# Words in capitals that are not codes: names of variables, limits, timers.
OTHER_WORDS = re.compile(r'OM_|AT_|RLIMIT_|ITIMER_|LD_|XDG_|SLURMD?_|GLIBC_TUNABLES|[A-Z]*SAN_OPTIONS|NO_COLOR')
WORD = re.compile(r'"([A-Z][A-Z_]+)"')
COMMENT = re.compile(r'(?:^|[ \t])//(?:[ \t].*)?$', re.M)
TABLE = 'common/movable/reasons.cc'


def check_codes(root, codes):
    """No code is spelled out or invented outside the table: the sources use ReasonCode."""
    for path in sources(root, ('.cc', '.h')):
        name = relative(root, path)
        if name.split('/')[0] not in PRODUCT or name == TABLE:
            continue
        text = COMMENT.sub('', path.read_text(encoding='utf-8'))
        for match in WORD.finditer(text):
            word = match.group(1)
            number = text.count('\n', 0, match.start()) + 1
            if word in codes:
                yield f'{name}:{number}: "{word}" is spelled out, say ReasonCode'
            elif '_' in word and not OTHER_WORDS.match(word):
                yield f'{name}:{number}: {word} is no code of {TABLE}'


def check_reasons(root):
    table = (root / TABLE).read_text(encoding='utf-8')
    codes = re.findall(r'\{k[A-Z]\w+,\s*"([A-Z][A-Z_]*)"', table)
    text = (root / 'docs/REASONS.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| ([A-Z][A-Z_]*) \|', text, re.M)
    if not codes:
        yield f'{TABLE}:1: no codes found'
    for code in sorted(set(codes) - set(rows)):
        yield f'docs/REASONS.md:1: no row for {code}'
    for code in sorted(set(rows) - set(codes)):
        yield f'docs/REASONS.md:1: {code} is no code'
    yield from check_codes(root, codes)


def help_of(om, *verb):
    done = subprocess.run([om, *verb, '--help'], capture_output=True, text=True, timeout=20,
                          check=True)
    return done.stdout


def parsed_help(text):
    """(options, verbs) listed by a help text."""
    options = re.findall(r'^ +(?:-\w,)?(--[a-z][a-z-]*)', text, re.M)
    _, _, rest = text.partition('\nSubcommands:\n')
    verbs = []
    for line in rest.splitlines():
        match = re.match(r'^  ([a-z]+) ', line)
        if match is None:
            break
        verbs.append(match.group(1))
    return options, verbs


def all_options(om):
    """Option or verb: the command that has it."""
    found = {}
    waiting = [()]
    while waiting:
        verb = waiting.pop()
        options, verbs = parsed_help(help_of(om, *verb))
        for option in options:
            found.setdefault(option, ' '.join(('om', *verb)))
        for more in verbs:
            found.setdefault(' '.join(('om', *verb, more)), 'om')
            waiting.append((*verb, more))
    return found


def check_command_line(root, found):
    text = (root / 'docs/CLI.md').read_text(encoding='utf-8')
    spelled_out = re.sub(r'om cluster dev start\\\|stop\\\|env',
                         'om cluster dev start om cluster dev stop om cluster dev env', text)
    for name, command in sorted(found.items()):
        if name in GENERAL_OPTIONS:
            continue
        if not re.search(re.escape(name) + r'(?![\w-])', spelled_out):
            yield f'docs/CLI.md:1: {name} of "{command} --help" is not described'


def check_tree(root, build):
    problems = [*check_syscalls(root), *check_reasons(root), *check_comments(root), *check_code_maps(root)]
    if build is not None:
        problems += check_command_line(root, all_options(str(build / 'cli' / 'om')))
    for path in documents(root):
        problems += check_links(root, path)
        problems += check_named_files(root, path)
    return problems


def main():
    parser = argparse.ArgumentParser(description='what the documentation says')
    parser.add_argument('--root', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument('--build', type=pathlib.Path)
    options = parser.parse_args()
    try:
        problems = check_tree(options.root.resolve(), options.build)
    except (OSError, subprocess.SubprocessError) as broken:
        print(f'check_docs: {broken}', file=sys.stderr)
        return 2
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
