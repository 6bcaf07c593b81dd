# SPDX-License-Identifier: Apache-2.0
#
# Between the om-migrator daemons of a cluster: two-party Cap'n Proto RPC over TCP. Everything that a peer
# says is checked where it is used (lengths, ranges, names).

@0xc2a9d1f04b7e6a35;

using Cxx = import "/capnp/c++.capnp";
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

interface Node @0xc2a9d1f04b7e6a36 {
  hello @0 (self :NodeInfo, knows :UInt64) -> (peer :NodeInfo);
  # Who are you? Called on connecting and when the caller wants fresh facts. `knows` is the life of yours of which the
  # caller has the CPU flags, or 0: if it is still the same, they are left out.

  admit @1 (offer :Offer) -> (outcome :Outcome);
  # May this process come? If so, starts a keeper for it now.

  accused @2 (incarnation :UInt64) -> (incarnation :UInt64);
  # The caller suspects you at this incarnation. The answer has your present one, raised if need be.

  snapshot @3 (after :Data) -> (rumours :Data, next :Data);
  # What you know of all members, in pieces (migrator/gossip/snapshot.h): the one that follows `after`, which is empty
  # at first and then the last answer's `next`, until that is empty.
}

struct NodeInfo {
  name @0 :Text;            # [a-z0-9-]{1,63}
  protocol @1 :UInt32;      # kProtocol of common/base/version.h; a different major is refused (VERSION)
  build @2 :Text;
  cpus @3 :UInt32;          # CPUs that guests may run on
  cpuFeatures @4 :List(Text);  # /proc/cpuinfo flag names
  memoryBytes @5 :UInt64;   # total
  freeBytes @6 :UInt64;     # MemAvailable
  loadCentis @7 :UInt32;    # 1-minute load average * 100
  guests @8 :UInt32;
  kernel @9 :Text;
  bootId @10 :Text;
  keeperGateAbi @11 :UInt32;
  life @12 :UInt64;         # another number after each start of the daemon; 0: it has none
}

struct Offer {
  homeNode @0 :Text;        # must be a peer of the target
  homeAddress @1 :Text;     # numeric address of the deputy's listener, for the target to dial; must be the
                            # address by which the target knows homeNode
  homePort @2 :UInt16;
  session @3 :Data;         # 16 random bytes: names the migration
  secret @4 :Data;          # 32 random bytes, made by the deputy: all keys of the session follow from it
  keeperGateAbi @5 :UInt32;
  pid @6 :Int32;            # at home, for display
  uid @7 :UInt32;
  command @8 :Text;
  memoryBytes @9 :UInt64;
  threads @10 :UInt32;
  cpus @11 :UInt32;         # highest CPU id of home + 1
  cpuFeatures @12 :List(Text);  # what the process may use: must be a subset of the target's
  cipher @13 :UInt32;       # of the session's connections: a number of common/tls/cipher.h, 0: they are plain
  homeCpus @14 :Bool;       # it runs only on CPUs with a number below `cpus`
}
