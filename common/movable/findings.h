// SPDX-License-Identifier: Apache-2.0
//
// Collects what preflight (preflight.cc, sharing.cc) finds.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/movable/preflight.h"
#include "common/movable/reasons.h"

namespace om {

// Findings by code; several details of one code become one reason.
class Findings {
 public:
  void add(ReasonCode code, std::string detail = {}) {
    std::vector<std::string>& details = details_[code];
    if (!detail.empty() && std::find(details.begin(), details.end(), detail) == details.end()) {
      details.push_back(std::move(detail));
    }
  }
  bool has(ReasonCode code) const { return details_.count(code) != 0; }

  std::vector<Reason> reasons() const {
    constexpr size_t kShown = 3;
    std::vector<Reason> out;
    for (const auto& [code, details] : details_) {
      std::string text;
      for (size_t i = 0; i < details.size() && i < kShown; ++i)
        text += (i == 0 ? "" : ", ") + details[i];
      if (details.size() > kShown)
        text += " and " + std::to_string(details.size() - kShown) + " more";
      out.push_back(Reason{code, std::move(text)});
    }
    std::stable_partition(out.begin(), out.end(), [](const Reason& reason) {
      return reason.code != ReasonCode::kNotPreloaded;
    });
    return out;
  }

 private:
  std::map<ReasonCode, std::vector<std::string>> details_;
};

// The name of a mapping in a reason's detail.
std::string name_of(const proc::Mapping& map);
// Whether it is a memory object of /dev/shm whose name has been removed: as good as a memfd, unless it has another
// name.
bool is_nameless_shm(const proc::Mapping& map);

// sharing.cc: what the process shares, or might share, with others. `pid` is a thread that has memory. Looks at every
// process.
void check_sharing(pid_t pid, const ProcessView& view, Findings& found, ProcessReport& report);

}  // namespace om
