# SPDX-License-Identifier: Apache-2.0
#
# How a step of a move ended on another node, or why it did not happen: Reason of common/movable/reasons.h on the
# wire. The sentence is not sent: each program shows the one in its own table.

@0xe1b06f2d9c4a7758;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("om::wire");

struct Refusal {
  code @0 :Text;            # of docs/REASONS.md; unknown ones count as INTERNAL
  detail @1 :Text;          # what exactly: a path, a number; may be empty
}

struct Outcome {
  union {
    refused @0 :Refusal;    # the default: an empty message is not consent
    ok @1 :Void;
  }
}
