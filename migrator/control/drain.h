// SPDX-License-Identifier: Apache-2.0
//
// Emptying this node: its own processes come home, guests go home through their homes, and until that ends nobody comes
// and nobody leaves. For the verbs node.drain and cluster.leave, and for an end with on_stop = "drain".
//
// Guests that do not go (their home is down, say) stay; a home that has been asked tries again by itself.
#pragma once

#include <functional>

#include "migrator/control/services.h"

namespace om::migrator {

class Drain {
 public:
  static constexpr Milliseconds kUsualLimit{60'000};

  explicit Drain(const Services& services) : services_(services), timer_(services.loop) {}

  // Calls `done` once, some time after `limit` at the latest, with {"home": own processes that came, "failed": [{"pid",
  // "code", "message"}], "guests": how many are left}. The node stays closed until reopen(). Preconditions: none is
  // under way. `asked_by`: another node, or empty.
  void begin(Milliseconds limit, std::function<void(Json)> done, const std::string& asked_by = "");
  bool under_way() const { return done_ != nullptr; }
  // Guests and departures are welcome again. A drain that is under way ends with what it has.
  void reopen();
  bool closed() const { return services_.admission.draining(); }

 private:
  void look();
  void conclude();

  const Services& services_;
  Timer timer_;
  MonotonicTime deadline_{};
  MonotonicTime asked_{};  // when guests were last asked to go
  Json own_;               // what became of own processes; null: not known yet
  std::function<void(Json)> done_;
  uint64_t number_ = 0;  // of the current drain
};

// Whether it has left nothing behind: from its outcome.
inline bool is_empty(const Json& drained) {
  return drained["failed"].empty() && drained["guests"] == 0;
}

}  // namespace om::migrator
