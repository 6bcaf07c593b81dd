// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/rumours.h"

#include <algorithm>

namespace om::members {
namespace {

std::string encoded(const Rumour& rumour) {
  std::string bytes;
  append_rumour(bytes, rumour);
  return bytes;
}

// FNV-1a. Whoever makes two unknown rumours collide only suppresses one of them.
uint64_t hash_of(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace

unsigned rumour_budget(size_t nodes) {
  unsigned bits = 1;
  while (bits < 32 && (size_t{1} << bits) < nodes) ++bits;
  return 3 * bits;
}

void RumourQueue::put(const Rumour& rumour) {
  const bool final = rumour.kind == kDown || rumour.kind == kLeft || rumour.kind == kDenied;
  std::erase_if(known_, [&](const Item& item) {
    if (item.node != rumour.node) return false;
    return final || (item.kind == kJoined) == (rumour.kind == kJoined);
  });
  if (known_.size() >= kMaxRumours) {
    known_.erase(std::max_element(known_.begin(), known_.end(),
                                  [](const Item& a, const Item& b) { return a.sent < b.sent; }));
  }
  known_.push_back({rumour.node, rumour.kind, 0, encoded(rumour)});
}

void RumourQueue::pass_on(const Rumour& rumour) {
  std::string bytes = encoded(rumour);
  if (bytes.size() > kUnknownBytes) return;
  const uint64_t hash = hash_of(bytes);
  if (std::find(passed_on_.begin(), passed_on_.end(), hash) != passed_on_.end()) return;
  if (unknown_.size() >= kMaxUnknownRumours) return;
  if (passed_on_.size() < kRememberedRumours) {
    passed_on_.push_back(hash);
  } else {
    passed_on_[oldest_] = hash;
    oldest_ = (oldest_ + 1) % kRememberedRumours;
  }
  unknown_.push_back({rumour.node, rumour.kind, 0, std::move(bytes)});
}

bool RumourQueue::has_record_of(NodeId node) const {
  return std::any_of(known_.begin(), known_.end(),
                     [&](const Item& item) { return item.node == node && item.kind == kJoined; });
}

void RumourQueue::append_from(std::vector<Item>& items, std::string& bytes, size_t most,
                              unsigned budget) {
  if (items.empty()) return;
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.sent < b.sent; });
  for (Item& item : items) {
    if (bytes.size() + kRumourHeaderBytes > most) break;
    if (bytes.size() + item.bytes.size() > most) continue;
    bytes += item.bytes;
    ++item.sent;
  }
  std::erase_if(items, [&](const Item& item) { return item.sent >= budget; });
}

void RumourQueue::fill(std::string& bytes, size_t most, unsigned budget) {
  append_from(known_, bytes, most, budget);
  append_from(unknown_, bytes, std::min(most, bytes.size() + kUnknownBytes), budget);
}

}  // namespace om::members
