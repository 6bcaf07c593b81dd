#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what fenced code (everything under libom/) uses and contains, in source and as built.

    check_fence.py [--root DIR] --build DIR      sources, and libom.so and om-body of the build
    check_fence.py --library FILE | --launcher FILE

libom.so lives inside other people's programs, and its pages run in bodies where nothing else may: it needs no other
library and no symbol but ALLOWED_SYMBOLS, exports only EXPORTS, has no thread-local storage and uses no one else's, has
nothing both writable and executable, no relocation but base + offset. It leaves the program's vector registers alone,
except to save and restore all of them; in the section of the ciphers, where a part has been saved, legacy SSE encodings
may use that (a VEX encoding would clear the upper halves). It makes system calls in one section only, which a body's
filter knows; those in the replacement of the vDSO are meant to be trapped, those of the exports are the program's own.
Sources name nothing from libc or the language's run-time library. Exit status 0, or 1 with one line per error.
"""

import argparse
import pathlib
import re
import subprocess
import sys

# Names of hosted C and C++ that are errors here: `name` alone, as an identifier.
POISON = frozenset('''
    malloc calloc realloc free abort exit atexit assert errno perror strerror
    printf fprintf sprintf snprintf vsnprintf puts fputs fopen fclose fwrite fread stdout stderr
    strlen strcpy strcat strcmp strncpy strncmp strdup strtol atoi
    pthread_create pthread_mutex_lock pthread_self
    getenv setenv dlopen dlsym syscall
    sigaction sigprocmask
    std thread_local __thread
    throw try catch typeid dynamic_cast virtual new delete
'''.split())
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/', re.S)
WORD = re.compile(r'(?<![\w.$>])(?<!::)[A-Za-z_]\w*')
OPERATOR = re.compile(r'operator\s*$')

SYSCALL_SECTIONS = ('om_gate', 'om_vfn', 'om_exports')
# Functions that override libc's, because CPU time was used on several nodes; they set libc's errno.
EXPORTS = frozenset(('clock', 'clock_gettime', 'getrusage', 'times'))
# Weak, for the exports and the constructor.
ALLOWED_SYMBOLS = frozenset(('__errno_location', 'environ', 'getauxval'))
RELATIVE = 'R_X86_64_RELATIVE'
VECTOR_REGISTER = re.compile(r'%(?:[xyz]?mm\d+|st\b|st\(\d\)|k[0-7]\b)')
# x87 and MXCSR instructions name no register.
VECTOR_INSTRUCTION = re.compile(
    r'^(f(?!s\b|ence\b)[a-z0-9]+|v[a-z0-9]+|ldmxcsr|stmxcsr|emms|fwait)$')
WHOLE_STATE = re.compile(r'^f?x(save|rstor)(c|s|opt)?(64)?$')
SYSCALL = re.compile(r'^(syscall|sysenter|int\s+\$0x80)')
# The ciphers of BearSSL and what saves their registers (libom/safe/seal.S).
SEAL_SECTION = 'om_seal'
SAVED_REGISTER = re.compile(r'%xmm([0-9]|1[0-5])\b')


class Broken(Exception):
    """The check itself cannot run."""


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors='replace', check=False)
    if done.returncode != 0:
        raise Broken(f'{" ".join(map(str, command))}: {done.stderr.strip()}')
    return done.stdout


def check_segments(path):
    """Program headers: no TLS, nothing writable and executable."""
    headers = output_of('readelf', '-lW', path)
    rows = re.findall(r'^  ([A-Z_]+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ]) ', headers, re.M)
    if not any(kind == 'LOAD' for kind, _ in rows):
        raise Broken(f'{path}: no LOAD segment')
    for kind, flags in rows:
        if 'W' in flags and 'E' in flags:
            yield f'a {kind} segment is writable and executable'
        if kind == 'TLS':
            yield 'thread-local storage (a TLS segment)'
        if kind == 'INTERP':
            yield 'a dynamic linker is asked for (INTERP)'
    if not any(kind == 'GNU_STACK' for kind, _ in rows):
        yield 'no GNU_STACK: the stack of who loads it would become executable'


def check_dynamic(path):
    """Dynamic section and symbols: needs nothing, exports only EXPORTS."""
    for tag, value in re.findall(r'\((\w+)\) +(.*)$', output_of('readelf', '-dW', path), re.M):
        if tag == 'NEEDED':
            yield f'needs another library: {value.strip()}'
        if tag in ('TEXTREL', 'FINI', 'FINI_ARRAY', 'JMPREL', 'RPATH', 'RUNPATH'):
            yield f'has {tag}'
    symbols = output_of('readelf', '--dyn-syms', '-W', path)
    for row in re.findall(r'^ +\d+: .*$', symbols, re.M):
        fields = row.split()
        if len(fields) < 8:
            continue
        name = fields[7].partition('@')[0]
        if fields[6] == 'UND' and name not in ALLOWED_SYMBOLS:
            yield f'needs the symbol {name}'
        elif fields[6] != 'UND' and name not in EXPORTS:
            yield f'shows the symbol {name}'
    for kind, name in re.findall(r'\b(R_X86_64_\w+) +(?:[0-9a-f]{16} )?(\S+)',
                                 output_of('readelf', '-rW', path)):
        if kind != RELATIVE and name.partition('@')[0] not in ALLOWED_SYMBOLS:
            yield f'has a relocation {kind} ({name})'


def check_code(path):
    """Instructions: no vector registers, system calls where the filter expects them."""
    section, function = '', ''
    reported = set()
    for line in output_of('objdump', '-d', '--no-show-raw-insn', path).splitlines():
        if line.startswith('Disassembly of section '):
            section = line.split()[-1].rstrip(':')
        elif line.endswith('>:'):
            function = line.split('<')[1][:-2]
        parts = line.split('\t')
        if len(parts) < 2 or not parts[1]:
            continue
        instruction = parts[1].strip()
        word = instruction.split()[0]
        problem = None
        if WHOLE_STATE.match(word):
            continue
        looked_at = instruction
        if section == SEAL_SECTION and not VECTOR_INSTRUCTION.match(word):
            looked_at = SAVED_REGISTER.sub('', instruction)
        if '%fs:' in instruction:
            problem = f'{function} uses thread-local storage: {" ".join(instruction.split())}'
        elif VECTOR_REGISTER.search(looked_at) or VECTOR_INSTRUCTION.match(word):
            problem = f'{function} uses vector registers: {" ".join(instruction.split())}'
        elif section not in SYSCALL_SECTIONS and SYSCALL.match(instruction):
            problem = f'{function} (section {section}) makes a system call outside the gate'
        if problem and (function, problem[-12:]) not in reported:
            reported.add((function, problem[-12:]))
            yield problem


def check_library(path):
    """libom.so."""
    return [f'{path}: {problem}' for check in (check_segments, check_dynamic, check_code)
            for problem in check(path)]


def check_launcher(path):
    """om-body: static, the same code, but its system calls run before there is a filter."""
    problems = list(check_segments(path))
    problems += [p for p in check_code(path) if 'outside the gate' not in p]
    undefined = re.findall(r'^ +U (\S+)', output_of('nm', path), re.M)
    problems += [f'needs the symbol {name}' for name in undefined]
    return [f'{path}: {problem}' for problem in problems]


def blanked(text):
    """The text with comments and strings blanked; lines stay."""
    def spaces(match):
        return re.sub(r'[^\n]', ' ', match.group())
    return STRING.sub(spaces, COMMENT.sub(spaces, text))


def check_source(name, text):
    """Forbidden identifiers. Members, and names qualified with a namespace of ours, are not libc's."""
    for number, line in enumerate(blanked(text).splitlines(), 1):
        if re.match(r'\s*#\s*(include|pragma|error)', line):
            continue
        for word in WORD.finditer(line):
            if word.group() not in POISON or OPERATOR.search(line[:word.start()]):
                continue
            if word.group() == 'delete' and re.search(r'=\s*$', line[:word.start()]):
                continue
            yield f'{name}:{number}: fenced code may not use {word.group()}'


def check_sources(root):
    problems = []
    for path in sorted((root / 'libom').rglob('*')):
        if path.suffix in ('.h', '.cc'):
            problems += check_source(path.relative_to(root).as_posix(),
                                     path.read_text(encoding='utf-8'))
    return problems


def main():
    parser = argparse.ArgumentParser(description='what fenced code consists of')
    parser.add_argument('--root', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument('--build', type=pathlib.Path)
    parser.add_argument('--library', type=pathlib.Path)
    parser.add_argument('--launcher', type=pathlib.Path)
    options = parser.parse_args()
    try:
        if options.library:
            problems = check_library(options.library)
        elif options.launcher:
            problems = check_launcher(options.launcher)
        elif options.build:
            problems = (check_sources(options.root) +
                        check_library(options.build / 'libom' / 'libom.so') +
                        check_launcher(options.build / 'libom' / 'om-body'))
        else:
            parser.error('--build, --library or --launcher')
    except (Broken, OSError) as broken:
        print(f'check_fence: {broken}', file=sys.stderr)
        return 2
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
