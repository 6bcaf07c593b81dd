#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bc computes digits of pi: one thread that does nothing but compute, then one write."""

from moving import MovingProgram, main


class BcPi(MovingProgram):
    name = 'bc_pi'
    needs = ('bc',)
    first_work = 2400  # digits
    exponent = 2.5

    def make_input(self, folder, rng):
        (folder / 'pi.bc').write_text(f'scale={self.work}\n4*a(1)\nquit\n', encoding='ascii')

    def settings(self):
        return {'BC_LINE_LENGTH': '0'}

    def command(self, work):
        return ['bc', '-l', 'pi.bc']


if __name__ == '__main__':
    main(BcPi)
