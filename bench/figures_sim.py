# SPDX-License-Identifier: Apache-2.0
"""`./dev bench sim` and `sim-long`: how well the policies balance a cluster on paper (sim/README.md).

`sim.N.POLICY`: mean slow-down of jobs / that of the ideal machine, at utilisation 0.7 on a mixed lab whose jobs start
half at a fifth of the nodes; a fifth of them makes many calls. Work is Pareto (alpha 1) from 1 s to an hour with 10
nodes, to 10 minutes with 100 and 200 s with 1000; from 10 to 200 s with 10,000 (`sim-long`), which takes many minutes
for each policy. Simulated seconds: other work on the machine does not affect them. Seeds are 1, 2, ...
"""

import json
import subprocess
import sys

# Nodes: seeds, options.
RUNS = {10: (5, ('--seconds', 600, '--most-work', 3600)),
        100: (2, ('--seconds', 150, '--most-work', 600)),
        1000: (1, ('--seconds', 60, '--most-work', 200))}
LONG = {10000: (1, ('--seconds', 60, '--least-work', 10, '--most-work', 200))}
POLICIES = {'flow': 'flow', 'mosix': 'mosix', 'opportunity': 'opportunity', 'two_choices': 'two-choices',
            'roundrobin': 'roundrobin'}
BURST = ('--kind', 'quad', '--nodes', 64, '--burst', 256, '--work', 20)
PUBLISHED = ('--kind', 'published', '--seconds', 2000, '--most-work', 600, '--utilisation', 0.85)
PUBLISHED_SEEDS = 6
TARGETS = {
    **{f'sim.{n}.flow': 1.15 for n in (*RUNS, *LONG)},
    **{f'sim.{n}.moves_per_job': 1.0 for n in (*RUNS, *LONG)},
    'sim.burst': 1.5, 'sim.burst_placed': 1.25,
}


def run(product, *options):
    command = [str(product.build / 'sim' / 'om-sim'), 'run', *map(str, options)]
    print('bench:', 'om-sim', *command[1:], file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    return json.loads(done.stdout)


def mean(found, name):
    return sum(one[name] for one in found) / len(found)


def scale(product, nodes, seeds, options):
    figures = {f'sim.{nodes}.seeds': f'1-{seeds}' if seeds > 1 else '1'}
    for name, policy in POLICIES.items():
        found = [run(product, '--nodes', nodes, '--policy', policy, '--seed', seed, *options)
                 for seed in range(1, seeds + 1)]
        figures[f'sim.{nodes}.{name}'] = mean(found, 'ratio')
        if name == 'flow':
            figures[f'sim.{nodes}.moves_per_job'] = mean(found, 'moves_per_job')
            figures[f'sim.{nodes}.placed_per_job'] = mean(found, 'placed_per_job')
            # To compute a minute of this cluster.
            figures[f'sim.{nodes}.seconds'] = sum(one['took_s'] for one in found) * 60 / sum(
                one['simulated_s'] for one in found)
    best = min(POLICIES, key=lambda name: figures[f'sim.{nodes}.{name}'])
    figures[f'sim.{nodes}.best'] = best
    return figures


def published(product):
    """A small cluster that runs short of memory, as far as the paper on opportunity cost says what it had."""
    kinds = {'flow': ('flow',), 'mosix': ('mosix',), 'opportunity': ('opportunity', '--no-moves'),
             'roundrobin': ('roundrobin',)}
    found = {name: mean([run(product, *PUBLISHED, '--seed', seed, '--policy', *policy)
                         for seed in range(1, PUBLISHED_SEEDS + 1)], 'slowdown') for name, policy in kinds.items()}
    order = [found[name] for name in kinds]
    return {**{f'sim.published.{name}': value for name, value in found.items()},
            'sim.published_order': order == sorted(order)}


def measure(product, rounds):
    figures = {}
    for nodes, (seeds, options) in RUNS.items():
        figures.update(scale(product, nodes, rounds or seeds, options))
    # What longer jobs are like: of seconds the start itself is a good part.
    figures['sim.100.ten_s'] = run(product, '--nodes', 100, '--seconds', 600, '--least-work', 10, '--most-work', 600,
                                   '--seed', 1)['ratio']
    figures['sim.burst'] = run(product, *BURST, '--no-placement')['makespan_ratio']
    figures['sim.burst_placed'] = run(product, *BURST)['makespan_ratio']
    figures.update(published(product))
    return figures


def measure_long(product, rounds):
    del rounds
    figures = {}
    for nodes, (seeds, options) in LONG.items():
        figures.update(scale(product, nodes, seeds, options))
    return figures
