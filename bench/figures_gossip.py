# SPDX-License-Identifier: Apache-2.0
"""`./dev bench gossip`: how old what nodes know of each other's load is, and what telling it costs, by simulation with
the shipped table (balance/load_table.h). Ages are in intervals of half a second; seed 1."""

import json
import subprocess

TARGETS = {'gossip.age.64': 1.1, 'gossip.age.256': 1.1, 'gossip.age.10000': 8, 'gossip.bytes_ratio': 1.05}
NEAR = {'gossip.age.64': (0.9, 1.1), 'gossip.age.256': (0.9, 1.1)}


def simulate(product, nodes, kept, *more):
    command = [str(product.build / 'sim' / 'om-sim'), 'gossip', '--nodes', nodes, '--kept', kept, '--seed', 1, *more]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    return json.loads(done.stdout)


def measure(product, rounds):
    del rounds
    figures = {'gossip.seed': 1}
    few = simulate(product, 64, 128)
    for nodes, found in ((64, few), (256, simulate(product, 256, 256))):
        figures[f'gossip.age.{nodes}'] = found['mean_age'] / found['expected_age']
        figures[f'gossip.intervals.{nodes}'] = found['mean_age']
    figures['gossip.intervals.64_loss'] = simulate(product, 64, 128, '--loss', 0.2)['mean_age']
    many = simulate(product, 10000, 128, '--rounds', 60)
    figures['gossip.age.10000'] = many['mean_age']
    figures['gossip.worst.10000'] = many['worst_age']
    figures['gossip.bytes_per_s'] = many['bytes_per_s']
    figures['gossip.bytes_ratio'] = many['bytes_per_s'] / few['bytes_per_s']
    for name, (least, most) in NEAR.items():
        figures[name + '_near'] = least <= figures[name] <= most
    return figures
