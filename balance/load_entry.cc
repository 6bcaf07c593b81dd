// SPDX-License-Identifier: Apache-2.0
#include "balance/load_entry.h"

#include <algorithm>

#include "common/base/assert.h"
#include "common/base/bytes.h"

namespace om::balance {
namespace {

constexpr std::string_view kMagic = "oml";
constexpr uint8_t kVersion = 1;
constexpr size_t kIncarnationBytes = 6;
constexpr size_t kLoadBytes = 3;
constexpr double kLoadSteps = 256;
constexpr double kSpeedSteps = 1000;
constexpr double kMebibyte = 1 << 20;
constexpr double kTotalStep = 64 * kMebibyte;
constexpr double kAgeSteps = 100;

// In whole steps, rounded, within what so many bytes can hold.
uint64_t steps(double value, double per_unit, size_t bytes) {
  const double most = static_cast<double>((uint64_t{1} << (8 * bytes)) - 1);
  const double wanted = value * per_unit + 0.5;
  return wanted > 0 ? static_cast<uint64_t>(std::min(wanted, most)) : 0;
}

void put(std::string& bytes, const LoadEntry& entry) {
  put_bytes(bytes, entry.node.bytes);
  put_number(bytes, entry.incarnation, kIncarnationBytes);
  put_number(bytes, entry.sequence);
  put_number(bytes, steps(entry.k, kLoadSteps, kLoadBytes), kLoadBytes);
  put_number(bytes, steps(entry.told, kLoadSteps, kLoadBytes), kLoadBytes);
  put_number(bytes, steps(entry.machine.cores, 1, 2), 2);
  put_number(bytes, steps(entry.machine.threads, 1, 2), 2);
  put_number(bytes, std::max<uint64_t>(1, steps(entry.machine.speed, kSpeedSteps, 2)), 2);
  put_number(bytes, steps(entry.free_bytes, 1 / kMebibyte, 4), 4);
  put_number(bytes, steps(entry.total_bytes, 1 / kTotalStep, 2), 2);
  put_number(bytes, entry.flags);
  put_number(bytes, entry.feature_class);
  put_number(bytes, steps(entry.age_s, kAgeSteps, 2), 2);
}

LoadEntry take(ByteReader& in) {
  const auto units = [&in](size_t bytes, double per_unit) {
    return static_cast<double>(in.number(bytes)) / per_unit;
  };
  LoadEntry entry;
  entry.node.bytes = in.bytes<8>();
  entry.incarnation = in.number(kIncarnationBytes);
  entry.sequence = in.number<uint32_t>();
  entry.k = units(kLoadBytes, kLoadSteps);
  entry.told = units(kLoadBytes, kLoadSteps);
  entry.machine.cores = units(2, 1);
  entry.machine.threads = units(2, 1);
  entry.machine.speed = units(2, kSpeedSteps);
  entry.free_bytes = units(4, 1 / kMebibyte);
  entry.total_bytes = units(2, 1 / kTotalStep);
  entry.flags = in.number<uint8_t>();
  entry.feature_class = in.number<uint8_t>();
  entry.age_s = units(2, kAgeSteps);
  return entry;
}

}  // namespace

bool newer(const LoadEntry& a, const LoadEntry& b) {
  return a.incarnation != b.incarnation ? a.incarnation > b.incarnation : a.sequence > b.sequence;
}

std::string encode_load(std::span<const LoadEntry> entries) {
  OM_ASSERT(entries.size() <= kMaxLoadEntries);
  std::string bytes;
  bytes.reserve(kLoadHeaderBytes + entries.size() * kLoadEntryBytes);
  bytes += kMagic;
  put_number(bytes, kVersion);
  for (const LoadEntry& entry : entries) put(bytes, entry);
  return bytes;
}

bool is_load(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<void> decode_load(std::string_view bytes, std::vector<LoadEntry>& entries) {
  entries.clear();
  if (!is_load(bytes) || bytes.size() < kLoadHeaderBytes + kLoadEntryBytes)
    return plain_error("no datagram of loads");
  ByteReader in(bytes.substr(kMagic.size()));
  if (in.number<uint8_t>() != kVersion)
    return plain_error("a datagram of loads of another version");
  const size_t rest = bytes.size() - kLoadHeaderBytes;
  if (rest % kLoadEntryBytes != 0 || rest / kLoadEntryBytes > kMaxLoadEntries)
    return plain_error("a datagram of loads of odd length");
  while (!in.at_end()) {
    entries.push_back(take(in));
    const Machine& machine = entries.back().machine;
    if (machine.cores >= 1 && machine.threads >= machine.cores && machine.speed > 0) continue;
    entries.clear();
    return plain_error("a load of a node without CPUs");
  }
  return {};
}

}  // namespace om::balance
