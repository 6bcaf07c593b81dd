// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: a returning body as a keeper describes it (common/image/description.h), and its threads
// (deputy/moves/body_threads.h) in the layout of a node with AVX. What is accepted obeys the rules and is the same when
// written again; each thread has its own slot and a vector state that converts.
//
//   input   number of slots (1 byte), Image message, packed
#include <capnp/message.h>
#include <capnp/serialize-packed.h>
#include <kj/exception.h>

#include <vector>

#include "common/image/description.h"
#include "deputy/moves/body_threads.h"
#include "libom/abi/layout.h"
#include "libom/abi/thread.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

namespace {

om::XstateLayout layout_with_avx() {
  om::XstateLayout layout;
  layout.size = 832;
  layout.mxcsr_mask = 0xffff;
  layout.xcr0 = 7;
  layout.comp[2] = {576, 256};
  return layout;
}

void check_rules(const om::Description& d) {
  for (const auto& m : d.mappings) {
    require(m.lo % om::kPageSize == 0 && m.hi % om::kPageSize == 0 && m.lo < m.hi);
    require(m.hi <= om::kProgramTop);
    if (m.kind != om::Description::MappingKind::VIEW) continue;
    require(m.object < d.objects.size());
    const auto& o = d.objects[m.object];
    require(d.view_of(m) >= o.view && d.view_of(m) - o.view < o.bytes);
  }
  for (const auto& m : d.marks) require(m.lo < m.hi && m.hi <= om::kProgramTop);
  require(om::validate(d.xstate).ok());
  require(om::is_time(d.clocks.mono_ns) && om::is_time(d.clocks.real_ns));
}

void check_again(const om::Description& d) {
  capnp::MallocMessageBuilder message;
  auto image = message.initRoot<om::wire::Image>();
  om::write_description(d, image);
  auto again = om::read_description(image.asReader());
  require(again.ok());
  require(again->mappings.size() == d.mappings.size() && again->marks.size() == d.marks.size());
  require(again->threads.size() == d.threads.size() && again->process.ids == d.process.ids);
}

void check_threads(const om::Description& d, uint32_t slots) {
  const om::XstateLayout layout = layout_with_avx();
  require(om::validate(layout).ok());
  auto threads = om::deputy::read_threads(d, layout, slots);
  if (!threads) return;
  std::vector<bool> seen(slots, false);
  require(threads->states.size() == threads->xsaves.size());
  for (size_t i = 0; i < threads->states.size(); ++i) {
    const om::ThreadState& s = threads->states[i];
    require(s.slot < slots && !seen[s.slot]);
    seen[s.slot] = true;
    require(om::validate(layout, threads->xsaves[i]).ok());
  }
}

void check(kj::ArrayInputStream& input, uint32_t slots) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 20;
  capnp::PackedMessageReader message(input, options);
  const auto description = om::read_description(message.getRoot<om::wire::Image>());
  if (!description) return;
  check_rules(*description);
  check_again(*description);
  check_threads(*description, slots);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static_cast<void>(kj::runCatchingExceptions([&] {
    kj::ArrayInputStream input(kj::arrayPtr(data + 1, size - 1));
    check(input, data[0]);
  }));
  return 0;
}
