#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""node: compiled code that multiplies matrices, timers of all kinds, promises, worker threads that share memory,
files, compression and hashes by its thread pool, and a server with its clients."""

from moving import MovingProgram, main

SCRIPT = r'''
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const zlib = require('zlib');

const N = 96;

function random(seed) {
  let x = seed >>> 0 || 1;
  return () => { x ^= x << 13; x >>>= 0; x ^= x >>> 17; x ^= x << 5; x >>>= 0; return x / 4294967296; };
}

function matrix(seed) {
  const next = random(seed);
  return Float64Array.from({ length: N * N }, next);
}

function multiply(a, b) {
  const c = new Float64Array(N * N);
  for (let i = 0; i < N; i++)
    for (let j = 0; j < N; j++) {
      let sum = 0;
      for (let k = 0; k < N; k++) sum += a[i * N + k] * b[k * N + j];
      c[i * N + j] = sum / N;
    }
  return c;
}

function digest(array) {
  return crypto.createHash('sha256').update(Buffer.from(array.buffer)).digest('hex').slice(0, 16);
}

if (!isMainThread) {
  // Adds to the shared sums in turn with the others, and answers every message.
  const shared = new Int32Array(workerData.shared);
  parentPort.on('message', (round) => {
    if (round < 0) { parentPort.close(); return; }
    let product = matrix(workerData.number * 1000 + round);
    for (let i = 0; i < 4; i++) product = multiply(product, product);
    while (Atomics.load(shared, 0) % workerData.workers !== workerData.number)
      Atomics.wait(shared, 0, Atomics.load(shared, 0), 50);
    shared[1] = (Math.imul(shared[1], 31) + round + workerData.number) | 0;
    Atomics.add(shared, 0, 1);
    Atomics.notify(shared, 0);
    parentPort.postMessage({ round, digest: digest(product) });
  });
} else {
  main(Number(process.argv[2])).then(() => { process.exitCode = 9; });
}

async function main(rounds) {
  const shared = new SharedArrayBuffer(8);
  const workers = [0, 1, 2].map((number) =>
    new Worker(__filename, { workerData: { number, workers: 3, shared } }));
  const answer = (worker) => new Promise((resolve) => worker.once('message', resolve));
  const server = net.createServer({ allowHalfOpen: true }, (peer) => peer.pipe(zlib.createGzip()).pipe(peer));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  let ticks = 0, immediates = 0;
  const ticker = setInterval(() => { ticks++; }, 5);
  process.on('SIGALRM', () => {});
  for (let round = 0; round < rounds; round++) {
    const answers = workers.map((worker) => { const a = answer(worker); worker.postMessage(round); return a; });
    const own = multiply(matrix(round), matrix(round + 1));
    const order = [];
    await Promise.all([
      new Promise((resolve) => setTimeout(() => { order.push('late'); resolve(); }, 200)),
      new Promise((resolve) => setTimeout(() => { order.push('soon'); resolve(); }, 1)),
      new Promise((resolve) => setImmediate(() => { immediates++; resolve(); })),
    ]);
    const text = JSON.stringify({ round, own: digest(own), order, all: await Promise.all(answers) });
    await fs.promises.appendFile('rounds', text + '\n');
    const back = await roundTrip(server.address().port, text.repeat(50));
    const key = await new Promise((resolve, reject) =>
      crypto.pbkdf2('secret', text, 20000, 16, 'sha512', (error, k) => error ? reject(error) : resolve(k)));
    if (round % 4 === 0) console.log(round, text.length, back.length, key.toString('hex'), shared_state(shared));
    if (back.toString() !== text.repeat(50)) throw new Error('the server has changed the text');
  }
  for (const worker of workers) {
    const end = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage(-1);
    console.log('worker ended', await end);
  }
  clearInterval(ticker);
  server.close();
  console.log('immediates', immediates, ticks > rounds, (await fs.promises.stat('rounds')).size);
}

function shared_state(shared) {
  return Array.from(new Int32Array(shared)).join('/');
}

function roundTrip(port, text) {
  return new Promise((resolve, reject) => {
    const parts = [];
    const peer = net.connect(port, '127.0.0.1', () => peer.end(text));
    peer.on('data', (part) => parts.push(part));
    peer.on('end', () => resolve(zlib.gunzipSync(Buffer.concat(parts))));
    peer.on('error', reject);
  });
}
'''


class NodeMix(MovingProgram):
    name = 'node_mix'
    needs = ('node',)
    first_work = 25  # rounds of at least 0.2 s
    status = 9

    def make_input(self, folder, rng):
        (folder / 'mix.js').write_text(SCRIPT, encoding='ascii')

    def command(self, work):
        return ['node', 'mix.js', str(self.work)]


if __name__ == '__main__':
    main(NodeMix)
