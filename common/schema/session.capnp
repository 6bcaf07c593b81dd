# SPDX-License-Identifier: Apache-2.0
#
# Between om-deputy (home) and om-guest (the keeper on the other node), on the SESSION connection, which the
# keeper opens. The deputy calls, the keeper serves. Pages travel on the BULK connection, in the frames of
# common/image/bulk.h.

@0xd7c1b3a8895e2f40;

using Cxx = import "/capnp/c++.capnp";
using import "image.capnp".Image;
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

interface Keeper @0xd7c1b3a8895e2f41 {
  # The bootstrap capability of a SESSION connection: what concerns the node, and the bodies it has for this home.

  makeBody @0 (member :UInt32, spec :BodySpec) -> (verdict :Outcome, body :Body, host :HostFacts);
  # Makes a confined, empty body with libom's pages in place. Once per member.

  body @1 (member :UInt32) -> (body :Body);
  # The body of a member, in a later session. Fails if there is none.

  evicted @2 () -> (why :Text, draining :Bool);
  # Answers when the bodies should go home: this node has too little memory for its own processes and its guests, and
  # the kernel will kill them, or it takes no guests any more (draining). Answers at once while that is so.
}

interface Body @0xd7c1b3a8895e2f42 {
  # The body of one member. The capability lasts as long as the session; the body may last longer.

  build @0 (image :Image) -> (verdict :Outcome);
  # Makes the address space and the channels. The pages follow on BULK, then call filled().

  filled @1 (pages :UInt64) -> (verdict :Outcome);
  # All pages of the image have been sent, `pages` of them. Makes the threads, ready for commit().

  commit @2 (epoch :UInt32, homeMonoNs :Int64, homeRealNs :Int64) -> (verdict :Outcome);
  # Lets the body run.

  kick @3 (slots :List(UInt32)) -> ();
  # These threads have signals waiting at home.

  stop @4 (generation :UInt32, look :Bool) -> (verdict :Outcome, state :Image);
  # Stops every thread and returns the state of all. With `look` the body stops only to be looked at; that also works
  # while job control has it stopped.

  collect @5 (ranges :List(Range)) -> (verdict :Outcome, pages :UInt64, bytes :UInt64);
  # Sends what the body has in these ranges on BULK. Zero pages travel as frames without contents, and only
  # where home would show something else (Range.file).

  resume @6 () -> (verdict :Outcome);
  # After stop(): the move did not happen, the body continues.

  pause @7 (on :Bool) -> ();
  # Job control has stopped or continued home: the body follows.

  end @8 () -> ();
  # The body is no longer needed: the keeper kills it, and exits with the last one.

  ping @9 (homeMonoNs :Int64, homeRealNs :Int64) -> (cpuNs :UInt64, rssBytes :UInt64, threads :UInt32,
                                                    bodyMonoNs :Int64);
  # Every second: keeps the body's clocks from running ahead of home's, returns its resource usage.

  ends @10 () -> (how :Text);
  # Answers when the body has ended by itself or was killed on its node.

  peek @11 (address :UInt64, bytes :UInt32) -> (verdict :Outcome, data :Data);
  # Memory of the body, at most 64 KiB; less if not all of it is readable. For backtraces, between stop() and
  # resume(), and for writing back to files while the body runs.

  pin @12 (change :UInt32, threads :List(ThreadCpus)) -> ();
  # The CPUs on which the threads may run at home. Restricts each thread to those of them that this node has given the
  # body; a thread left without any may use all of the body's. From filled() on, as often as home likes, and for all
  # threads each time. `change` counts the program's changes since it left: tells the body that they have been applied.
}

struct ThreadCpus {
  slot @0 :UInt32;
  mask @1 :List(UInt64);    # bit n of word w is CPU 64 * w + n
}

struct Range {
  lo @0 :UInt64;
  hi @1 :UInt64;
  file @2 :Bool;            # home has a file behind it
}

struct BodySpec {
  keeperGateAbi @0 :UInt32;
  imageLo @1 :UInt64;       # libom's mapping at home, page aligned
  imageHi @2 :UInt64;
  gateLo @3 :UInt64;
  gateHi @4 :UInt64;
  bodyEntry @5 :UInt64;
  bodyState @6 :UInt64;     # address of BodyState
  arena @7 :UInt64;
  slots @8 :UInt32;         # of the arena
  image @9 :Data;           # imageHi - imageLo bytes
  segments @10 :List(Segment);
  command @11 :Text;        # comm of the process at home
  limits @12 :List(Limit);  # rlimits that apply to the body too
  threads @13 :UInt32;      # if known: how many channels to open early
  cpus @14 :UInt32;         # home's highest CPU id + 1
  vdsoFunctions @15 :List(UInt64);
  homeCpus @16 :Bool;       # only CPUs with a number below `cpus`
}

struct Segment {
  lo @0 :UInt64;
  hi @1 :UInt64;
  prot @2 :UInt32;
}

struct Limit {
  resource @0 :UInt32;
  soft @1 :UInt64;
  hard @2 :UInt64;
}

struct HostFacts {
  pid @0 :Int32;            # of the body
  kernel @1 :Text;
}
