// SPDX-License-Identifier: Apache-2.0
//
// Files that the process has mapped shared, and of which the body has copies. One that the process, or others, could
// change is leased while it is away: who wants to write to it waits until the process is home. One that the process
// writes for others to look at (common/movable/lazy_shared.h) is written back every second.
#include <algorithm>

#include "common/base/log.h"
#include "common/proc/process.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

constexpr uint64_t kPeekBytes = 64 << 10;

bool is_same(const proc::Mapping& a, const proc::Mapping& b) {
  return a.start == b.start && a.end == b.end && a.shared == b.shared && a.prot == b.prot &&
         a.offset == b.offset && proc::object_of(a) == proc::object_of(b);
}

}  // namespace

// Before a page of them is read.
Step Mover::lease_files(const ProcessReport& report) {
  lazy_shared_ = report.lazy_shared;
  leases_.clear();
  for (const std::string& path : report.to_lease) {
    auto lease = FileLease::take(path);
    if (!lease) return refuse(ReasonCode::kSharedFile, "{}", lease.error().text());
    leases_.push_back(std::move(*lease));
  }
  return Done{};
}

// The deputy that has died held leases, too: since then nobody has kept others from writing.
void Mover::take_over_files() {
  const ProcessReport report = inspect_process(home_.pid);
  bool stale = !report.to_lease.empty() ||
               std::any_of(report.reasons.begin(), report.reasons.end(), [](const Reason& reason) {
                 return reason.code == ReasonCode::kSharedFile;
               });
  if (!lease_files(report)) stale = true;
  if (!stale) return;
  log_warn("files", "process {} comes home: a file that it has mapped may have been changed",
           home_.pid);
  want_home_ = true;
  happened();
}

// Ten times a second while away, and once a second with `write_files_back`.
void Mover::look_after_files(bool write_files_back) {
  if (!want_home_ && std::any_of(leases_.begin(), leases_.end(),
                                 [](const FileLease& lease) { return lease.is_wanted(); })) {
    log_info("files", "process {} comes home: somebody writes to a file that it has mapped",
             home_.pid);
    want_home_ = true;
  }
  if (!write_files_back || write_backs_ != 0) return;
  for (const proc::Mapping& map : lazy_shared_) {
    write_backs_++;
    tasks_->add(write_back(map, map.start).attach(kj::defer([this] { write_backs_--; })));
  }
}

// What the body has in a mapping goes into home's, piece by piece, if that is still the same.
kj::Promise<void> Mover::write_back(proc::Mapping map, uint64_t at) {
  KJ_IF_MAYBE (keeper, keeper_) {
    if (at >= map.end) return kj::READY_NOW;
    auto request = keeper->peekRequest();
    request.setAddress(at);
    request.setBytes(static_cast<uint32_t>(std::min(kPeekBytes, map.end - at)));
    return request.send().then(
        [this, map,
         at](capnp::Response<schema::Keeper::PeekResults>&& answer) mutable -> kj::Promise<void> {
          if (!away_ || !home_.target) return kj::READY_NOW;
          const auto data = answer.getData();
          const auto maps = proc::read_maps(proc::memory_tid(home_.pid));
          const proc::Mapping* now = maps ? proc::find_mapping(*maps, at) : nullptr;
          if (data.size() == 0 || data.size() > map.end - at || now == nullptr ||
              !is_same(*now, map))
            return kj::READY_NOW;
          const auto bytes = std::as_bytes(std::span(data.begin(), data.size()));
          std::vector<std::byte> before(bytes.size());
          if (!home_.target->memory.read(at, before)) return kj::READY_NOW;
          if (!std::equal(bytes.begin(), bytes.end(), before.begin()))
            (void)home_.target->memory.write(at, bytes);
          return write_back(std::move(map), at + bytes.size());
        },
        [](kj::Exception&&) {});  // the session: noticed by others
  }
  return kj::READY_NOW;
}

}  // namespace om::deputy
