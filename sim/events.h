// SPDX-License-Identifier: Apache-2.0
//
// What is going to happen in a simulated cluster, in its order: by time, at the same time as it was put in.
#pragma once

#include <stdint.h>

#include <queue>
#include <vector>

namespace om::sim {

enum class Happens : uint8_t {
  kArrive,    // job
  kEnd,       // node, version of its plan
  kSample,    // node: load is looked at, and told if due
  kDatagram,  // node, place of the datagram
  kDecide,    // node
  kSecond,    // node: MOSIX's step
  kRelieve,   // job, node that it was to go to: its home is asked to move it
  kAsk,       // place of the question
  kAnswer,    // place of the question, what the target said
  kCome,      // job: the end of its move
  kJoin,
  kDie,
  kDrain,
  kNotice,  // node: everybody knows that it is dead
};

struct Event {
  double when_s = 0;
  uint64_t order = 0;
  Happens what{};
  uint32_t a = 0;
  uint64_t b = 0;
};

class Events {
 public:
  void add(double when_s, Happens what, uint32_t a, uint64_t b = 0) {
    queue_.push({when_s, ++order_, what, a, b});
  }
  bool empty() const { return queue_.empty(); }
  Event take() {
    const Event event = queue_.top();
    queue_.pop();
    return event;
  }

 private:
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.when_s != b.when_s ? a.when_s > b.when_s : a.order > b.order;
    }
  };

  uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
};

}  // namespace om::sim
