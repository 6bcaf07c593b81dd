# SPDX-License-Identifier: Apache-2.0
#
# Between om-migrator and the om-deputy of one process of its node: two-party Cap'n Proto RPC on a unix stream socket.
# That is the deputy's descriptor 3 or, for a deputy that has outlived its daemon, a connection to the control socket
# after `deputy.attach`. Each end bootstraps the other: the daemon (side CLIENT) gets a Deputy, the deputy (side SERVER)
# a Daemon.
#
# A deputy runs as the owner of its process, the daemon perhaps as root, so the daemon checks what a deputy says where
# it reads it (migrator/moves/deputy_wire.h). The daemon receives everything in the order in which it was sent, answers
# included.

@0xa4d2c7e98f1b3360;

using Cxx = import "/capnp/c++.capnp";
using import "node.capnp".Offer;
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

const maxMessageWords :UInt64 = 262144;
# 2 MiB, of a message either way: a report (stack, trace) and what is around it. Neither end reads more, or sends it.

interface Deputy @0xa4d2c7e98f1b3361 {
  # Commands. The deputy carries them out one at a time, in order of arrival; a move is one of them, so the others wait
  # until it ends. It completes a command even if the daemon goes away meanwhile.

  depart @0 (to :Text) -> (record :MoveRecord);
  # Move to this node; through home if the process is away.

  home @1 () -> (record :MoveRecord);
  # Move home.

  stack @2 () -> (outcome :Outcome, report :Text);
  # Backtraces of all threads. `report` is the output of `om stack --json`; the daemon passes it on.

  trace @3 (cursor :UInt64) -> (outcome :Outcome, report :Text);
  # Forwarded calls since number `cursor`, and counts; executors record calls until nobody has asked for 2 s. `report`
  # is for om trace, and passed on as well.

  takeOver @4 (session :Session, moving :Bool) -> ();
  # The first call to a deputy that is to take over the process from one that died while the process was away or
  # (moving) on its way. The deputy reports where the process is, or ends.

  cut @5 (what :Text) -> ();
  # Test aid: closes connections to the keeper ("channels", "session", "all").
}

interface Daemon @0xa4d2c7e98f1b3362 {
  needGuest @0 (to :Text, offer :Offer) -> (outcome :Outcome);
  # Asks the target to admit the process and start a keeper. One question at a time. In `offer`, homeNode and
  # homeAddress are empty: the daemon supplies them, and pid and uid; `cipher` says only whether there is one.

  state @1 (at :Text, state :State) -> ();
  # Where the process is: a node, or "home". For `om ps` and `om where`.

  session @2 (session :Session) -> ();
  # To a daemon that did not start this deputy: what it needs so that another deputy can take over the process.

  note @3 (code :Text, message :Text) -> ();
  # Something that `om events` should show the user.

  stats @4 (cpuMs :UInt64, rssBytes :UInt64, threads :UInt32, calls :UInt64) -> ();
  # Every second while the process is away: what `om ps` shows about the body.

  leave @5 () -> ();
  # The last call: the deputy ends when this is answered, and then all calls before it are as well.
}

enum State {
  home @0;
  moving @1;
  away @2;
}

struct Session {            # how a keeper proves itself and finds the deputy
  at @0 :Text;              # node of the keeper
  session @1 :Data;         # 16 bytes
  secret @2 :Data;          # 32 bytes
  port @3 :UInt16;          # of the deputy's listener
}

struct MoveRecord {         # as printed by `om migrate --json`, as far as the deputy knows; figures may be 0
  outcome @0 :Outcome;      # ok: the process is where it should go
  failed @1 :Bool;          # if refused: something broke; false: the process cannot move
  mode @2 :Text;
  freezeMs @3 :Float64;
  totalMs @4 :Float64;      # 0: not measured
  bytesRaw @5 :UInt64;
  bytesWire @6 :UInt64;
  pages @7 :UInt64;
  threads @8 :UInt64;
}
