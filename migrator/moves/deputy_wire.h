// SPDX-License-Identifier: Apache-2.0
//
// Reads what a deputy says (common/schema/deputy.capnp), with a limit on everything: it runs as the owner of its
// process, not as us. A reader returns an Error for unusable values, and throws a KJ exception for malformed messages.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/movable/verdict.h"
#include "common/net/json_line.h"
#include "common/schema/deputy.capnp.h"
#include "migrator/moves/move_record.h"

namespace om::migrator {

constexpr size_t kMaxReportBytes = 1 << 20;  // of om stack and om trace
constexpr size_t kMaxNoteBytes = 4096;

// Where a process is and how its keeper proves itself: lets another deputy take the process over.
struct DeputySession {
  std::string at;       // node
  std::string session;  // kSessionBytes
  std::string secret;   // kSecretBytes
  uint16_t port = 0;    // where the keeper reaches the deputy

  bool operator==(const DeputySession&) const = default;
};
Result<DeputySession> read_session(wire::Session::Reader from);
void write_session(const DeputySession& session, wire::Session::Builder to);

struct DeputyPlace {
  std::string at;  // a node, or "home"
  wire::State state = wire::State::HOME;
};
Result<DeputyPlace> read_place(wire::Daemon::StateParams::Reader from);

struct DeputyNote {
  ReasonCode code = ReasonCode::kInternal;
  std::string message;  // at most kMaxNoteBytes
};
Result<DeputyNote> read_note(wire::Daemon::NoteParams::Reader from);

// What the deputy last reported about the body.
struct DeputyStats {
  uint64_t cpu_ms = 0;
  uint64_t rss_bytes = 0;
  uint32_t threads = 0;
  uint64_t calls = 0;
  double cpu_percent = 0;  // between the last two reports
  MonotonicTime received;
};
Result<DeputyStats> read_stats(wire::Daemon::StatsParams::Reader from);

// An unusable record counts as a failed move.
MoveReport read_move(wire::MoveRecord::Reader from);

// A JSON object for om, or why there is none.
Verdict<Json> read_report(wire::Outcome::Reader outcome, ::capnp::Text::Reader report);

// {"at":..,"session":hex,"secret":hex,"port":..}, as ChildList stores it.
Json session_to_json(const DeputySession& session);
Result<DeputySession> session_from_json(const Json& value);

}  // namespace om::migrator
