#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A C++ program with exceptions, thread_local state, malloc arenas and condition variables."""

from moving import MovingProgram, main


class Arenas(MovingProgram):
    name = 'arenas'
    first_work = 80000  # tasks

    def command(self, work):
        return [self.binary('arena_mix'), str(self.work)]


if __name__ == '__main__':
    main(Arenas)
