// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/restore.h"

#include <sys/mman.h>

#include <algorithm>

#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/memory/drops.h"
#include "libom/abi/body.h"
#include "libom/abi/home.h"
#include "libom/abi/memory.h"

namespace om::deputy {
namespace {

// Whether the body may have written in [lo, hi).
bool has_touched(const Description& body, uint64_t lo, uint64_t hi) {
  if (body.marks.size() > kMaxTouched) return true;  // more than any body records
  return std::any_of(body.marks.begin(), body.marks.end(), [&](const Description::Mark& m) {
    return m.kind == MarkKind::WRITTEN && m.lo < hi && m.hi > lo;
  });
}

}  // namespace

Step Restore::plan(const Description& body) {
  home_.state = OM_MUST(home_.target->home());
  if (home_.state.mirror_failed != 0 &&
      OM_TRY(home_.run_remote(stop_, thread_, stack_, kRemoteMirror, 0)) != 0) {
    return refuse(ReasonCode::kHomeMemory, "{} changes of the address space failed at home",
                  home_.state.mirror_failed);
  }
  OM_MUST_VOID(home_.target->reread_maps());
  home_.state = OM_MUST(home_.target->home());
  AddressSpace space;
  OM_TRY(space.describe(home_));
  for (const Region& r : space.regions()) OM_TRY(add_region(r, body));
  OM_TRY(objects_.open());
  for (uint64_t i = 0; i < home_.state.object_count; i++) {
    const MemoryObject& o = home_.state.objects[i];
    asked_.push_back({o.view, o.view + page_up(o.bytes), true});
  }
  auto ascending = [](const auto& a, const auto& b) { return a.lo < b.lo; };
  std::sort(asked_.begin(), asked_.end(), ascending);
  std::sort(drops_.begin(), drops_.end(), ascending);
  return Done{};
}

// Adds what the body may have changed, and with it everything that must not show old contents.
Step Restore::add_region(const Region& r, const Description& body) {
  if (r.kind == MappingKind::RESERVE || r.kind == MappingKind::VIEW) return Done{};
  if (r.kind == MappingKind::STACK)
    return plan_stack(r, body.stack() != nullptr ? body.stack()->lo : r.hi);
  if (r.beyond_file) return Done{};
  const bool writable = (r.prot & PROT_WRITE) != 0;
  if (r.file && !writable && !has_touched(body, r.lo, r.hi)) return Done{};
  if (r.shared && !writable) return Done{};
  asked_.push_back({r.lo, r.hi, r.file || r.shared});
  if (!r.shared) drops_.push_back({r.lo, r.hi});
  return Done{};
}

// What the body sends overwrites arguments and environment, like all of the stack's pages.
Step Restore::plan_stack(const Region& r, uint64_t lowest) {
  stack_hi_ = r.hi;
  stack_lo_ = std::min(stack_start(*home_.target, r.hi), lowest);
  if (stack_lo_ < r.lo)
    return refuse(ReasonCode::kHomeMemory, "its stack is larger than it may be");
  asked_.push_back({stack_lo_, r.hi, false});
  const auto stat = OM_MUST(proc::read_stat(proc::memory_tid(home_.pid)));
  const uint64_t end = std::max(stack_lo_, stat.startstack & ~(kPageSize - 1));
  if (stack_lo_ < end) drops_.push_back({stack_lo_, end});
  return Done{};
}

Step Restore::drop() {
  if (stack_lo_ != 0 && stack_lo_ < stack_start(*home_.target, stack_hi_) &&
      OM_TRY(home_.run_remote(stop_, thread_, stack_, kRemoteTouch, stack_lo_)) != 0)
    return refuse(ReasonCode::kHomeMemory, "its stack cannot grow");
  OM_TRY(fault("return.drop"));
  // All of it, as much at a time as libom has room for.
  const auto all = std::span<const Range>(drops_);
  for (size_t at = 0; at < all.size(); at += kMaxDrops)
    OM_TRY(drop(all.subspan(at, std::min(kMaxDrops, all.size() - at))));
  return Done{};
}

Step Restore::drop(std::span<const Range> some) {
  OM_MUST_VOID(home_.target->memory.write(home_.arena + kControlPlan, std::as_bytes(some)));
  home_.state.drop_count = some.size();
  home_.state.dropped = 0;
  OM_MUST_VOID(
      home_.target->put_home_field(offsetof(HomeState, drop_count), home_.state.drop_count));
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, dropped), home_.state.dropped));
  const uint64_t none = 0;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, drop_failed), none));
  OM_TRY(home_.run_remote(stop_, thread_, stack_, kRemoteDrop, 1));
  // Pages that still have old contents would show where the body has zeros.
  const HomeState after = OM_MUST(home_.target->home());
  if (after.drop_failed != 0 || after.dropped != 2)
    return refuse(ReasonCode::kHomeMemory, "memory cannot be given back");
  return Done{};
}

Step Restore::receive(PageSource& pages, const Wait& wait) {
  for (;;) {
    const auto next = wait(pages.next());
    OM_TRY(fault("return.page"));
    if (!next) return next.error();
    if (!*next) return Done{};
    OM_TRY(put(**next));
  }
}

Step Restore::put(const PageSource::Frame& frame) {
  return frame.contents.empty() ? store_zeros(frame.address, frame.bytes)
                                : store(frame.address, frame.contents);
}

// Zeros in place of what the file has. Beyond its end there is nothing to write to.
Step Restore::store_zeros(uint64_t address, size_t bytes) {
  const std::vector<std::byte> zeros(bytes);
  if (objects_.contains(address)) return objects_.store(address, zeros, true);
  for (size_t at = 0; at < bytes; at += kPageSize)
    (void)home_.target->memory.write(address + at, std::span(zeros).first(kPageSize));
  return Done{};
}

Step Restore::store(uint64_t address, std::span<const std::byte> bytes) {
  if (objects_.contains(address)) return objects_.store(address, bytes, false);
  const auto put = home_.target->memory.write(address, bytes);
  if (put) return Done{};
  const bool file = std::any_of(asked_.begin(), asked_.end(), [&](const auto& p) {
    return p.zeros && p.lo <= address && address < p.hi;
  });
  if (!file) return refuse(ReasonCode::kHomeMemory, "{}", put.error().text());
  // The file may have become shorter meanwhile: pages beyond its end are gone at home, as they would be natively.
  for (uint64_t at = 0; at < bytes.size(); at += kPageSize) {
    const auto page = bytes.subspan(at, std::min<uint64_t>(kPageSize, bytes.size() - at));
    std::byte there;
    if (!home_.target->memory.read(address + at, std::span(&there, 1))) continue;
    if (auto one = home_.target->memory.write(address + at, page); !one)
      return refuse(ReasonCode::kHomeMemory, "{}", one.error().text());
  }
  return Done{};
}

}  // namespace om::deputy
