# SPDX-License-Identifier: Apache-2.0
"""TLS as the nodes of a cluster do it, for tests that speak to a daemon's port."""

import pathlib
import socket
import ssl
import subprocess

BETWEEN_NODES = 'om/2'


def context(identity=None, protocol=BETWEEN_NODES):
    """A client's context: of the member whose files are in the directory `identity`, which believes its own cluster
    only; without, of a stranger, who believes anybody."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_REQUIRED if identity else ssl.CERT_NONE
    if identity:
        folder = pathlib.Path(identity)
        tls.load_verify_locations(folder / 'ca.crt')
        tls.load_cert_chain(folder / 'node.crt', folder / 'node.key')
    tls.set_alpn_protocols([protocol])
    return tls


def connect(address, tls, source=None, limit=30):
    """A TLS connection to (host, port), from the address `source`."""
    plain = socket.create_connection(address, timeout=limit, source_address=(source, 0) if source else None)
    try:
        return tls.wrap_socket(plain)
    except BaseException:
        plain.close()
        raise


def issue(build, ca, identity, name, age=0):
    """Writes the files of a member into `identity`: signed `age` seconds ago by the CA in the directory `ca`, which is
    made if there is none."""
    subprocess.run([pathlib.Path(build, 'test', 'cluster', 'issue'), ca, identity, name, str(age)], check=True)
