// SPDX-License-Identifier: Apache-2.0
//
// A program that om starts and talks to by lines: ssh(1), srun(1) or another launcher, with a shell at its far end.
// What comes from there is bounded: lines of at most kMaxSpawnedLine bytes, and the end of what it writes to stderr.
//
// It has a session of its own, so that signals of the terminal do not reach it: it ends when its input ends. May be
// used from several threads, each with objects of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/net/json_line.h"

namespace om::cli {

constexpr size_t kMaxSpawnedLine = 4096;

class Spawned {
 public:
  Spawned() = default;
  // Kills and reaps it if finish() was not called.
  ~Spawned();
  Spawned(Spawned&& other) noexcept { *this = std::move(other); }
  Spawned& operator=(Spawned&& other) noexcept;

  // `command`: searched in PATH. `stop`: -1, or a descriptor that becomes readable when everything that waits here is
  // to give up; it must outlive this. Errors: those of starting it.
  static Result<Spawned> start(const std::vector<std::string>& command, int stop);

  // Errors: it has ended, takes nothing for `stall`, or `stop`.
  Result<void> send(std::string_view bytes, Milliseconds stall);
  // The next line without its end. Errors: it has ended (with the last line of its stderr), the line is too long,
  // nothing within `limit`, or `stop`.
  Result<std::string> line(Milliseconds limit);
  // Reads what is there, without waiting. False once its output has ended.
  bool look();
  int output() const { return out_.get(); }

  // Waits until its output has ended, passing lines over but the last one, which is returned; kills it after `limit`,
  // and reaps it. `stop` does not count any more.
  std::string finish(Milliseconds limit);
  // What it said last on stderr, or how it ended.
  std::string last_words();
  bool running() const { return pid_ > 0; }

 private:
  enum class Wait { kReady, kTimeout, kStopped };
  Wait wait(bool to_send, Milliseconds limit);
  void read_errors();
  void end();

  pid_t pid_ = 0;  // 0: none, or reaped
  int status_ = 0;
  int stop_ = -1;
  bool ended_ = false;  // its output
  UniqueFd in_, out_, err_;
  LineSplitter lines_{kMaxSpawnedLine};
  std::string errors_;  // the end of its stderr
};

// What `command` writes to stdout, at most 1 MiB. Errors: it cannot be started, ends with another status than 0 (with
// the last line of its stderr) or not within `limit`.
Result<std::string> output_of(const std::vector<std::string>& command, Milliseconds limit,
                              const std::vector<std::string>& more_environment = {});

}  // namespace om::cli
