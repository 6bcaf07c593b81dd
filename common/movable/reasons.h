// SPDX-License-Identifier: Apache-2.0
//
// Why a process does not move, what became of it, why a command failed: the stable codes that om, the daemons and their
// messages use. One table holds code, sentence, remedy and which part detects it; docs/REASONS.md is generated from it.
// Codes are never renamed or given another meaning.
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
  // What happened, or why a command was not carried out; these do not prevent a move.
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
  kNotAMember,
  kAlreadyMember,
  kBadToken,
  kNameTaken,
  kDenied,
  kNoSigner,
  kNoMember,
  kRemoteControl,
  kCount
};

enum class FoundBy : uint8_t {
  kRequest,    // om-migrator at home, when it is asked
  kPreflight,  // om-migrator at home, by looking at /proc, before anything is stopped
  kStop,       // om-deputy, when the threads are stopped
  kTarget,     // the target node, when it is asked to admit the process
  kAway,       // om-deputy, while the process is away
  kAnyone,
  kEvent,    // what happened to a process
  kCommand,  // om, or the daemon that it asks
};

struct ReasonInfo {
  ReasonCode code;
  std::string_view name;      // "SHARED_WRITABLE"
  std::string_view sentence;  // one sentence, with its full stop
  std::string_view remedy;    // what the user can do, one or two sentences
  FoundBy found_by;
};

// In enum order.
std::span<const ReasonInfo> reason_table();
const ReasonInfo& reason_info(ReasonCode code);
// Its name in texts and JSON, "SHARED_WRITABLE".
std::string code_name(ReasonCode code);
std::string code_name(std::optional<ReasonCode> code);  // empty without one

// Whether this is a reason for a process to stay where it is; the other codes tell what happened.
bool speaks_against_moving(ReasonCode code);

// Parses the name of a code from a peer or another program.
std::optional<ReasonCode> reason_from_name(std::string_view name);

// The code for a failed system call of our own programs: FD_LIMIT (EMFILE, ENFILE), NO_MEMORY (ENOMEM), else INTERNAL.
ReasonCode reason_of_errno(int err);

// One finding about one process.
struct Reason {
  ReasonCode code = ReasonCode::kInternal;
  std::string detail;  // what exactly: a path, a number; may be empty. May come from the program.

  std::string_view name() const { return reason_info(code).name; }
  std::string_view remedy() const { return reason_info(code).remedy; }
  // From another program or node of ours; a code unknown to this release becomes INTERNAL.
  static Reason from_peer(std::string_view code, std::string detail);
  // The sentence, with the detail after a colon. One line: control characters of the detail become
  // '?'.
  std::string message() const;
};

std::string_view to_string(FoundBy found_by);

// docs/REASONS.md.
std::string reasons_markdown();

}  // namespace om
