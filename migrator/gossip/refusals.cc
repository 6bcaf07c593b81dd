// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/refusals.h"

#include <fmt/core.h>

#include <utility>

namespace om::members {
namespace {

struct Text {
  const char* name;
  const char* line;
};

constexpr std::array<Text, kRefusals> kTexts{{
    {"malformed", "it is not what a member would send"},
    {"unknown_key", "this node does not have its group key"},
    {"unknown_sender", "it is of no member"},
    {"bad_tag", "its seal is wrong"},
    {"replay", "it has come before, or is too old"},
    {"denied", "its sender was removed from the cluster"},
}};

// IPv4 and IPv6 have different lengths.
std::string key_of(const Address& from) {
  if (from.family() == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in*>(from.raw())->sin_addr;
    return {reinterpret_cast<const char*>(&address), sizeof address};
  }
  const auto& address = reinterpret_cast<const sockaddr_in6*>(from.raw())->sin6_addr;
  return {reinterpret_cast<const char*>(&address), sizeof address};
}

}  // namespace

const char* refusal_name(Refusal refusal) { return kTexts[static_cast<size_t>(refusal)].name; }

void Refusals::note(Source& source, const std::string& from, Refusal cause, MonotonicTime now) {
  if (source.logged != MonotonicTime{} && now - source.logged < kEvery) {
    ++source.more;
    return;
  }
  std::string line = fmt::format("a datagram from {} was refused: {}", from,
                                 kTexts[static_cast<size_t>(cause)].line);
  const uint64_t more = std::exchange(source.more, 0);
  if (more > 0) line += fmt::format(", and {} before", more);
  source.logged = now;
  log_(line);
}

void Refusals::add(Refusal cause, const Address& from, MonotonicTime now) {
  ++counts_[static_cast<size_t>(cause)];
  const std::string key = key_of(from);
  auto at = sources_.find(key);
  if (at == sources_.end() && sources_.size() >= kMaxSources &&
      now - cleaned_ >= std::chrono::seconds(1)) {
    cleaned_ = now;
    std::erase_if(sources_, [&](const auto& item) { return now - item.second.logged >= kEvery; });
  }
  if (at == sources_.end() && sources_.size() >= kMaxSources) {
    note(others_, "one of many addresses", cause, now);
    return;
  }
  if (at == sources_.end()) at = sources_.emplace(key, Source{}).first;
  note(at->second, from.host(), cause, now);
}

}  // namespace om::members
