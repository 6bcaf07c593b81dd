// SPDX-License-Identifier: Apache-2.0
#include "cli/run_site.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/glibc.h"
#include "cli/output.h"
#include "cli/run_end.h"
#include "common/base/text.h"

namespace om::cli {
namespace {

constexpr Milliseconds kAnswerLimit{30'000};  // of a shell, from the connection on
constexpr Milliseconds kStallLimit{60'000};   // while programs are copied
constexpr Milliseconds kJoinLimit{60'000};

bool are_installed(const Programs& programs, const HostFacts& facts) {
  return std::all_of(programs.files.begin(), programs.files.end(), [&](const ProgramFile& file) {
    const auto found = facts.installed.find(file.name);
    return !file.own || (found != facts.installed.end() && found->second == file.hash);
  });
}

// Of a line of the script, or of om cluster run-node.
Result<Json> parse_answer_line(const std::string& line) {
  constexpr std::string_view kFail = "fail ";
  if (line.starts_with(kFail)) return plain_error(harmless(line.substr(kFail.size(), 300)));
  const auto value = parse_json_line(line);
  if (!value) return plain_error("it answers something else: " + harmless(line.substr(0, 80)));
  if (value->contains("error"))
    return plain_error(harmless(OM_TRY(json_string(*value, "error", kMaxSpawnedLine))));
  return *value;
}

}  // namespace

Result<void> RunSite::prepare(const Programs& programs, int stop) {
  channel_ = OM_TRY(Spawned::start(host_.command, stop));
  const MonotonicTime deadline = std::chrono::steady_clock::now() + kAnswerLimit;
  // A failed write means that it has ended; its last words say why.
  const auto sent = channel_.send(host_script(), kAnswerLimit);
  if (!sent && sent.error().err == EINTR) return sent.error();
  for (size_t lines = 0; !facts_.ready; ++lines) {
    if (lines == kMaxFactLines) return plain_error("it prints too much");
    OM_TRY(take_fact(facts_, OM_TRY(channel_.line(left_until(deadline)))));
  }
  const std::string arch = own_facts().arch;
  if (facts_.arch != arch)
    return plain_error(fmt::format("its architecture is {}, not {}", facts_.arch, arch));
  if (are_installed(programs, facts_)) return {};
  if (facts_.glibc < programs.glibc) {
    return plain_error(fmt::format("its C library is {}; glibc {} or later is needed",
                                   facts_.libc.empty() ? "no glibc" : facts_.libc,
                                   glibc_text(programs.glibc)));
  }
  return copy(programs);
}

Result<void> RunSite::copy(const Programs& programs) {
  const auto send_all = [&]() -> Result<void> {
    for (const ProgramFile& file : programs.files) {
      OM_TRY(channel_.send(
          fmt::format("put {} {}/{} {} {}\n", file.own ? 755 : 644, file.own ? "bin" : "lib",
                      file.name, file.bytes.size(), file.hash),
          kStallLimit));
      OM_TRY(channel_.send(file.bytes, kStallLimit));
    }
    return channel_.send("sync\n", kStallLimit);
  };
  copied_ = true;
  const Result<void> sent = send_all();
  // If it takes no more, it says why.
  if (!sent && sent.error().err != EPIPE) return sent.error();
  const std::string line = OM_TRY(channel_.line(kStallLimit));
  if (line == "ready") return {};
  OM_TRY(parse_answer_line(line));
  return plain_error("it answers something else");
}

Result<void> RunSite::find_place() {
  static const HostFacts s_own = own_facts();
  place_.here = !facts_.boot.empty() && facts_.boot == s_own.boot && facts_.net == s_own.net;
  if (place_.here) return {};
  const std::string name = host_.name.substr(host_.name.rfind('@') + 1);
  place_.address = OM_TRY(facts_.own_address.empty() ? Address::look_up(name)
                                                     : Address::parse(facts_.own_address));
  return {};
}

Result<void> RunSite::join(const Membership& membership) {
  const Json config{{"name", host_.node},
                    {"listen", membership.listen},
                    {"token", membership.token},
                    {"home", membership.home},
                    {"home_node", membership.home_node}};
  const auto sent =
      channel_.send((copied_ ? "copied\n" : "installed\n") + to_json_line(config), kAnswerLimit);
  if (!sent && sent.error().err != EPIPE) return sent.error();
  const Json answer = OM_TRY(parse_answer_line(OM_TRY(channel_.line(kJoinLimit))));
  if (!OM_TRY(json_bool(answer, "ready"))) return plain_error("it is not ready");
  address_ = OM_TRY(Address::parse(OM_TRY(json_string(answer, "address", 64)))).text();
  return {};
}

Result<void> RunSite::end() {
  if (!channel_.running()) return {};
  const std::string last = channel_.finish(kRunEndLimit);
  const auto answer = parse_answer_line(last);
  if (answer && json_bool_or(*answer, "gone", false).value_or(false)) return {};
  return answer ? plain_error("it has not said that it has ended")
                : (last.empty() ? plain_error(channel_.last_words()) : answer.error());
}

std::string RunSite::last_words() {
  const std::string last = channel_.finish(kRunEndLimit);
  const auto answer = parse_answer_line(last);
  return answer || last.empty() ? channel_.last_words() : answer.error().text();
}

}  // namespace om::cli
