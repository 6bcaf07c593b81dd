// SPDX-License-Identifier: Apache-2.0
#include "common/base/open_files.h"

#include <errno.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/base/result.h"

namespace om {

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log_warn("main", "{}, ignoring", errno_error("raise the limit of open files").text());
}

bool out_of_files(int err) { return err == EMFILE || err == ENFILE; }

}  // namespace om
