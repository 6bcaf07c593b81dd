#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Java VM with its collector ZGC, which maps its heap several times, all from one memfd."""

from java import JavaProgram
from moving import main


class JavaZgc(JavaProgram):
    name = 'java_zgc'
    collector = '-XX:+UseZGC'


if __name__ == '__main__':
    main(JavaZgc)
