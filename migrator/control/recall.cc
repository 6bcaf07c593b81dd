// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/recall.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "balance/decide.h"

namespace om::migrator {

void recall_all(const Services& services, Milliseconds limit, std::function<void(Json)> done) {
  recall(
      services, limit, [](const ProcessId&) { return true; }, std::move(done));
}

void recall(const Services& services, Milliseconds limit,
            const std::function<bool(const ProcessId&)>& wanted, std::function<void(Json)> done) {
  struct Tally {
    size_t open = 1;  // one for this function
    size_t home = 0;
    Json failed = Json::array();
    std::function<void(Json)> done;
    void count() {
      if (--open == 0) done({{"home", home}, {"failed", failed}});
    }
  };
  auto tally = std::make_shared<Tally>();
  tally->done = std::move(done);
  for (const balance::Action& action : balance::recall_all(services.snapshot())) {
    if (!wanted(action.process)) continue;
    ++tally->open;
    services.moves.request(
        action.process, action.to, limit, [tally, pid = action.process.pid](Json result) {
          if (result["ok"] == true) {
            ++tally->home;
          } else {
            tally->failed.push_back(
                {{"pid", pid}, {"code", result["code"]}, {"message", result["message"]}});
          }
          tally->count();
        });
  }
  tally->count();
}

}  // namespace om::migrator
