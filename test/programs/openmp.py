#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An OpenMP program: four threads of libgomp, which calls the kernel without the C library."""

from moving import MovingProgram, main


class OpenMp(MovingProgram):
    name = 'openmp'
    first_work = 4000  # rounds

    def command(self, work):
        return [self.binary('omp_sum'), str(self.work)]


if __name__ == '__main__':
    main(OpenMp)
