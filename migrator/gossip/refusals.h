// SPDX-License-Identifier: Apache-2.0
//
// Datagrams that were refused: counted by cause, logged once per source and minute. Bounded, however many sources send
// whatever they like; sources beyond kMaxSources share one line a minute.
#pragma once

#include <stdint.h>

#include <array>
#include <functional>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/net/address.h"

namespace om::members {

enum class Refusal : uint8_t {
  kMalformed,      // not of our form, or not what a member would say
  kUnknownKey,     // under a group key that this node does not have
  kUnknownSender,  // of no member, and not under the group key
  kBadTag,         // changed, or not under the group key
  kReplay,         // received before, or too old
  kDenied,         // of a node that was removed
};
constexpr size_t kRefusals = 6;
// As `refused` names it in JSON: "bad_tag".
const char* refusal_name(Refusal refusal);

class Refusals {
 public:
  static constexpr size_t kMaxSources = 256;
  static constexpr std::chrono::seconds kEvery{60};

  // `log` writes one line.
  explicit Refusals(std::function<void(const std::string& line)> log) : log_(std::move(log)) {}

  void add(Refusal cause, const Address& from, MonotonicTime now);
  uint64_t count(Refusal cause) const { return counts_[static_cast<size_t>(cause)]; }
  size_t sources() const { return sources_.size(); }

 private:
  struct Source {
    MonotonicTime logged;
    uint64_t more = 0;  // since then
  };

  void note(Source& source, const std::string& from, Refusal cause, MonotonicTime now);

  std::function<void(const std::string& line)> log_;
  std::array<uint64_t, kRefusals> counts_{};
  std::unordered_map<std::string, Source> sources_;  // by the bytes of the address
  Source others_;
  MonotonicTime cleaned_{};
};

}  // namespace om::members
