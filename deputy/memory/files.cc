// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/files.h"

#include <algorithm>

#include "common/proc/process.h"

namespace om::deputy {
namespace {

constexpr uint64_t kPeekBytes = 64 << 10;

bool is_same(const proc::Mapping& a, const proc::Mapping& b) {
  return a.start == b.start && a.end == b.end && a.shared == b.shared && a.prot == b.prot &&
         a.offset == b.offset && proc::object_of(a) == proc::object_of(b);
}

}  // namespace

bool SharedFiles::may_have_changed(const ProcessReport& report) {
  const bool stale =
      !report.to_lease.empty() ||
      std::any_of(report.reasons.begin(), report.reasons.end(),
                  [](const Reason& reason) { return reason.code == ReasonCode::kSharedFile; });
  return !take(report) || stale;
}

// To be called before a page of the files is read.
Step SharedFiles::take(const ProcessReport& report) {
  lazy_shared_ = report.lazy_shared;
  leases_.clear();
  for (const std::string& path : report.to_lease) {
    auto lease = FileLease::take(path);
    if (!lease) return refuse(ReasonCode::kSharedFile, "{}", lease.error().text());
    leases_.push_back(std::move(*lease));
  }
  return Done{};
}

bool SharedFiles::is_wanted() const {
  return std::any_of(leases_.begin(), leases_.end(),
                     [](const FileLease& lease) { return lease.is_wanted(); });
}

void SharedFiles::write_back_all(wire::Body::Client body, kj::TaskSet& tasks) {
  if (write_backs_ != 0) return;
  for (const proc::Mapping& map : lazy_shared_) {
    write_backs_++;
    tasks.add(write_back(body, map, map.start).attach(kj::defer([this] { write_backs_--; })));
  }
}

// Copies what the body has in a mapping to home's, piece by piece, if that is still the same mapping.
kj::Promise<void> SharedFiles::write_back(wire::Body::Client body, proc::Mapping map, uint64_t at) {
  if (at >= map.end) return kj::READY_NOW;
  auto request = body.peekRequest();
  request.setAddress(at);
  request.setBytes(static_cast<uint32_t>(std::min(kPeekBytes, map.end - at)));
  return request.send().then(
      [this, body, map,
       at](capnp::Response<wire::Body::PeekResults>&& answer) mutable -> kj::Promise<void> {
        if (!home_.target) return kj::READY_NOW;
        const auto data = answer.getData();
        const auto maps = proc::read_maps(proc::memory_tid(home_.pid));
        const proc::Mapping* now = maps ? proc::find_mapping(*maps, at) : nullptr;
        if (data.size() == 0 || data.size() > map.end - at || now == nullptr || !is_same(*now, map))
          return kj::READY_NOW;
        const auto bytes = std::as_bytes(std::span(data.begin(), data.size()));
        std::vector<std::byte> before(bytes.size());
        if (!home_.target->memory.read(at, before)) return kj::READY_NOW;
        if (!std::equal(bytes.begin(), bytes.end(), before.begin()))
          (void)home_.target->memory.write(at, bytes);
        return write_back(kj::mv(body), std::move(map), at + bytes.size());
      },
      [](kj::Exception&&) {});  // a lost session: others notice it
}

}  // namespace om::deputy
