# SPDX-License-Identifier: Apache-2.0
"""`bench member`: how fast the members of a cluster learn of a dead and of a new node, by simulation; what an idle node
costs and how soon a killed one is down, with daemons (figures_members.py).

Runs bench/member_sim.cc, which drives the shipped state machine (migrator/members) for clusters of up to 10,000 nodes,
and for an hour of 64 nodes of whose datagrams one in twenty is lost. Simulated seconds: other work on the machine does
not affect them. 10,000 nodes need 2 GB of memory and a few minutes.
"""

import json
import math
import subprocess

import figures_members

KILLS = {10: 20, 100: 20, 1000: 20, 10000: 4}   # as many joins
HOUR_NODES = 64
HOUR_LOSS = 0.05
# Most seconds until all know, by the number of nodes.
TARGETS = {
    **{f'member.sim.{n}.detect_s': round(5 + 0.5 * math.log2(n), 2) for n in KILLS},
    **{f'member.sim.{n}.converge_s': round(math.log2(n), 2) for n in KILLS},
    'member.sim.bytes_ratio': 1.1,
    'member.sim.wrong_downs': 0,
    **figures_members.TARGETS,
}


def simulate(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    return json.loads(done.stdout)


def measure(product, rounds):
    program = str(product.build / 'bench' / 'bench_member_sim')
    figures = figures_members.measure(product, rounds)
    for nodes, kills in KILLS.items():
        found = simulate(program, 'scale', nodes, kills)
        for name in ('detect_s', 'converge_s', 'bytes_per_s'):
            figures[f'member.sim.{nodes}.{name}'] = found[name]
    figures['member.sim.bytes_ratio'] = (figures['member.sim.10000.bytes_per_s'] /
                                         figures['member.sim.100.bytes_per_s'])
    found = simulate(program, 'hour', HOUR_NODES, HOUR_LOSS)
    figures['member.sim.wrong_downs'] = found['wrong_downs']
    figures['member.sim.hour_dials'] = found['dials']
    return figures
