// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/job_control.h"

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include <fmt/format.h>

#include "common/proc/status.h"

namespace om::deputy {

bool JobControl::stands_still() {
  if (!stat_.valid()) {
    const std::string path = fmt::format("/proc/{}/task/{}/stat", pid_, pid_);
    stat_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  char buffer[512];
  const ssize_t n = stat_.valid() ? ::pread(stat_.get(), buffer, sizeof buffer, 0) : -1;
  if (n <= 0) return false;
  // "PID (NAME) STATE ...", and the name may have anything in it.
  const std::string_view text(buffer, static_cast<size_t>(n));
  const size_t name_end = text.rfind(')');
  if (name_end == text.npos || name_end + 2 >= text.size()) return false;
  const char state = text[name_end + 2];
  if (state == 'T') return true;
  if (state != 't') return false;
  const auto status = proc::read_status(pid_);
  return status && status->state == 't' && status->tracer_pid != ::getpid();
}

}  // namespace om::deputy
