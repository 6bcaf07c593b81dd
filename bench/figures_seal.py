# SPDX-License-Identifier: Apache-2.0
"""`bench wire`: what one record of a sealed channel costs in libom and in OpenSSL.

Runs bench/seal_bench.cc, in which both take turns within milliseconds. The ratio is that of AES-256-GCM, or of
ChaCha20-Poly1305 on a CPU that has no instructions for AES. `wire.cipher_ns_per_byte`: sealing and opening by OpenSSL,
from the largest of these records.
"""

import json
import subprocess

TARGETS = {'wire.seal64_ratio': 1.2}
LARGEST = 16 << 10  # bytes
CIPHERS = ('aes256gcm', 'chacha20poly1305')


def measure(product, rounds):
    program = str(product.build / 'bench' / 'bench_seal')
    done = subprocess.run([program, str(max(rounds or 0, 21))], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=600)
    found = json.loads(done.stdout)
    cipher = next(name for name in CIPHERS if f'{name}.64' in found)
    figures = {'wire.seal64_ratio': found[f'{cipher}.64']['libom_ns'] / found[f'{cipher}.64']['openssl_ns'],
               'wire.seal_cipher': cipher,
               'wire.cipher_ns_per_byte': found[f'{cipher}.{LARGEST}']['openssl_ns'] / LARGEST}
    for name, times in found.items():
        figures[f'wire.seal.{name}.ns'] = times['libom_ns']
        figures[f'wire.seal.{name}.openssl_ns'] = times['openssl_ns']
    return figures
