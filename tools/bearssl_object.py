#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one object of the ciphers that libom takes from BearSSL's static library.

    bearssl_object.py --archive libbearssl.a --output FILE.o

The members MEMBERS are linked into one relocatable object, unchanged but for this:

- All code is in the section om_seal, which check_fence.py knows: it may use the vector registers that libom/safe/seal.S
  saves, by legacy SSE encodings only.
- What the compiler adds to detect a smashed stack compares a word of the frame with one at %fs:0x28, the program's
  stack guard. At home that word changes while executors run: its page is given back, filled again, or unmapped with the
  thread that it belonged to. So both reads of it become a constant, in place; an instruction of another form is an
  error.
- The two functions of libc that are called get names of ours (RENAMED).

Exit status 0, or 1 with one line: a member is missing, or the object is not as described.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

MEMBERS = ('aes_x86ni.o', 'aes_x86ni_ctr.o', 'chacha20_sse2.o', 'gcm.o', 'ghash_pclmul.o', 'poly1305_ctmulq.o')
SECTION = 'om_seal'
RENAMED = {'__stack_chk_fail': 'om_seal_smashed', '__memcpy_chk': 'om_seal_copy'}
# mov %fs:0x28,%reg and sub %fs:0x28,%reg: prefix, REX.W with the register's high bit, opcode, register, address.
GUARD = re.compile(rb'\x64([\x48\x4c])([\x8b\x2b])([\x04\x0c\x14\x1c\x24\x2c\x34\x3c])\x25\x28\x00\x00\x00', re.S)
CONSTANT = (0x736d6f21).to_bytes(4, 'little')


class Broken(Exception):
    """The object cannot be made."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors='replace', check=False)
    if done.returncode != 0:
        raise Broken(f'{command[0]}: {done.stderr.strip()}')
    return done.stdout


def without_guard(code):
    """The bytes with a constant for each read of %fs:0x28 (instructions of the same length), and how many it were."""
    def constant(match):
        rex, opcode, place = (group[0] for group in match.groups())
        high, low = int(rex == 0x4c), place >> 3 & 7
        # mov $imm32,%reg or sub $imm32,%reg, and a nop of two bytes.
        if opcode == 0x8b:
            return bytes((0x48 | high, 0xc7, 0xc0 | low)) + CONSTANT + b'\x66\x90'
        return bytes((0x48 | high, 0x81, 0xe8 | low)) + CONSTANT + b'\x66\x90'
    return GUARD.subn(constant, code)


def segment_uses(path):
    """How many instructions use memory of the thread."""
    return len(re.findall(r'%[fg]s\b', run('objdump', '-d', '--no-show-raw-insn', str(path))))


def make(archive, output):
    with tempfile.TemporaryDirectory(prefix='om-bearssl-') as name:
        folder = pathlib.Path(name)
        run('ar', 'x', '--output', name, str(archive), *MEMBERS)
        joined = folder / 'joined.o'
        run('ld', '-r', '-o', str(joined), *(str(folder / member) for member in MEMBERS))
        expected = segment_uses(joined)
        code, count = without_guard(joined.read_bytes())
        joined.write_bytes(code)
        left = segment_uses(joined)
        if count != expected or left != 0:
            raise Broken(f'{archive}: {expected} reads of the stack guard, {count} replaced, {left} left')
        renames = [f'--redefine-sym={old}={new}' for old, new in RENAMED.items()]
        run('objcopy', f'--rename-section=.text={SECTION}', *renames, str(joined), str(output))
    undefined = re.findall(r' U (\S+)', run('nm', '-u', str(output)))
    unknown = set(undefined) - set(RENAMED.values()) - {'_GLOBAL_OFFSET_TABLE_'}
    if unknown:
        raise Broken(f'{archive}: needs {", ".join(sorted(unknown))}')


def main():
    parser = argparse.ArgumentParser(description='the ciphers of libom')
    parser.add_argument('--archive', type=pathlib.Path, required=True)
    parser.add_argument('--output', type=pathlib.Path, required=True)
    options = parser.parse_args()
    try:
        make(options.archive, options.output)
    except (Broken, OSError) as broken:
        print(f'bearssl_object: {broken}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
