// SPDX-License-Identifier: Apache-2.0
//
// om debug WHAT [PID]: aids for tests, hidden from the help. With a PID, sends WHAT to the deputy of that process
// ("cut": cut its connections); without one, WHAT is a verb of the daemon ("peers.reload", "recall").
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int debug(const DebugArguments& arguments) {
  Json query{{"verb", arguments.pid == 0 ? arguments.what : "debug"}};
  if (arguments.pid != 0) {
    query["pid"] = arguments.pid;
    query["what"] = arguments.what;
  }
  Answer answer = request(query, Milliseconds(90000));
  if (!answer.ok) return report(answer.failure);
  return print_json(answer.data);
}

}  // namespace om::cli
