// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/body_threads.h"

#include "libom/abi/thread.h"

#include <string.h>

namespace om::deputy {
namespace {

constexpr uint64_t kUserEnd = (uint64_t{1} << 47) - kPageSize;

}  // namespace

Verdict<ReturningThreads> read_threads(wire::BodyImage::Reader body, const XstateLayout& layout,
                                       uint32_t slots) {
  ReturningThreads out;
  std::vector<bool> seen(slots, false);
  for (auto t : body.getThreads()) {
    if (t.getState().size() != sizeof(ThreadState))
      return refuse(ReasonCode::kInternal, "the keeper's answer is malformed");
    ThreadState s{};
    memcpy(&s, t.getState().begin(), sizeof s);
    if (s.slot >= slots || seen[s.slot])
      return refuse(ReasonCode::kInternal, "the keeper's answer is malformed");
    seen[s.slot] = true;
    // What the kernel does not take from a tracer.
    if ((s.kind != kThreadUser && s.kind != kThreadWaiting) || s.kernel.fs_base >= kUserEnd)
      return refuse(ReasonCode::kInternal, "the state of thread slot {} makes no sense", s.slot);
    const auto x = t.getXsave().asBytes();
    std::vector<std::byte> checked(layout.size);
    OM_MUST_VOID(convert(layout, std::as_bytes(std::span(x.begin(), x.size())), layout, checked));
    out.states.push_back(s);
    out.xsaves.push_back(std::move(checked));
  }
  return out;
}

}  // namespace om::deputy
