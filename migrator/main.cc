// SPDX-License-Identifier: Apache-2.0
//
// om-migrator: parses its arguments, builds the Node, reports that it is ready, runs. Exit status 0 after SIGTERM or
// SIGINT, 1 if something could not be opened, 2 for a wrong command line.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/open_files.h"
#include "common/base/replace_file.h"
#include "common/base/version.h"
#include "common/net/json_line.h"
#include "migrator/config/keys.h"
#include "migrator/node.h"

#include <nlohmann/json.hpp>

namespace om::migrator {
namespace {

Result<void> announce(const Options& options, const Node& node) {
  std::string line = to_json_line(node.ready_line());
  if (options.ready_fd >= 0) {
    UniqueFd fd(options.ready_fd);
    if (::write(fd.get(), line.data(), line.size()) < 0) return errno_error("write to --ready-fd");
  }
  if (!options.ready_file.empty()) {
    OM_TRY(replace_file(options.ready_file, line, 0644));
  }
  return {};
}

int run(const std::vector<std::string>& arguments) {
  log_init("om-migrator");
  auto options = parse_options(arguments);
  if (!options) {
    ::fprintf(stderr, "om-migrator: %s\n", options.error().text().c_str());
    return 2;
  }
  if (options->help) {
    ::fputs(usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    ::printf("om-migrator %s\n", build_version());
    return 0;
  }
  log_init("om-migrator[" + options->name + "]");
  // When a peer, a client or a log reader goes away, we want an errno and not to be killed.
  ::signal(SIGPIPE, SIG_IGN);
  raise_open_files();
  auto node = Node::create(*options);
  if (!node) {
    log_error("main", "{}", node.error().text());
    return 1;
  }
  auto announced = announce(*options, **node);
  if (!announced) {
    log_error("main", "{}", announced.error().text());
    return 1;
  }
  log_info("main", "ready: {}", to_json_text((*node)->ready_line()));
  (*node)->run();
  log_info("main", "ending; what is away now stays away");
  return 0;
}

}  // namespace
}  // namespace om::migrator

int main(int argc, char** argv) {
  return om::migrator::run(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
}
