// SPDX-License-Identifier: Apache-2.0
//
// common/movable/reasons.h: the table is complete and well-formed, and docs/REASONS.md matches its output. After a
// change of the table: run this program with OM_UPDATE_DOCS=1 (and OM_SOURCE_ROOT, if it is not started from the build
// directory by the build system).
#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "common/movable/reasons.h"

namespace om {
namespace {

// From the environment, else from this file's name, up to the folder it is in.
std::string source_root() {
  const char* given = getenv("OM_SOURCE_ROOT");
  if (given != nullptr) return given;
  std::string here = __FILE__;
  size_t cut = here.rfind("test/unit/common/");
  return cut == 0 ? "." : here.substr(0, cut);
}

TEST_CASE("the codes that the design and the daemons use exist, and no others") {
  std::set<std::string> names;
  for (const ReasonInfo& info : reason_table()) names.emplace(info.name);
  CHECK(names == std::set<std::string>{"STATIC_BINARY",
                                       "STARTING",
                                       "SHARED_WRITABLE",
                                       "SHARED_FILE",
                                       "DEVICE_MAPPED",
                                       "IO_URING",
                                       "AIO",
                                       "TRACED",
                                       "SECCOMP",
                                       "SETUID",
                                       "NOT_DUMPABLE",
                                       "SHARED_MM",
                                       "FD_TABLE",
                                       "STOPPED",
                                       "UNINTERRUPTIBLE",
                                       "PKEYS",
                                       "GS_BASE",
                                       "IN_CALL",
                                       "CPU_TIMER",
                                       "OWN_TRAPS",
                                       "CET",
                                       "HUGETLB",
                                       "UFFD",
                                       "FD_LIMIT",
                                       "CPU_FEATURE",
                                       "CPU_COUNT",
                                       "SANITIZER",
                                       "BLOCKED",
                                       "FULL",
                                       "NO_MEMORY",
                                       "HOME_MEMORY",
                                       "VERSION",
                                       "NOT_PRELOADED",
                                       "NO_SUCH_PROCESS",
                                       "PERMISSION",
                                       "ROOT_OWNED",
                                       "ALREADY_THERE",
                                       "TARGET_UNREACHABLE",
                                       "OUT_OF_REACH",
                                       "INTERNAL",
                                       "TIMEOUT",
                                       "NODE_LOST",
                                       "DEPUTY_LOST",
                                       "CAME_HOME",
                                       "KEEPER_FAILED",
                                       "NO_DAEMON",
                                       "NO_SUCH_NODE",
                                       "OTHER_NODE",
                                       "GUEST",
                                       "NO_DEPUTY",
                                       "NOT_ATTACHED",
                                       "BAD_PEERS",
                                       "BAD_REQUEST",
                                       "TOO_MANY_REQUESTS",
                                       "NOT_A_MEMBER",
                                       "ALREADY_MEMBER",
                                       "BAD_TOKEN",
                                       "NAME_TAKEN",
                                       "DENIED",
                                       "NO_SIGNER",
                                       "NO_MEMBER",
                                       "REMOTE_CONTROL"});
}

TEST_CASE("every row is one sentence with a remedy, and its code leads back to it") {
  std::set<std::string_view> names, sentences;
  for (const ReasonInfo& info : reason_table()) {
    CAPTURE(info.name);
    CHECK(names.insert(info.name).second);
    CHECK(sentences.insert(info.sentence).second);
    CHECK(std::all_of(info.name.begin(), info.name.end(),
                      [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; }));
    CHECK(info.sentence.size() > 10);
    CHECK(info.sentence.back() == '.');
    CHECK(info.sentence.find(". ") == std::string_view::npos);
    CHECK(info.remedy.size() > 10);
    CHECK(info.remedy.back() == '.');
    CHECK(info.sentence.find('|') == std::string_view::npos);
    CHECK(info.remedy.find('|') == std::string_view::npos);
    REQUIRE(reason_from_name(info.name).has_value());
    CHECK(*reason_from_name(info.name) == info.code);
    CHECK(reason_info(info.code).name == info.name);
  }
  CHECK_FALSE(reason_from_name("").has_value());
  CHECK_FALSE(reason_from_name("io_uring").has_value());
  CHECK_FALSE(reason_from_name("IO_URING ").has_value());
}

TEST_CASE("what happened, or what a command was told, speaks against no move") {
  CHECK(speaks_against_moving(ReasonCode::kSharedFile));
  CHECK(speaks_against_moving(ReasonCode::kInternal));
  CHECK_FALSE(speaks_against_moving(ReasonCode::kNodeLost));
  CHECK_FALSE(speaks_against_moving(ReasonCode::kTooManyRequests));
}

TEST_CASE("messages are one line") {
  Reason plain{ReasonCode::kStopped, ""};
  CHECK(plain.name() == "STOPPED");
  CHECK(plain.message() == "The process is stopped by a signal.");
  CHECK(plain.remedy() == reason_info(ReasonCode::kStopped).remedy);
  Reason detailed{ReasonCode::kIoUring, "descriptor 5"};
  CHECK(detailed.message().find("home: descriptor 5") != std::string::npos);
  Reason hostile{ReasonCode::kSharedFile, "/tmp/a\nb\x1b[31m\x7f\xc3\xa4"};
  CHECK(hostile.message().find("/tmp/a?b?[31m?\xc3\xa4") != std::string::npos);
}

TEST_CASE("docs/REASONS.md is what the table prints") {
  std::string path = source_root() + "/docs/REASONS.md";
  if (getenv("OM_UPDATE_DOCS") != nullptr)
    std::ofstream(path, std::ios::binary) << reasons_markdown();
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), path);
  std::stringstream content;
  content << file.rdbuf();
  CHECK_MESSAGE(content.str() == reasons_markdown(), "out of date: run with OM_UPDATE_DOCS=1");
}

}  // namespace
}  // namespace om
