# SPDX-License-Identifier: Apache-2.0
#
# A stopped process without its pages; the same format whether home describes it (build) or a keeper (stop).
# common/image/description.h reads and writes it and states the rules; the pages are frames of common/image/bulk.h.
# Fields of type Data are PODs of libom/abi.

@0xf0a1d7c25b8e4e93;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("om::wire");

struct Image {
  version @0 :UInt32;       # kImageVersion of common/image/description.h; others are refused
  epoch @1 :UInt32;
  mappings @2 :List(Mapping);  # from a keeper: only the stack, as far as it has been used
  objects @3 :List(MemoryObject);  # their pages are sent at MemoryObject.view, not for mappings of kind view
  marks @4 :List(Mark);
  threads @5 :List(Thread); # from home: threads[i] has slot i
  xstate @6 :Xstate;        # layout of every thread's xsave area
  clocks @7 :Clocks;
  process @8 :Process;
}

struct Mapping {
  lo @0 :UInt64;
  hi @1 :UInt64;
  prot @2 :UInt32;
  kind @3 :Kind;
  object @4 :UInt32;        # view: number in Image.objects
  offset @5 :UInt64;        # view: offset in it of what is at `lo`, in bytes

  enum Kind {
    memory @0;              # private
    stack @1;
    reserve @2;             # a placeholder, nothing accessible
    view @3;                # shows a memory object
  }
}

struct MemoryObject {       # of libom/abi/memory.h
  view @0 :UInt64;          # where the body has all of it
  bytes @1 :UInt64;
  isOpen @2 :Bool;
}

struct Mark {               # what else there is to know of [lo, hi)
  lo @0 :UInt64;
  hi @1 :UInt64;
  kind @2 :Kind;

  enum Kind {
    file @0;                # home has a file behind it
    shared @1;
    locked @2;              # into memory
    object @3;              # a view of a memory object
    guard @4;               # pages under MADV_GUARD_INSTALL, within a mapping
    written @5;             # from a keeper: file memory that the program may have written to
  }
}

struct Thread {
  state @0 :Data;           # ThreadState
  xsave @1 :Data;           # in the layout of Image.xstate
}

struct Xstate {
  size @0 :UInt32;
  mxcsrMask @1 :UInt32;
  xcr0 @2 :UInt64;
  offsets @3 :List(UInt32);   # by component number
  sizes @4 :List(UInt32);
}

struct Clocks {
  monoNs @0 :Int64;         # home's; from a keeper: the latest that the program can have seen
  realNs @1 :Int64;
  cpuNs @2 :UInt64;         # used in this body
}

struct Process {            # as home's kernel knows it
  pid @0 :Int32;
  ppid @1 :Int32;
  ids @2 :List(UInt32);     # uid euid suid fsuid gid egid sgid fsgid
  brkStart @3 :UInt64;
  brkNow @4 :UInt64;
  brkLimit @5 :UInt64;
  uts @6 :Data;             # struct utsname
  vdsoLo @7 :UInt64;        # home's vDSO and vvar: [vdsoLo, vdsoHi)
  vdsoHi @8 :UInt64;
  caught @9 :UInt64;        # signals with a handler
  fdSize @10 :UInt32;       # size of the descriptor table (FDSize in /proc/PID/status)
  deniesExec @11 :Bool;     # PR_SET_MDWE: home decides what becomes executable
  writesFiles @12 :Bool;    # has a writable shared mapping of a file: calls that end one run at home
}
