// SPDX-License-Identifier: Apache-2.0
//
// All that a member knows, in pieces for a call of RPC: for a node that joins or was away. Rumours are encoded as in
// datagrams. A piece is a part of a row that has an order of its own (denied nodes, then members by id), so that what
// changes between two pieces shifts nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "migrator/members/datagram.h"

namespace om::members {

constexpr size_t kMostPageBytes = 64 << 10;
constexpr size_t kMostPages = 256;  // that anybody asks another one for
constexpr size_t kMostCursorBytes = 16;

struct SnapshotPage {
  std::string rumours;  // at most kMostPageBytes
  std::string
      next;  // the cursor of the next piece, at most kMostCursorBytes; empty: this is the last one
};

// The piece of `all` (Membership::snapshot()) that follows the cursor; one that is none of ours starts at the front.
SnapshotPage page_of(const std::vector<Rumour>& all, std::string_view after);

}  // namespace om::members
