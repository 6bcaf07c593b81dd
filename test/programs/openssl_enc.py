#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""openssl enc derives a key (pbkdf2, the CPU's hash instructions) and encrypts a file with it."""

from moving import MovingProgram, main


class OpensslEnc(MovingProgram):
    name = 'openssl_enc'
    needs = ('openssl',)
    first_work = 4_000_000  # iterations

    def make_input(self, folder, rng):
        (folder / 'plain').write_bytes(rng.randbytes(20 << 20))

    def command(self, work):
        return ['openssl', 'enc', '-aes-256-cbc', '-pbkdf2', '-iter', str(self.work), '-S',
                '0011223344556677', '-pass', 'pass:correct horse', '-in', 'plain', '-out', 'secret']


if __name__ == '__main__':
    main(OpensslEnc)
