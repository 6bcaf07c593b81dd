# SPDX-License-Identifier: Apache-2.0
#
# What the members of a cluster tell and ask each other about the cluster itself, on the connections of node.capnp:
# under TLS the object there is a Member as well. The caller is the node of its certificate. Everything that it says is
# checked where it is used.

@0xd75c3e1a90b264f1;

using Cxx = import "/capnp/c++.capnp";
using import "node.capnp".Node;
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

interface Member @0xd75c3e1a90b264f2 extends(Node) {
  news @0 (cluster :ClusterNews) -> (cluster :ClusterNews);
  # With each hello.

  renew @1 (request :Text) -> (outcome :Outcome, certificate :Text);
  # A new certificate for the caller (PEM), who sends a PKCS#10 request (PEM) with its key and name. Signers only.

  deny @2 (entries :List(Data)) -> (entries :List(Data));
  # Signed entries about nodes that were removed (migrator/identity/deny.h): the caller's, and in answer all that this
  # node has. At most 1024 each way.

  groupKey @3 () -> (number :UInt32, key :Data);
  # The key that all members share; 32 bytes.

  leave @4 () -> ();
  # The caller leaves the cluster: it is to be forgotten.

  drain @5 (limitMs :UInt32) -> (outcome :Outcome, home :UInt32, guests :UInt32, failed :List(LeftBehind));
  # Empty yourself, within so long (migrator/control/drain.h), if your remote_control lets the caller ask that. The
  # answer comes when it is over. REMOTE_CONTROL: the caller may not. At most 256 processes that did not come home.

  undrain @6 () -> (outcome :Outcome, wasClosed :Bool);
  # Take guests again.
}

struct LeftBehind {
  pid @0 :Int32;
  code @1 :Text;
  message @2 :Text;
}

struct ClusterNews {
  listen @0 :Text;          # where it listens: numeric, with a port
  signer @1 :Bool;          # it may sign
  groupKey @2 :UInt32;      # number of its group key; one that has a lower one asks for it
  denied @3 :Data;          # digest of its deny entries, at most 32 bytes; who has another asks for them
  keyCheck @4 :Data;        # hash of its group key, at most 32 bytes; who has another one of the same number asks, too
}
