// SPDX-License-Identifier: Apache-2.0
#include "balance/load_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace om::balance {

LoadTable::LoadTable(NodeId self, uint64_t incarnation, size_t kept, size_t window)
    : kept_(std::max<size_t>(1, kept)), window_(std::clamp<size_t>(window, 1, kMaxLoadEntries)) {
  own_.node = self;
  own_.incarnation = incarnation;
}

void LoadTable::set_own(const LoadEntry& entry) {
  const LoadEntry before = own_;
  own_ = entry;
  own_.node = before.node;
  own_.incarnation = before.incarnation;
  own_.sequence = before.sequence;
  own_.age_s = 0;
}

double LoadTable::due_s(double now_s) const {
  const bool news = std::abs(own_.k - told_k_) >= kNewsThreads;
  return std::max(now_s, told_s_ + (news ? kLeastInterval : kInterval));
}

const LoadEntry& LoadTable::state() {
  ++own_.sequence;
  return own_;
}

std::string LoadTable::tell(double now_s) {
  ++own_.sequence;
  told_s_ = now_s;
  told_k_ = own_.k;
  order_.resize(known_.size());
  std::iota(order_.begin(), order_.end(), 0);
  size_t others = std::min(window_ - 1, order_.size());
  const auto place = order_.begin() + static_cast<ptrdiff_t>(others);
  if (others < order_.size())
    std::nth_element(order_.begin(), place, order_.end(),
                     [this](uint32_t a, uint32_t b) { return made_[a] > made_[b]; });
  LoadEntry out[kMaxLoadEntries];
  out[0] = own_;
  size_t count = 1;
  for (size_t i = 0; i < others; ++i) {
    const Known& known = known_[order_[i]];
    if (now_s - known.made_s > kForget) continue;
    out[count] = known.entry;
    out[count++].age_s = now_s - known.made_s;
  }
  return encode_load({out, count});
}

Result<void> LoadTable::hear(double now_s, std::string_view bytes) {
  OM_TRY(decode_load(bytes, heard_));
  for (const LoadEntry& entry : heard_) learn(now_s, entry);
  return {};
}

void LoadTable::learn(double now_s, const LoadEntry& entry) {
  if (entry.node == own_.node || entry.age_s > kForget) return;
  const Known fresh{entry, now_s - entry.age_s};
  if (Known* known = place_of(entry.node)) {
    if (!newer(entry, known->entry)) return;
    *known = fresh;
    made_[static_cast<size_t>(known - known_.data())] = fresh.made_s;
    return;
  }
  if (known_.size() >= kept_) {
    const size_t place = oldest();
    if (made_[place] >= fresh.made_s) return;
    remove(place);
  }
  known_.push_back(fresh);
  made_.push_back(fresh.made_s);
  ids_.push_back(static_cast<uint64_t>(entry.node));
}

void LoadTable::expect(NodeId node, double threads, double bytes) {
  Known* known = place_of(node);
  if (known == nullptr) return;
  known->expected_threads += threads;
  known->expected_bytes += bytes;
}

void LoadTable::forget(NodeId node) {
  const Known* known = find(node);
  if (known != nullptr) remove(static_cast<size_t>(known - known_.data()));
}

const LoadTable::Known* LoadTable::find(NodeId node) const {
  const auto it = std::find(ids_.begin(), ids_.end(), static_cast<uint64_t>(node));
  return it == ids_.end() ? nullptr : &known_[static_cast<size_t>(it - ids_.begin())];
}

LoadTable::Known* LoadTable::place_of(NodeId node) { return const_cast<Known*>(find(node)); }

size_t LoadTable::oldest() const {
  return static_cast<size_t>(std::min_element(made_.begin(), made_.end()) - made_.begin());
}

void LoadTable::remove(size_t place) {
  known_[place] = known_.back();
  made_[place] = made_.back();
  ids_[place] = ids_.back();
  known_.pop_back();
  made_.pop_back();
  ids_.pop_back();
}

}  // namespace om::balance
