#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Java VM with its collector G1: its monitoring file is mapped shared."""

from java import JavaProgram
from moving import main


class JavaG1(JavaProgram):
    name = 'java_g1'
    collector = '-XX:+UseG1GC'


if __name__ == '__main__':
    main(JavaG1)
