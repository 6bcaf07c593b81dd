#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a node says about its load: of the machine, or only its own; its speed, as configured and as measured."""

import subprocess

from harness import main
from join_test import JoinCase

SPIN = ['/bin/sh', '-c', 'while :; do :; done']


class Load(JoinCase):
    def spin(self, environment):
        job = subprocess.Popen(SPIN, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.end, job)
        return job

    def test_the_load_of_a_node_is_its_own(self):
        own = self.daemon('n1', '--load-scope', 'node', '--speed', '4711')
        machine = self.daemon('n2')
        load = lambda node: node.json('node', 'info')['running']
        # What is no process of the node: it counts for the machine only.
        self.spin({})
        self.wait_until(lambda: load(machine) >= 0.5, 'the load of the machine')
        self.assertEqual(0, load(own))
        job = self.spin({**own.environment, 'LD_PRELOAD': self.product.preload})
        self.wait_until(lambda: load(own) >= 0.5, 'the load of the node')
        self.wait_until(lambda: [row['pid'] for row in own.json('ps') if (row['running'] or 0) > 0.5] == [job.pid],
                        'running threads in om ps')
        self.assertLess(load(own), 1.5)
        self.end(job)
        self.wait_until(lambda: load(own) == 0, 'no load of the node')

    def test_the_speed_is_kept(self):
        node = self.daemon('n1')
        speed = lambda: node.json('node', 'info')['speed']
        measured = self.wait_until(speed, 'a speed')
        kept = node.folder / 'speed'
        self.assertIn(f'"speed":{measured}', kept.read_text(encoding='utf-8'))
        kept.write_text(kept.read_text(encoding='utf-8').replace(f'"speed":{measured}', '"speed":655350'),
                        encoding='utf-8')
        node.kill()
        node.start()
        self.assertEqual(655350, speed(), 'nobody measures that')
        node.kill()
        node.more = ('--speed', '4711')
        node.start()
        self.assertEqual(4711, speed())


if __name__ == '__main__':
    main()
