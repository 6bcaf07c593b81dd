# SPDX-License-Identifier: Apache-2.0
#
# Between om-migrator and the om-deputy of one process of its node: two-party Cap'n Proto RPC on a unix stream socket,
# which is the deputy's descriptor 3 or, for a deputy that has outlived its daemon, a connection of the control socket
# after its `deputy.attach`. Each end bootstraps the other: the daemon (side CLIENT) finds a Deputy, the deputy (side
# SERVER) a Daemon.
#
# A deputy runs as the owner of its process, the daemon perhaps as root: what a deputy says is checked where it is read
# (migrator/moves/deputy_wire.h). The daemon hears everything in the order in which it was said, answers included.

@0xa4d2c7e98f1b3360;

using Cxx = import "/capnp/c++.capnp";
using import "node.capnp".Offer;
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

interface Deputy @0xa4d2c7e98f1b3361 {
  # Commands. They are carried out one at a time, in the order in which they come; a move is one of them, so the others
  # wait for its end. A command is carried out even if the daemon goes away meanwhile.

  depart @0 (to :Text) -> (record :MoveRecord);
  # To this node; through home if the process is away.

  home @1 () -> (record :MoveRecord);
  # Home.

  stack @2 () -> (outcome :Outcome, report :Text);
  # Backtraces of all threads. `report` is what `om stack --json` prints; the daemon passes it on.

  trace @3 (cursor :UInt64) -> (outcome :Outcome, report :Text);
  # Forwarded calls since number `cursor`, and counts; executors write them down until nobody has asked for 2 s.
  # `report` is what om trace asks for, passed on as well.

  takeOver @4 (session :Session, moving :Bool) -> ();
  # The first call to a deputy that is to take the process over from one that has died, while it was away or (moving)
  # on its way. The deputy says where the process is, or ends.

  cut @5 (what :Text) -> ();
  # Test aid: closes connections to the keeper ("channels", "session", "all").
}

interface Daemon @0xa4d2c7e98f1b3362 {
  needGuest @0 (to :Text, offer :Offer) -> (outcome :Outcome);
  # Has the target admit the process and start a keeper. One question at a time. Of `offer`, homeNode and homeAddress
  # are empty: they, pid and uid are the daemon's to say.

  state @1 (at :Text, state :State) -> ();
  # Where the process is: a node, or "home". For `om ps` and `om where`.

  session @2 (session :Session) -> ();
  # To a daemon that has not started this deputy: what it needs to have the process taken over.

  note @3 (code :Text, message :Text) -> ();
  # Something the user should find in `om events`.

  stats @4 (cpuMs :UInt64, rssBytes :UInt64, threads :UInt32, calls :UInt64) -> ();
  # Every second while the process is away: what `om ps` shows of the body.

  leave @5 () -> ();
  # The last call: the deputy ends when this is answered, and with it everything said before.
}

enum State {
  home @0;
  moving @1;
  away @2;
}

struct Session {            # by what a keeper proves itself, and finds the deputy
  at @0 :Text;              # node of the keeper
  session @1 :Data;         # 16 bytes
  token @2 :Data;           # 16 bytes
  port @3 :UInt16;          # of the deputy's listener
}

struct MoveRecord {         # what `om migrate --json` prints, as far as the deputy knows it; figures may be 0
  outcome @0 :Outcome;      # ok: the process is where it was to go
  failed @1 :Bool;          # of a refusal: something broke, rather than that the process cannot move
  mode @2 :Text;
  freezeMs @3 :Float64;
  totalMs @4 :Float64;      # 0: not measured
  bytesRaw @5 :UInt64;
  bytesWire @6 :UInt64;
  pages @7 :UInt64;
  threads @8 :UInt64;
}
