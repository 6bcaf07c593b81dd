// SPDX-License-Identifier: Apache-2.0
//
// Nodes and jobs in a file, one a line, in any order; "#" begins a comment. After the name or time come pairs of a word
// and a value, all optional but `work`:
//
//   network delay 0.0002 loss 0.01 call 0.0001 fixed 0.03 rate 110000000
//   node n1 cores 4 threads 8 speed 1 memory 16384 class 1 joins 0 dies 100 leaves 200 lies 1
//   job 0.5 n1 work 20 threads 1 memory 60 calls 0
//   counted 120
//
// Times and work in seconds, memory in MiB, rate in bytes per second, calls per CPU second. Numbers have no
// exponent, and at most six digits after the point are written.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "sim/scenario.h"

namespace om::sim {

constexpr size_t kMaxTraceNodes = 20000;
constexpr size_t kMaxTraceJobs = 10000000;

// An Error with the number of the line for anything else, numbers out of their range, a job of an unknown node.
Result<Scenario> parse_trace(std::string_view text);
Result<Scenario> read_trace(const std::string& path);
std::string trace_text(const Scenario& scenario);
Result<void> write_trace(const Scenario& scenario, const std::string& path);

}  // namespace om::sim
