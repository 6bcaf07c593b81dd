// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "common/base/pipe.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"

namespace om::cli {

std::string namespace_name(const std::string& tag, const std::string& node) {
  return fmt::format("om-{}-{}", tag, node);
}

std::string namespace_address(int number) { return fmt::format("10.77.0.{}", number); }

Result<void> run_tool(const std::vector<std::string>& command) {
  Pipe pipe = OM_TRY(Pipe::make());
  UniqueFd read_end = std::move(pipe.read), write_end = std::move(pipe.write);
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Error{error, "run " + command.front()};
  write_end.reset();
  std::string said;
  std::array<char, 1024> buffer;
  for (ssize_t n; (n = ::read(read_end.get(), buffer.data(), buffer.size())) > 0;) {
    said.append(buffer.data(), static_cast<size_t>(n));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  std::string_view rest = said;
  return plain_error(fmt::format("{}: {}", text, rest.empty() ? "failed" : take_line(rest)));
}

Result<void> make_switch(const std::string& name) {
  OM_TRY(run_tool({"ip", "netns", "add", name}));
  OM_TRY(run_tool({"ip", "-n", name, "link", "add", "br0", "type", "bridge", "stp_state", "0"}));
  return run_tool({"ip", "-n", name, "link", "set", "br0", "up"});
}

Result<void> make_node_namespace(const std::string& name, const std::string& switch_namespace,
                                 int number) {
  std::string port = fmt::format("p{}", number);
  OM_TRY(run_tool({"ip", "netns", "add", name}));
  OM_TRY(run_tool({"ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port,
                   "netns", switch_namespace}));
  OM_TRY(run_tool({"ip", "-n", switch_namespace, "link", "set", port, "master", "br0", "up"}));
  OM_TRY(run_tool(
      {"ip", "-n", name, "address", "add", namespace_address(number) + "/24", "dev", "eth0"}));
  OM_TRY(run_tool({"ip", "-n", name, "link", "set", "lo", "up"}));
  return run_tool({"ip", "-n", name, "link", "set", "eth0", "up"});
}

Result<void> remove_namespace(const std::string& name) {
  if (::access(("/run/netns/" + name).c_str(), F_OK) != 0) return {};
  return run_tool({"ip", "netns", "delete", name});
}

}  // namespace om::cli
