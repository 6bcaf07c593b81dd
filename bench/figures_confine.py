# SPDX-License-Identifier: Apache-2.0
"""`bench confine`: what it costs to prepare a body with namespaces of its own and, where this user may make them, a
control group. Runs bench/confine.cc, in which confined and bare bodies take turns. `ahead`: the fork of the process,
which a keeper has made before home asks for the body."""

import json
import statistics
import subprocess

TARGETS = {'confine.start_ratio': 1.3}
LEAST_ROUNDS = 101  # a body takes a few milliseconds


def measure(product, rounds):
    done = subprocess.run([product.build / 'bench' / 'bench_confine', product.build / 'libexec' / 'om-body',
                           str(max(rounds or 0, LEAST_ROUNDS))],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    found = json.loads(done.stdout)
    apart, bare = statistics.median(found['apart_us']), statistics.median(found['bare_us'])
    return {'confine.start_ratio': apart / bare, 'confine.apart_us': apart, 'confine.bare_us': bare,
            'confine.ahead_apart_us': statistics.median(found['ahead_apart_us']),
            'confine.ahead_bare_us': statistics.median(found['ahead_bare_us']),
            'confine.cgroup': found['cgroup'], 'confine.namespaces': found['namespaces'],
            'confine.rounds': len(found['bare_us'])}
