# SPDX-License-Identifier: Apache-2.0
#
# The wire between one thread of a body and its executor at home: standard two-party Cap'n Proto RPC on a
# TCP connection of its own (the "channel"). The gate and the executor speak it from templates without
# libcapnp; a stock Cap'n Proto client or server interoperates (test/unit/libom/rpc_interop_test.cc).
#
# Rules for both sides:
#  - check every number from the peer before use; never assert on it;
#  - only add fields, at the end; never change the meaning of a field;
#  - libom/abi/syscalls.tbl, not this file, says what a call's arguments mean.

@0xbd1f6a9c0e3c4a11;

interface Executor @0xb1f6c0de00000001 {
  # The bootstrap capability of a channel. Served by the parked home thread.

  forward @0 (nr :UInt32, flags :UInt32, epoch :UInt32, thread :UInt32, sequence :UInt64,
              ticket :UInt64, a0 :UInt64, a1 :UInt64, a2 :UInt64, a3 :UInt64, a4 :UInt64,
              a5 :UInt64, ins :Data)
      -> (result :Int64, flags :UInt32, signalCount :UInt32, sequence :UInt64, aux :UInt64,
          signals :Data, outs :Data);
  # Execute one system call of the program.
  #
  # nr        x86-64 system call number, or a number >= 0x10000 of libom/abi/wire.h (kNrResume, ...).
  # flags     bit 0 WAITED: the program waits for the Return.
  #           bit 1 TICKETED: this Call took ticket number `ticket` itself.
  #           bit 2 SIGNALS: the Return may carry signals; with one pending, home answers RESTART at once.
  #           bits 8-13 BAD: argument 0-5 is a pointer that the body cannot read; home passes a bad one as well.
  #           bits 16-31: the member of the session; must be the one this channel belongs to.
  # epoch     must equal the epoch of the last COMMIT, else home answers REVOKED without executing the Call.
  # thread    slot number of the calling thread; must be the slot this channel belongs to.
  # sequence  1, 2, 3, ... per thread and epoch. Home executes each sequence number once: it answers a
  #           repeated one from the kept Return; a gap is a protocol error.
  # ticket    home executes this Call only after every ticketed Call with a smaller number (TICKETED)
  #           or up to this number (not TICKETED) has been executed.
  # a0..a5    the arguments. Pointers have no meaning at home; the table says which arguments are pointers.
  # ins       the memory that the call reads, according to the table: in argument order, each piece padded
  #           to 8 bytes; an iovec is preceded by one 64-bit byte count.
  #
  # result    the system call's own result, -errno included. An errno is data, never an exception.
  # flags     bit 0 RESTART: not executed, or to be restarted; the program's syscall instruction runs again.
  #           bit 1 EINTR: a handler interrupts the call (result is -EINTR).
  #           bit 2 REVOKED: the epoch is over, this body must end.
  #           bit 3 HOME: with RESTART: not executed, the process must return home to make this call.
  #           bit 4: no longer used.
  # signals   signalCount records of libom/abi/wire.h SignalRecord, in order of delivery.
  # outs      the memory that the call wrote, laid out as `ins`.
  # aux       home's CLOCK_MONOTONIC in ns when this was sent, 0: not given. Given with calls that may have
  #           blocked and with signals: the body's clocks must not show less.
}
