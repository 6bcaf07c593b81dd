// SPDX-License-Identifier: Apache-2.0
//
// om where PID: the name of the node where the process runs now, alone on a line.
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int where(int pid, bool json) {
  Answer answer = request({{"verb", "where"}, {"pid", pid}});
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  return print_text(harmless(json_string_or(answer.data, "at", 64, "?").value_or("?")) + "\n");
}

}  // namespace om::cli
