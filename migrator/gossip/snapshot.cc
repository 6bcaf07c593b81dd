// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/snapshot.h"

#include <algorithm>

namespace om::members {
namespace {

// Denied nodes come first; what is said of one member has one place.
std::string cursor_of(const Rumour& rumour) {
  std::string cursor(1, rumour.kind == kDenied ? 'd' : 'm');
  cursor.append(reinterpret_cast<const char*>(rumour.node.bytes.data()), rumour.node.bytes.size());
  return cursor;
}

}  // namespace

SnapshotPage page_of(const std::vector<Rumour>& all, std::string_view after) {
  // In order but for the node's own record, which snapshot() puts in front of the members.
  std::vector<std::pair<std::string, const Rumour*>> row;
  row.reserve(all.size());
  for (const Rumour& rumour : all) {
    std::string cursor = cursor_of(rumour);
    if (cursor > after) row.emplace_back(std::move(cursor), &rumour);
  }
  std::stable_sort(row.begin(), row.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  SnapshotPage page;
  for (size_t i = 0; i < row.size();) {
    std::string piece;
    size_t next = i;
    for (; next < row.size() && row[next].first == row[i].first; ++next)
      append_rumour(piece, *row[next].second);
    if (page.rumours.size() + piece.size() > kMostPageBytes) return page;
    page.rumours += piece;
    page.next = row[i].first;
    i = next;
  }
  page.next.clear();
  return page;
}

}  // namespace om::members
