// SPDX-License-Identifier: Apache-2.0
//
// POST requests by libcurl on the daemon's loop, for etcd's gateway. Sizes and times are bounded. Certificates of https
// servers are checked. Loop thread only.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/uv/loop.h"

namespace om::etcd {

class Http {
 public:
  struct Settings {
    std::string ca{}, certificate{}, key{};  // files in PEM; empty: the system's CAs, none
    size_t most_bytes = 4 << 20;             // of an answer, and of a line of a stream
    Milliseconds connect{2000};
  };
  struct Post {
    std::string url;
    std::string token;  // of the header Authorization; empty: none
    std::string body;
    Milliseconds limit{0};  // 0: none
    // If it is set, it gets each line of an answer with status 200, and the answer's body is empty.
    std::function<void(std::string_view line)> on_line{};
  };
  struct Answer {
    long status = 0;
    std::string body;
  };
  // The answer, or why there is none. Called once, from the loop, unless it was dropped before.
  using Done = std::function<void(Result<Answer>)>;

  // Whether libcurl is there.
  static Result<void> available();
  // Errors: those of available(), no memory.
  static Result<std::unique_ptr<Http>> make(Loop& loop, Settings settings);
  ~Http();

  // Both callbacks may drop posts, also their own, and make new ones; they may not destroy this object.
  uint64_t post(Post post, Done done);
  // Its callbacks are not called any more. One that has ended is no error.
  void drop(uint64_t number);

 private:
  struct Transfers;
  explicit Http(std::unique_ptr<Transfers> transfers);

  std::unique_ptr<Transfers> transfers_;
};

}  // namespace om::etcd
