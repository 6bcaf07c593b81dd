// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: files of om-sim (sim/trace.h). What is accepted is within its ranges and written so that it is read
// again.
#include "sim/trace.h"

#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::fuzz::require;
  const auto scenario = om::sim::parse_trace(om::fuzz::text_of(data, size));
  if (!scenario) return 0;
  for (const om::sim::NodeSpec& node : scenario->nodes)
    require(node.machine.cores >= 1 && node.machine.threads >= node.machine.cores &&
            node.machine.speed > 0);
  double last = 0;
  for (const om::sim::JobSpec& job : scenario->jobs) {
    require(job.home < scenario->nodes.size() && job.work_s > 0 && job.arrives_s >= last);
    last = job.arrives_s;
  }
  const std::string text = om::sim::trace_text(*scenario);
  const auto again = om::sim::parse_trace(text);
  require(again.ok() && om::sim::trace_text(*again) == text);
  return 0;
}
