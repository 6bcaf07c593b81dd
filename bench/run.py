#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench NAME [--json FILE]: figures beside the native ones, measured in the same run.

    run.py --build DIR [--json FILE] [--rounds N] home|call|cpu|io|freeze|idle|member|wire|confine|
                                                       gossip|sim|sim-long|all

Both sides of every comparison take turns within seconds of each other, so that other work on the machine affects both.
`home` compares minima of 20 turns, everything else medians of at least 5. The pinning is part of the result
(`NAME.pinning`). The figures go to stdout as a table, with --json as one flat object to FILE. Exit status 0: measured,
whether or not the targets are met; 1: something failed; 2: usage.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'test' / 'lib'))

import figures_confine  # noqa: E402
import figures_gossip  # noqa: E402
import figures_home  # noqa: E402
import figures_idle  # noqa: E402
import figures_member  # noqa: E402
import figures_moved  # noqa: E402
import figures_nodes  # noqa: E402
import figures_seal  # noqa: E402
import figures_sim  # noqa: E402
import figures_wire  # noqa: E402
from om_product import BrokenSetup, Product, drop_privileges, set_process_defaults  # noqa: E402

# Figure: most that it should be; least, for those in AT_LEAST.
TARGETS = {
    'home.syscall_ratio': 1.02, 'home.malloc_ratio': 1.02, 'home.thread_ratio': 1.02,
    'home.start_ratio': 1.15,
    'call.empty_ratio': 1.4, 'call.trap_ratio': 11, 'call.clock_ratio': 2,
    'cpu.ratio': 1.02,
    'idle.guests_cpu': 0.1,
    'io.read_ratio': 0.3, 'io.write_ratio': 0.3,
    **figures_confine.TARGETS, **figures_gossip.TARGETS, **figures_member.TARGETS, **figures_nodes.TARGETS,
    **figures_seal.TARGETS, **figures_sim.TARGETS, **figures_wire.TARGETS,
}
AT_LEAST = ('io.read_ratio', 'io.write_ratio', *figures_wire.AT_LEAST)


def wire(product, rounds):
    """What encryption costs: in libom alone, between daemons, between a deputy and a keeper. `bound`: what the ratio
    would be if the plain side had the cipher to do as well and nothing else; `admit` has one CPU for both ends, `fill`
    one for each."""
    figures = {**figures_seal.measure(product, rounds), **figures_nodes.measure(product, rounds),
               **figures_wire.measure(product, rounds)}
    cipher, plain = figures['wire.cipher_ns_per_byte'], 1e3 / figures['wire.plain.mb_per_s']  # both in ns a byte
    figures['wire.admit_bound'] = 1 + figures['wire.admit_bytes'] * cipher / 1e6 / figures['wire.plain_admit_ms']
    figures['wire.fill_bound'] = plain / (plain + cipher / 2)
    return figures


BENCHES = {'home': figures_home.measure, 'call': figures_moved.call, 'cpu': figures_moved.cpu,
           'io': figures_moved.io, 'freeze': figures_moved.freeze, 'idle': figures_idle.measure,
           'member': figures_member.measure, 'wire': wire, 'confine': figures_confine.measure,
           'gossip': figures_gossip.measure, 'sim': figures_sim.measure, 'sim-long': figures_sim.measure_long}
LONG = ('sim-long',)   # only by name


def machine():
    """The kind of machine, without its name."""
    model = 'unknown CPU'
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            model = ' '.join(line.partition(':')[2].split())
            break
    return {'machine.cpu': model, 'machine.cpus': os.cpu_count(),
            'machine.kernel': platform.release().split('-')[0]}


def rounded(value):
    return float(f'{value:.5g}') if isinstance(value, float) else value


def show(figures):
    for name, value in figures.items():
        line = f'{name:32} {value}'
        if name in TARGETS:
            least = name in AT_LEAST
            met = value >= TARGETS[name] if least else value <= TARGETS[name]
            line = (f'{line:48} target {">=" if least else "<="} {TARGETS[name]:<5} '
                    + ('met' if met else 'MISSED'))
        print(line)


def open_result(path):
    """Opens the result file before privileges are dropped; the process finds it again after it restarts itself."""
    if path is None:
        return None
    if path.startswith('fd:'):
        return os.fdopen(int(path[3:]), 'w', encoding='utf-8')
    file = open(path, 'w', encoding='utf-8')
    os.set_inheritable(file.fileno(), True)
    at = [i for i, word in enumerate(sys.argv) if word.split('=')[0] == '--json'][-1]
    sys.argv[at:at + (1 if '=' in sys.argv[at] else 2)] = ['--json', f'fd:{file.fileno()}']
    return file


def main():
    parser = argparse.ArgumentParser(prog='./dev bench', allow_abbrev=False)
    parser.add_argument('--build', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--json', metavar='FILE', help='write one flat JSON object')
    parser.add_argument('--rounds', type=int, help='turns of each side (at least 5; home: 20)')
    parser.add_argument('name', choices=[*BENCHES, 'all'])
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 5:
        parser.error('--rounds: at least 5')
    try:
        result = open_result(options.json)
        drop_privileges()
        set_process_defaults()
        product = Product(options.build)
        product.require()
        figures = machine()
        for name in [name for name in BENCHES if name not in LONG] if options.name == 'all' else [options.name]:
            figures.update(BENCHES[name](product, options.rounds))
    except (BrokenSetup, OSError, subprocess.SubprocessError, statistics.StatisticsError) as problem:
        print(f'bench: {problem}', file=sys.stderr)
        return 1
    figures = {name: rounded(value) for name, value in figures.items()}
    show(figures)
    if result is not None:
        with result:
            json.dump(figures, result, indent=2)
            result.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
