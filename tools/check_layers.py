#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which files may include which (docs/ARCHITECTURE.md, "Folders and layers").

    check_layers.py [--root DIR] [--build DIR]

Includes of our own files are in quotes and root-relative, or name a generated header. A file under a folder of LAYERS
may include what that folder's row names; the longest matching folder counts. Headers begin with #pragma once; x.cc
includes x.h before any other header of ours. A call's properties are in its row (libom/abi/syscalls.tbl): only the
files of BY_NUMBER check which call it is. Some things have only one door (DOORS). Exit status 0, or 1 with one
"file:line: reason" per error. --build is accepted as all checks are called alike.
"""

import argparse
import pathlib
import re
import sys

# Folder: folders that it may include from, besides itself. None: anything.
LAYERS = {
    'libom/abi': (),
    'libom/safe': ('libom/abi',),
    # The anchor is the table through which the others are entered.
    'libom/shim': ('libom/abi', 'libom/safe', 'libom/gate', 'libom/stub'),
    'libom/stub': ('libom/abi', 'libom/safe'),
    'libom/gate': ('libom/abi', 'libom/safe'),
    # It makes the threads whose state the gate defines.
    'libom/restore': ('libom/abi', 'libom/safe', 'libom/gate'),
    # From the bottom up.
    'common/base': ('libom/abi',),
    'common/proc': ('common/base', 'libom/abi'),
    'common/elf': ('common/base', 'libom/abi'),
    'common/cpu': ('common/base', 'libom/abi'),
    'common/net': ('common/base', 'common/movable', 'libom/abi'),
    'common/image': ('common/base', 'common/cpu', 'common/movable', 'common/schema', 'libom/abi'),
    'common/movable': ('common/base', 'common/proc', 'common/elf', 'common/cpu', 'libom/abi'),
    'common/tls': ('common/base', 'common/net', 'libom/abi'),
    'common/uv': ('common/base', 'common/net'),
    'common/schema': ('common/movable',),
    # Decides from its inputs: values, names of nodes, reasons.
    'balance': ('common/base', 'common/movable', 'common/proc', 'libom/abi'),
    'migrator': ('balance', 'common', 'libom/abi', 'migrator/cluster', 'migrator/config', 'migrator/control',
                 'migrator/etcd', 'migrator/gossip', 'migrator/identity', 'migrator/load', 'migrator/members',
                 'migrator/membership', 'migrator/moves', 'migrator/peers', 'migrator/processes'),
    'migrator/identity': ('common', 'libom/abi'),
    'migrator/cluster': ('common', 'libom/abi', 'migrator/identity', 'migrator/peers', 'migrator/processes'),
    # A state machine: time, random numbers and datagrams go in.
    'migrator/members': ('common/base', 'libom/abi'),
    # Members as etcd knows them: a state machine of its own, and its requests.
    'migrator/etcd': ('common', 'libom/abi', 'migrator/members'),
    # That machine on sockets and timers.
    'migrator/gossip': ('common', 'libom/abi', 'migrator/identity', 'migrator/members'),
    'migrator/membership': ('common', 'libom/abi', 'migrator/cluster', 'migrator/etcd', 'migrator/gossip',
                            'migrator/identity', 'migrator/members', 'migrator/peers'),
    'migrator/processes': ('common', 'libom/abi'),
    'migrator/load': ('common', 'libom/abi'),
    'migrator/peers': ('common', 'libom/abi', 'migrator/identity', 'migrator/load'),
    'migrator/config': ('common', 'libom/abi', 'migrator/load', 'migrator/peers'),
    'migrator/moves': ('common', 'libom/abi', 'migrator/load', 'migrator/peers', 'migrator/processes'),
    'migrator/control': ('balance', 'common', 'libom/abi', 'migrator/cluster', 'migrator/identity',
                         'migrator/load', 'migrator/membership', 'migrator/moves',
                         'migrator/peers', 'migrator/processes'),
    'guest': ('common', 'libom/abi'),
    # From the inside out: work at home knows no keeper, memory no move.
    'deputy/base': ('common', 'libom/abi'),
    'deputy/home': ('common', 'libom/abi', 'deputy/base'),
    'deputy/session': ('common', 'libom/abi', 'deputy/base', 'deputy/home'),
    'deputy/memory': ('common', 'libom/abi', 'deputy/base', 'deputy/home'),
    'deputy/look': ('common', 'libom/abi', 'deputy', 'deputy/base', 'deputy/home', 'deputy/memory', 'deputy/session'),
    'deputy/moves': ('common', 'libom/abi', 'deputy', 'deputy/base', 'deputy/home', 'deputy/memory',
                     'deputy/session'),
    'deputy': ('common', 'libom/abi', 'deputy/base', 'deputy/home', 'deputy/look', 'deputy/memory', 'deputy/moves',
               'deputy/session'),
    # A local cluster makes its own CA and members.
    'cli': ('common', 'libom/abi', 'migrator/identity'),
    'examples': (),
    # A cluster on paper: the shipped decisions around a clock of its own.
    'sim': ('balance', 'common', 'libom/abi'),
    'bench': ('common', 'guest', 'libom/abi', 'libom/safe', 'migrator/identity', 'migrator/members',
              'migrator/moves', 'migrator/peers'),
    # Moved programs may be any user's: they know nothing of ours but the three calls.
    'test/behaviour': ('test/lib',),
    'test/programs': ('test/lib',),
    'test/lib': (),
    'test': None,
}
# Generated headers, by the folder whose content they are.
GENERATED = (
    (re.compile(r'(libom/abi/)?gen/syscalls_\w+\.(h|inc)$'), 'libom/abi'),
    (re.compile(r'common/schema/\w+\.capnp\.h$'), 'common/schema'),
)
# Functions of rows shared by two calls, and code about calls that libom makes itself.
BY_NUMBER = frozenset((
    'deputy/home/executors.cc', 'libom/gate/exec.cc', 'libom/gate/misc.cc',
    'libom/stub/descriptor.cc', 'libom/stub/exec.cc', 'libom/stub/mirror.cc', 'libom/stub/special.cc'))
# What only these files may name or do, and which of them does it for the others.
DOORS = (
    (re.compile(r'\bom_(copy|string_length|touch|peek)\b'), re.compile(r'libom/gate/user_memory\.\w+$'),
     'memory of the program is accessed by libom/gate/user_memory.h'),
    (re.compile(r'\bkNr_(read|write|recvfrom|sendto|recvmsg|sendmsg)\b.*\bchannel\.fd\b'),
     re.compile(r'libom/safe/stream\.cc$'), 'channels are read and written by libom/safe/stream.h'),
)
# All that fenced code may include from outside: types and constants, not functions.
FREESTANDING = frozenset(('elf.h', 'stddef.h', 'stdint.h'))
# Ciphers, whose objects become part of libom.so (tools/bearssl_object.py): for one file.
CIPHERS = frozenset(('bearssl/bearssl_aead.h', 'bearssl/bearssl_block.h', 'bearssl/bearssl_hash.h'))
CIPHERS_DOOR = 'libom/safe/seal.cc'
# System and standard headers that a pure folder may include: nothing for input, waiting or randomness.
PURE = {'balance': frozenset(('algorithm', 'array', 'cmath', 'functional', 'limits', 'map', 'memory', 'numeric',
                              'optional', 'set', 'span', 'stddef.h', 'stdint.h', 'string', 'string_view',
                              'unordered_map', 'utility', 'vector')),
        'migrator/members': frozenset(('algorithm', 'array', 'functional', 'map', 'numeric', 'optional', 'span',
                                       'stdint.h', 'string', 'string.h', 'string_view', 'unordered_map', 'utility',
                                       'vector'))}
SOURCES = ('.h', '.cc', '.S')

CALL = re.compile(r'(case|[=!]=) (kNr_|SYS_)\w+')
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def within(path, folder):
    return path.startswith(folder + '/')


def layer_of(path):
    """The row of LAYERS that a file belongs to."""
    found = [folder for folder in LAYERS if within(path, folder)]
    return max(found, key=len) if found else None


def owner_of(root, name):
    """The folder that an included file belongs to, or None if there is no such file."""
    for pattern, folder in GENERATED:
        if pattern.match(name):
            return folder
    if not (root / name).is_file():
        return None
    return layer_of(name) or str(pathlib.PurePosixPath(name).parent)


def check_include(root, path, name):
    """What is wrong with `#include "name"` in `path`, or None."""
    layer = layer_of(path)
    owner = owner_of(root, name)
    if owner is None:
        return f'"{name}" is no file, seen from the root'
    allowed = LAYERS[layer]
    if allowed is None or owner == layer or owner in allowed:
        return None
    if 'common' in allowed and within(owner, 'common'):
        return None
    return f'{layer} may not include {owner} ("{name}")'


def check_file(root, path):
    problems = []
    text = (root / path).read_text(encoding='utf-8')
    lines = text.splitlines()
    own = path.removesuffix('.cc') + '.h' if path.endswith('.cc') else None
    first = True
    for number, line in enumerate(lines, 1):
        if within(path, 'libom') or within(path, 'deputy'):
            call = CALL.search(line)
            if call and path not in BY_NUMBER:
                problems.append(f'{path}:{number}: "{call.group()}": its row is to say it')
        if within(path, 'libom'):
            problems += [f'{path}:{number}: "{what.search(line).group()}": {why}' for what, door, why in DOORS
                         if what.search(line) and not door.match(path)]
        match = INCLUDE.match(line)
        if match is None:
            continue
        kind, name = match.groups()
        problem = None
        if kind == '"':
            problem = check_include(root, path, name)
            if first and own and name != own and (root / own).is_file():
                problem = problem or f'"{own}" is to be the first of our includes'
            first = False
        elif path == CIPHERS_DOOR and name in CIPHERS:
            pass
        elif within(path, 'libom') and name not in FREESTANDING:
            problem = f'fenced code may not include <{name}>'
        elif name not in PURE.get(layer_of(path), (name,)):
            problem = f'a folder of pure functions may not include <{name}>'
        if problem:
            problems.append(f'{path}:{number}: {problem}')
    if path.endswith('.h') and '#pragma once' not in lines:
        problems.append(f'{path}:1: no #pragma once')
    return problems


def check_tree(root):
    problems = []
    for folder in sorted({name.split('/')[0] for name in LAYERS}):
        for path in sorted((root / folder).rglob('*')):
            name = path.relative_to(root).as_posix()
            if path.suffix in SOURCES and layer_of(name):
                problems += check_file(root, name)
    return problems


def main():
    parser = argparse.ArgumentParser(description='who may include whom')
    parser.add_argument('--root', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument('--build')
    problems = check_tree(parser.parse_args().root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
