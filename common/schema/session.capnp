# SPDX-License-Identifier: Apache-2.0
#
# Between om-deputy (home) and om-guest (the keeper on the other node), on the SESSION connection that the
# keeper has made. The deputy calls, the keeper serves. Pages travel on the BULK connection, in the frames of
# common/image/bulk.h. Blobs of type Data are the PODs of libom/abi: they concern libom on both sides, the
# keeper only carries them, and checks what it uses itself.

@0xd7c1b3a8895e2f40;

using Cxx = import "/capnp/c++.capnp";
using import "outcome.capnp".Outcome;
$Cxx.namespace("om::wire");

interface Keeper @0xd7c1b3a8895e2f41 {
  prepare @0 (spec :BodySpec) -> (verdict :Outcome, host :HostFacts);
  # A confined, empty body with libom's pages in place. Once per session.

  build @1 (image :Image) -> (verdict :Outcome);
  # The address space exists, channels are there; the pages follow on BULK, then call filled().

  filled @2 (pages :UInt64) -> (verdict :Outcome);
  # All pages of the image have been sent (`pages` of them): threads are made, ready for commit().

  commit @3 (epoch :UInt32, homeMonoNs :Int64, homeRealNs :Int64) -> (verdict :Outcome);
  # Run.

  kick @4 (slots :List(UInt32)) -> ();
  # These threads have signals waiting at home.

  stop @5 (generation :UInt32, look :Bool) -> (verdict :Outcome, state :BodyImage);
  # Every thread stands still; what they are. With `look` the body only stands until it is looked at: one that job
  # control has stopped, too.

  collect @6 (ranges :List(Range)) -> (verdict :Outcome, pages :UInt64, bytes :UInt64);
  # Send what the body has in these ranges on BULK. Zero pages travel as frames without contents, and only
  # where home would show something else (Range.file).

  resume @7 () -> (verdict :Outcome);
  # After stop(): the move did not happen, go on.

  pause @8 (on :Bool) -> ();
  # Home is stopped (job control) or continued: the body follows.

  end @9 () -> ();
  # The body is not needed any more. It is killed, the keeper exits.

  ping @10 (homeMonoNs :Int64, homeRealNs :Int64) -> (cpuNs :UInt64, rssBytes :UInt64, threads :UInt32,
                                                     bodyMonoNs :Int64);
  # Every second: keeps the body's clocks behind home's, brings its accounts back.

  cut @11 (what :Text) -> ();
  # Test aid: closes connections ("channels", "session", "all").

  bodyEnds @12 () -> (how :Text);
  # Answers when the body has ended by itself or was killed on its node.

  evicted @14 () -> (why :Text);
  # Answers when this node has too little memory left for its own and its guests': the body should go home, or the
  # kernel will kill it. At once as long as that is so.

  peek @13 (address :UInt64, bytes :UInt32) -> (verdict :Outcome, data :Data);
  # Memory of the body, at most 64 KiB; less if not all of it is readable. For backtraces, between stop() and
  # resume(); and for what is written back to files while the body runs.

  pin @15 (change :UInt32, threads :List(ThreadCpus)) -> ();
  # On which CPUs the threads may run at home: as far as this node has given the body those, only there; a thread
  # that would have none may use all of the body's. From filled() on, as often as home likes, and all threads each
  # time. `change` is how often the program has changed that since it left: the body is told that it has been done.
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
  limits @12 :List(Limit);  # rlimits that the body has too
  threads @13 :UInt32;      # as far as known: channels to open early
  cpus @14 :UInt32;         # home's highest CPU id + 1
  vdsoFunctions @15 :List(UInt64);
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

struct Xstate {
  size @0 :UInt32;
  mxcsrMask @1 :UInt32;
  xcr0 @2 :UInt64;
  offsets @3 :List(UInt32);   # by component number
  sizes @4 :List(UInt32);
}

struct Mapping {
  lo @0 :UInt64;
  hi @1 :UInt64;
  prot @2 :UInt32;
  kind @3 :UInt32;          # 0 private memory, 1 stack, 2 placeholder (nothing accessible), 3 view of an object
  view @4 :UInt64;          # kind 3: where the body has the object's page at `lo`, within its view
}

struct MemoryObject {       # of libom/abi/memory.h
  view @0 :UInt64;
  bytes @1 :UInt64;
  isOpen @2 :Bool;
}

struct Image {
  epoch @0 :UInt32;
  mappings @1 :List(Mapping);
  threads @2 :List(Thread); # threads[i] has slot i
  xstate @3 :Xstate;        # home's layout, of every thread's xsave area
  pid @4 :Int32;
  ppid @5 :Int32;
  ids @6 :List(UInt32);     # uid euid suid fsuid gid egid sgid fsgid
  brkStart @7 :UInt64;
  brkNow @8 :UInt64;
  brkLimit @9 :UInt64;
  uts @10 :Data;            # struct utsname
  vdsoLo @11 :UInt64;       # home's vDSO and vvar: [vdsoLo, vdsoHi)
  vdsoHi @12 :UInt64;
  fileRanges @13 :List(Range);  # mappings of files; shared, locked memory (kRangeMarks of libom/abi/memory.h)
  caught @14 :UInt64;       # signals with a handler
  reserved15 @15 :UInt64;   # not used any more
  homeMonoNs @16 :Int64;
  homeRealNs @17 :Int64;
  fdSize @18 :UInt32;       # size of the descriptor table (FDSize of /proc/PID/status)
  guards @19 :List(Range);  # pages under MADV_GUARD_INSTALL, within mappings
  deniesExec @20 :Bool;     # PR_SET_MDWE: what becomes executable is home's decision
  writesFiles @22 :Bool;    # a shared mapping of a file can be written through: what ends it is done at home
  objects @21 :List(MemoryObject);  # their pages are sent for their views, not for mappings of kind 3
}

struct Thread {
  state @0 :Data;           # ThreadState
  xsave @1 :Data;           # in the layout of Image.xstate
}

struct BodyImage {
  threads @0 :List(Thread);
  mappings @1 :List(Mapping);
  touched @2 :List(Range);  # file memory from home that may have been written
  touchedAll @3 :Bool;
  brkNow @4 :UInt64;
  cpuNs @5 :UInt64;
  monoNs @6 :Int64;         # latest time that the body can have seen
  realNs @7 :Int64;
  stackLow @8 :UInt64;      # lowest page of the stack that is present
  calls @9 :UInt64;
}
