// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the threads of a body that comes home, as a keeper describes them (deputy/moves/body_threads.h), in the
// layout of a node with AVX. What is let pass has a slot of its own each and a vector state that converts.
//
//   input   number of slots (1 byte), BodyImage message, packed
#include <capnp/serialize-packed.h>
#include <kj/exception.h>

#include <vector>

#include "deputy/moves/body_threads.h"
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

void check(kj::ArrayInputStream& input, uint32_t slots) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 20;
  capnp::PackedMessageReader message(input, options);
  const om::XstateLayout layout = layout_with_avx();
  require(om::validate(layout).ok());
  auto threads = om::deputy::read_threads(message.getRoot<om::wire::BodyImage>(), layout, slots);
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static_cast<void>(kj::runCatchingExceptions([&] {
    kj::ArrayInputStream input(kj::arrayPtr(data + 1, size - 1));
    check(input, data[0]);
  }));
  return 0;
}
