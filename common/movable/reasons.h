// SPDX-License-Identifier: Apache-2.0
//
// Why a process does not move, what became of it, why a command fails: the stable codes that om, the daemons and
// their messages use. One table holds the code, the sentence, the remedy and who
// finds out; the documentation (docs/REASONS.md) is printed from it. Codes are never renamed or
// given another meaning.
#pragma once

#include <stdint.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace om {

enum class ReasonCode : uint8_t {
  kNotPreloaded,
  kStaticBinary,
  kStarting,
  kSharedWritable,
  kSharedFile,
  kDeviceMapped,
  kIoUring,
  kAio,
  kTraced,
  kSeccomp,
  kSetuid,
  kNotDumpable,
  kSharedMm,
  kFdTable,
  kStopped,
  kPkeys,
  kCet,
  kHugetlb,
  kUffd,
  kFdLimit,
  kSanitizer,
  kUninterruptible,
  kGsBase,
  kInCall,
  kCpuTimer,
  kOwnTraps,
  kCpuFeature,
  kCpuCount,
  kNoMemory,
  kVersion,
  kBlocked,
  kFull,
  kNoSuchProcess,
  kPermission,
  kRootOwned,
  kAlreadyThere,
  kTargetUnreachable,
  kOutOfReach,
  kHomeMemory,
  kTimeout,
  kInternal,
  // What happened, or why a command was not carried out: nothing that speaks against a move.
  kNodeLost,
  kDeputyLost,
  kCameHome,
  kKeeperFailed,
  kNoDaemon,
  kNoSuchNode,
  kOtherNode,
  kGuest,
  kNoDeputy,
  kNotAttached,
  kBadPeers,
  kBadRequest,
  kTooManyRequests,
  kCount
};

enum class FoundBy : uint8_t {
  kRequest,    // om-migrator at home, when it is asked
  kPreflight,  // om-migrator at home, by looking at /proc, before anything is stopped
  kStop,       // om-deputy, when the threads stand
  kTarget,     // the target node, when it is asked to admit the process
  kAway,       // om-deputy, while the process is away
  kAnyone,
  kEvent,    // what happened to a process
  kCommand,  // om, or the daemon that it asks
};

struct ReasonInfo {
  ReasonCode code;
  std::string_view name;      // "SHARED_WRITABLE"
  std::string_view sentence;  // one, with its full stop
  std::string_view remedy;    // what the user can do, one or two sentences
  FoundBy found_by;
};

// In the order of the enum.
std::span<const ReasonInfo> reason_table();
const ReasonInfo& reason_info(ReasonCode code);
// Its name, "SHARED_WRITABLE", as texts and JSON have it.
std::string code_name(ReasonCode code);
std::string code_name(std::optional<ReasonCode> code);  // empty without one

// Whether a process stays where it is for this reason; the other codes tell what happened.
bool speaks_against_moving(ReasonCode code);

// A peer's or another program's word for a code.
std::optional<ReasonCode> reason_from_name(std::string_view name);

// What a failed system call of our own programs means for a move: FD_LIMIT (EMFILE, ENFILE), NO_MEMORY
// (ENOMEM), else INTERNAL.
ReasonCode reason_of_errno(int err);

// One finding about one process.
struct Reason {
  ReasonCode code = ReasonCode::kInternal;
  std::string detail;  // what exactly: a path, a number; may be empty. May come from the program.

  std::string_view name() const { return reason_info(code).name; }
  std::string_view remedy() const { return reason_info(code).remedy; }
  // What another program or node of ours says; a code that is in no table of this release becomes INTERNAL.
  static Reason from_peer(std::string_view code, std::string detail);
  // The sentence, with the detail after a colon. One line: control characters of the detail become
  // '?'.
  std::string message() const;
};

std::string_view to_string(FoundBy found_by);

// docs/REASONS.md.
std::string reasons_markdown();

}  // namespace om
