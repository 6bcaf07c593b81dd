// SPDX-License-Identifier: Apache-2.0
//
// om cluster ca export and import: the cluster's CA as a file under a passphrase, as a backup and to make another
// machine one that may sign. The file is read and written here, with the rights of the user, the daemon gets its text.
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/verbs.h"
#include "common/base/own_directory.h"
#include "common/base/replace_file.h"
#include "common/base/unique_fd.h"

namespace om::cli {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr size_t kMaxFile = 32 << 10;
constexpr Milliseconds kPatience{30000};

int failure(const std::string& text) {
  complain(text);
  return static_cast<int>(ExitCode::kFailure);
}

// A file that is not there yet, or nothing.
Result<void> write_new(const std::string& path, const std::string& text) {
  const auto [directory, name] = split_path(path);
  const UniqueFd at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at) return errno_error("open " + directory);
  auto done = create_file_at(at.get(), name, text, kPrivate);
  if (!done) return Error{done.error().err, "write " + path};
  return {};
}

Result<std::string> read_small(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return errno_error("open " + path);
  std::string text;
  for (char buffer[4096];;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("read " + path);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kMaxFile) return plain_error(path + " is no exported CA");
  }
}

}  // namespace

int cluster_ca_export(const MembershipArguments& arguments) {
  const auto passphrase = read_secret("new passphrase for " + arguments.file, true);
  if (!passphrase) return failure("passphrase: " + passphrase.error().text());
  const Answer answer =
      request({{"verb", "cluster.ca_export"}, {"passphrase", *passphrase}}, kPatience);
  if (!answer.ok) return report(answer.failure);
  const auto text = json_string(answer.data, "text", kMaxFile);
  if (!text) return failure(text.error().text());
  const auto written = write_new(arguments.file, *text);
  if (!written) return failure(written.error().text());
  if (arguments.json)
    return print_json({{"file", arguments.file},
                       {"cluster", json_string_or(answer.data, "cluster", 256, "").value_or("")}});
  return 0;
}

int cluster_ca_import(const MembershipArguments& arguments) {
  const auto text = read_small(arguments.file);
  if (!text) return failure(text.error().text());
  const auto passphrase = read_secret("passphrase of " + arguments.file, false);
  if (!passphrase) return failure("passphrase: " + passphrase.error().text());
  const Answer answer = request(
      {{"verb", "cluster.ca_import"}, {"text", *text}, {"passphrase", *passphrase}}, kPatience);
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format("{} may now sign for the cluster {}.\n",
                                text_of(answer.data, "node"), text_of(answer.data, "cluster")));
}

}  // namespace om::cli
