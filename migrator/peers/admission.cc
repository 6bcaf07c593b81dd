// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/admission.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/cpu/cpu_features.h"
#include "common/movable/verdict.h"

namespace om::migrator {
namespace {

constexpr size_t kShownFlags = 5;
// What libom needs for it (libom/safe/seal.cc), too.
constexpr std::array<std::string_view, 3> kAesFeatures = {"aes", "pclmulqdq", "sse4_1"};

std::string list_start(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kShownFlags; ++i) {
    // Names come from the peer and end up on a terminal.
    std::string shown = escaped(names[i], 64);
    text += (i == 0 ? "" : ", ") + shown.substr(1, shown.size() - 2);
  }
  if (names.size() > kShownFlags) text += fmt::format(" and {} more", names.size() - kShownFlags);
  return text;
}

uint64_t mib(uint64_t bytes) { return bytes >> 20; }
uint64_t mib_up(uint64_t bytes) { return mib(bytes + (1 << 20) - 1); }

std::optional<Reason> refuse_count(const Host& host, uint32_t guests, uint32_t limit,
                                   const std::string& of_whom, const char* key) {
  if (guests < limit) return std::nullopt;
  return refuse(ReasonCode::kFull, "node {} has {} guest{}{}, {} is {}", host.name, guests,
                guests == 1 ? "" : "s", of_whom, key, limit);
}

std::optional<Reason> refuse_number(const Offer& offer, const Host& host) {
  const std::string home = " of node " + offer.home_node;
  if (auto of_home =
          refuse_count(host, host.guests.of_home, host.limits.of_home, home, "max_guests_per_home"))
    return of_home;
  return refuse_count(host, host.guests.of_user, host.limits.of_user,
                      fmt::format(" of user {}{}", offer.uid, home), "max_guests_per_user");
}

// What the guest needs at once. What it takes later is bounded where it runs.
std::optional<Reason> refuse_resources(const Offer& offer, const Host& host) {
  const GuestResources& most = host.resources;
  if (most.memory_bytes != 0 && offer.memory_bytes > most.memory_bytes) {
    return refuse(ReasonCode::kNoMemory, "it needs {} MiB, guest_memory_mib of node {} is {}",
                  mib_up(offer.memory_bytes), host.name, mib(most.memory_bytes));
  }
  const uint64_t taken = host.usage.memory_bytes - host.usage.new_bytes + host.reserved_bytes;
  if (most.all_memory_bytes != 0 &&
      (taken > most.all_memory_bytes || offer.memory_bytes > most.all_memory_bytes - taken)) {
    return refuse(ReasonCode::kNoMemory,
                  "it needs {} MiB, guests of node {} have {} MiB, guests_memory_mib is {}",
                  mib_up(offer.memory_bytes), host.name, mib(taken), mib(most.all_memory_bytes));
  }
  if (most.threads != 0 && offer.threads > most.threads) {
    return refuse(ReasonCode::kBlocked, "it has {} threads, guest_threads of node {} is {}",
                  offer.threads, host.name, most.threads);
  }
  if (most.all_threads != 0 && uint64_t{offer.threads} + host.usage.threads > most.all_threads) {
    return refuse(ReasonCode::kBlocked,
                  "it has {} threads, guests of node {} have {}, guests_threads is {}",
                  offer.threads, host.name, host.usage.threads, most.all_threads);
  }
  return std::nullopt;
}

// What AES in GCM needs to be fast.
bool has_fast_aes(const std::vector<std::string>& features) {
  return std::all_of(kAesFeatures.begin(), kAesFeatures.end(), [&](std::string_view wanted) {
    return std::find(features.begin(), features.end(), wanted) != features.end();
  });
}

}  // namespace

Cipher choose_cipher(const std::vector<std::string>& home, const std::vector<std::string>& target) {
  return has_fast_aes(home) && has_fast_aes(target) ? Cipher::kAes256Gcm
                                                    : Cipher::kChaCha20Poly1305;
}

std::optional<Reason> refuse_wire(const std::string& who, bool plain, bool other_plain) {
  if (plain == other_plain) return std::nullopt;
  const auto word = [](bool is_plain) { return is_plain ? "plain" : "sealed"; };
  return refuse(ReasonCode::kBlocked, "node {} has wire = \"{}\" and the other node wire = \"{}\"",
                who, word(plain), word(other_plain));
}

std::optional<Reason> refuse_protocol(uint32_t own, uint32_t peer) {
  if (protocol_major(own) == protocol_major(peer)) return std::nullopt;
  return refuse(ReasonCode::kVersion, "it speaks protocol {}.{}, this node {}.{}",
                protocol_major(peer), peer & 0xffff, protocol_major(own), own & 0xffff);
}

std::vector<Reason> refuse_everybody(const Host& host) {
  std::vector<Reason> reasons;
  if (!host.accepts) {
    reasons.push_back(
        refuse(ReasonCode::kBlocked, "node {} is configured to take nobody", host.name));
  }
  if (host.draining)
    reasons.push_back(refuse(ReasonCode::kBlocked, "node {} is being emptied", host.name));
  if (auto full = refuse_count(host, host.guests.in_all, host.limits.in_all, "", "max_guests"))
    reasons.push_back(std::move(*full));
  if (!host.used_up_uids.empty()) {
    reasons.push_back(refuse(
        ReasonCode::kFull, "node {} has no user for a guest, all of guest_uids ({}) have processes",
        host.name, host.used_up_uids));
  }
  return reasons;
}

std::optional<Reason> refuse_offer(const Offer& offer, const Host& host) {
  if (auto reasons = refuse_everybody(host); !reasons.empty()) return std::move(reasons.front());
  if (auto wire = refuse_wire(host.name, host.plain, !offer.cipher)) return wire;
  if (offer.cipher == Cipher::kAes256Gcm && !has_fast_aes(host.cpu_features)) {
    return refuse(ReasonCode::kCpuFeature, "node {} lacks one of {} to encrypt with", host.name,
                  fmt::join(kAesFeatures, ", "));
  }
  if (auto full = refuse_number(offer, host)) return full;
  if (offer.keeper_gate_abi == 0 || offer.keeper_gate_abi > host.keeper_gate_abi ||
      offer.keeper_gate_abi + 1 < host.keeper_gate_abi) {
    return refuse(ReasonCode::kVersion, "the process has keeper interface {}, node {} serves {}",
                  offer.keeper_gate_abi, host.name, host.keeper_gate_abi);
  }
  std::vector<std::string> missing = missing_features(offer.cpu_features, host.cpu_features);
  if (!missing.empty()) {
    return refuse(ReasonCode::kCpuFeature, "node {} has no {}", host.name, list_start(missing));
  }
  // A program that relies on home's CPU ids is pinned to one that both nodes have.
  const bool keeps_cpus = offer.home_cpus || !gate_takes_any_cpu(offer.keeper_gate_abi);
  if (host.cpus.empty() || (keeps_cpus && host.cpus.front() >= offer.cpus)) {
    return refuse(ReasonCode::kCpuCount, "node {} has no CPU with a number below {} for guests",
                  host.name, offer.cpus);
  }
  uint64_t taken = host.reserved_bytes + host.headroom_bytes;
  uint64_t usable = host.free_bytes > taken ? host.free_bytes - taken : 0;
  if (offer.memory_bytes > usable) {
    return refuse(ReasonCode::kNoMemory, "it needs {} MiB, node {} can give {} MiB",
                  mib_up(offer.memory_bytes), host.name, mib(usable));
  }
  return refuse_resources(offer, host);
}

}  // namespace om::migrator
