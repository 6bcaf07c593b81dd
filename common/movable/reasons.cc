// SPDX-License-Identifier: Apache-2.0
#include "common/movable/reasons.h"

#include <errno.h>

#include <array>
#include <utility>

namespace om {
namespace {

using enum ReasonCode;
using enum FoundBy;

constexpr ReasonInfo kTable[] = {
    {kNotPreloaded, "NOT_PRELOADED", "libom.so is not loaded in the process.",
     "Start the program with `om run -- COMMAND`, or with LD_PRELOAD set to libom.so; a program "
     "for another CPU, or a 32-bit one, has to be built for x86-64.",
     kPreflight},
    {kStaticBinary, "STATIC_BINARY",
     "The program is statically linked, so libom.so cannot be loaded into it.",
     "Link the program dynamically.", kPreflight},
    {kStarting, "STARTING",
     "The program is still being started: libom.so has not been initialised.",
     "Wait until the libraries loaded before it have been initialised as well, then try again.",
     kPreflight},
    {kSharedWritable, "SHARED_WRITABLE",
     "The process has writable memory that it shares with a file or another process.",
     "Wait until the mapping is gone or the other process has ended; for sqlite use a rollback "
     "journal, or WAL with locking_mode=EXCLUSIVE.",
     kPreflight},
    {kSharedFile, "SHARED_FILE",
     "The process has a shared mapping of a file that others can change.",
     "Close the file wherever it is open for writing; or have the program map it privately "
     "(MAP_PRIVATE) or read it; or make it read-only and owned by another user.",
     kPreflight},
    {kDeviceMapped, "DEVICE_MAPPED", "The process has memory of a device or of the kernel mapped.",
     "Run the part that uses the device in a process of its own.", kPreflight},
    {kIoUring, "IO_URING", "The process has an io_uring, whose requests refer to memory at home.",
     "Turn io_uring off in the program (for libuv: UV_USE_IO_URING=0).", kPreflight},
    {kAio, "AIO", "The process has a context for asynchronous I/O (io_setup).",
     "Turn native AIO off in the program, or wait until it has ended its context.", kPreflight},
    {kTraced, "TRACED", "A debugger or tracer is attached to the process.", "Detach the debugger.",
     kPreflight},
    {kSeccomp, "SECCOMP", "The process runs under a seccomp filter of its own.",
     "Turn the program's sandbox off, or leave it at home.", kPreflight},
    {kSetuid, "SETUID",
     "The process has changed its user or group, or was started from a privileged file.",
     "Start the program as the user that it should run as.", kPreflight},
    {kNotDumpable, "NOT_DUMPABLE",
     "The kernel protects the process from inspection (it is not dumpable).",
     "The program must not clear PR_SET_DUMPABLE, and its user must be able to read its file.",
     kPreflight},
    {kSharedMm, "SHARED_MM", "Another process runs in the same address space (vfork or CLONE_VM).",
     "Wait until the child has called exec or has ended, then try again.", kPreflight},
    {kFdTable, "FD_TABLE",
     "The threads of the process do not share one descriptor table that no other process uses.",
     "Do not let a thread unshare its descriptors (CLONE_FILES); a process that shares them must "
     "end or execute another program.",
     kPreflight},
    {kStopped, "STOPPED", "The process is stopped by a signal.",
     "Continue it (fg, bg or kill -CONT), then try again.", kPreflight},
    {kPkeys, "PKEYS", "The process has memory under a protection key.",
     "Turn memory protection keys off in the program.", kPreflight},
    {kCet, "CET", "The process runs with a shadow stack.",
     "Start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off.", kPreflight},
    {kHugetlb, "HUGETLB", "The process has memory from the pool of huge pages (hugetlbfs).",
     "Use transparent huge pages (madvise) instead.", kPreflight},
    {kUffd, "UFFD", "The process serves its own page faults (userfaultfd).",
     "Turn off the part of the program that uses userfaultfd.", kPreflight},
    {kFdLimit, "FD_LIMIT",
     "There are too few free descriptor numbers for the connections of all threads.",
     "Raise the hard limit (ulimit -Hn) of what the message names, or have the program close "
     "descriptors.",
     kPreflight},
    {kSanitizer, "SANITIZER",
     "The program contains the runtime of a sanitizer, which must be loaded first.",
     "Build the program without -fsanitize.", kPreflight},
    {kUninterruptible, "UNINTERRUPTIBLE", "A thread did not stop within a second.",
     "Wait until its device or network file system answers, then try again.", kStop},
    {kGsBase, "GS_BASE", "A thread uses the GS base register, which libom needs in the body.",
     "None, other than changing the program.", kStop},
    {kInCall, "IN_CALL", "A thread is in a call that only home can finish.",
     "Try again when the call has ended.", kStop},
    {kCpuTimer, "CPU_TIMER", "The process has a CPU-time timer or a CPU-time limit.",
     "Wait until the timer has fired or is disarmed; start it without the limit (ulimit -t).",
     kStop},
    {kOwnTraps, "OWN_TRAPS", "A thread has the kernel trap its own system calls or instructions.",
     "None, other than changing the program.", kStop},
    {kCpuFeature, "CPU_FEATURE", "The target's CPU lacks something that the process may use.",
     "Choose another node, or start the program with `om run --cpu=BASELINE`.", kTarget},
    {kCpuCount, "CPU_COUNT",
     "The program counts on CPU numbers, and the target has none of home's.",
     "Choose another node.", kTarget},
    {kNoMemory, "NO_MEMORY", "There is not enough free memory for the process.",
     "Choose another node, or wait until memory is free.", kTarget},
    {kVersion, "VERSION", "The two nodes run versions of openMosix that do not work together.",
     "Install the same release on both; programs keep running meanwhile.", kTarget},
    {kBlocked, "BLOCKED", "The target does not accept the process as a guest.",
     "Choose another node, or let its administrator allow what the message names.", kTarget},
    {kFull, "FULL",
     "The target has as many guests as it accepts: in all, from this home, or from this user; or "
     "home has no port for another process.",
     "Choose another node, wait until a guest has left, or let its administrator raise what the "
     "message names (max_guests, max_guests_per_home, max_guests_per_user, guest_uids, ports).",
     kTarget},
    {kNoSuchProcess, "NO_SUCH_PROCESS", "There is no such process.", "Look it up with `om ps`.",
     kRequest},
    {kPermission, "PERMISSION", "The process belongs to another user.",
     "Ask its owner or root: who may kill a process may move it.", kRequest},
    {kRootOwned, "ROOT_OWNED",
     "The process has root's privileges, and this node does not let such processes leave.",
     "Run it as an ordinary user. Or start home's om-migrator with `--root-may-leave`: then "
     "whoever administers another node that it is moved to can do at home what root can.",
     kRequest},
    {kAlreadyThere, "ALREADY_THERE", "The process is already on that node.",
     "Nothing needs to be done.", kRequest},
    {kTargetUnreachable, "TARGET_UNREACHABLE", "The target node cannot be reached.",
     "Look at `om nodes`; start om-migrator there or repair the network.", kRequest},
    {kOutOfReach, "OUT_OF_REACH", "The node where the process runs does not answer.",
     "Look at `om nodes` and `om events`; the process continues by itself once the network works "
     "again.",
     kAway},
    {kHomeMemory, "HOME_MEMORY",
     "The home node, or a resource limit there, lacks the memory needed.",
     "Free memory at home, or raise its limits (RLIMIT_AS, RLIMIT_STACK, vm.max_map_count), then "
     "try again.",
     kAnyone},
    {kTimeout, "TIMEOUT", "A step took longer than allowed.",
     "The process keeps running where it was; try again, and look at `om events`.", kAnyone},
    {kInternal, "INTERNAL", "Something failed that should not.",
     "The process keeps running where it was; please report the output of `om events`.", kAnyone},
    {kNodeLost, "NODE_LOST",
     "The node where the process ran cannot be reached, or the process was killed there.",
     "If it had done nothing there that cannot be repeated, it continues at home; otherwise it has "
     "ended and must be started again.",
     kEvent},
    {kDeputyLost, "DEPUTY_LOST", "The deputy of the process ended before its work was done.",
     "If no other deputy could take over, the process must be started again; please report the "
     "output of `om events` and the log of om-migrator.",
     kEvent},
    {kCameHome, "CAME_HOME",
     "The process returned home: for a call that only home can run, or the other node takes nobody "
     "any more.",
     "Nothing needs to be done; it can be moved again.", kEvent},
    {kKeeperFailed, "KEEPER_FAILED", "The keeper of a guest of this node has failed.",
     "The guest's home node decides what happens to it; please report the log of om-migrator.",
     kEvent},
    {kNoDaemon, "NO_DAEMON", "No daemon answers on this machine.",
     "Start one: `om-migrator --name NAME`, with `--listen` and `--peers` for more than one "
     "machine; to try things out `om cluster dev start --dir DIR`; or set OM_CONTROL to the "
     "socket of one that runs.",
     kCommand},
    {kNoSuchNode, "NO_SUCH_NODE", "There is no node of that name.", "Look it up with `om nodes`.",
     kCommand},
    {kOtherNode, "OTHER_NODE", "The process belongs to another node of this machine.",
     "Ask that node, for example after `eval \"$(om cluster dev env --dir DIR --node NODE)\"`.",
     kCommand},
    {kGuest, "GUEST", "The process is a guest of this node.",
     "Ask at its home node, using its pid there.", kCommand},
    {kNoDeputy, "NO_DEPUTY", "The process is at home, and no deputy looks after it.",
     "Move it first.", kCommand},
    {kNotAttached, "NOT_ATTACHED",
     "The daemon did not recognise the caller as the deputy of a process.",
     "Nothing needs to be done: only om-deputy makes this request.", kCommand},
    {kBadPeers, "BAD_PEERS", "The peers file cannot be read.",
     "Correct the file that the message names; until then the old peers stay in use.", kCommand},
    {kBadRequest, "BAD_REQUEST", "The daemon does not understand the request.",
     "Use the `om` of the same release as the daemon (`om version`).", kCommand},
    {kTooManyRequests, "TOO_MANY_REQUESTS", "There are too many requests at once.",
     "Read the answers first, or close some connections.", kCommand},
    {kNotAMember, "NOT_A_MEMBER", "This node is in no cluster.",
     "Start one with `om cluster init NAME`, or join one with `om cluster join TOKEN ADDRESS`.",
     kCommand},
    {kAlreadyMember, "ALREADY_MEMBER", "This node is in a cluster already.",
     "Look at `om cluster status`; to change the cluster, `om cluster leave` first.", kCommand},
    {kBadToken, "BAD_TOKEN", "The token does not let this machine in.",
     "Have a new one made with `om token create` on a machine that may sign (`om cluster status`).",
     kCommand},
    {kNameTaken, "NAME_TAKEN", "Another node of the cluster has this node's name.",
     "Give this node another name (`om-migrator --name`); if the other one is gone for good, for "
     "example reinstalled, `om cluster remove NAME` on a signer first.",
     kCommand},
    {kDenied, "DENIED", "The node was removed from the cluster.",
     "Nobody in the cluster believes its key any more. To let the machine in again, leave there "
     "(`om cluster leave`), remove node.key in the daemon's identity directory if it is still "
     "there, and join.",
     kCommand},
    {kNoSigner, "NO_SIGNER", "This needs a machine that may sign for the cluster.",
     "`om cluster status` names them; with `om cluster ca export` and `import` there can be "
     "several.",
     kCommand},
    {kNoMember, "NO_MEMBER", "No member of the cluster answers at the address.",
     "Check the address and port (default 4700), that om-migrator listens there, and firewalls.",
     kCommand},
    {kRemoteControl, "REMOTE_CONTROL", "The node does not let other nodes do this to it.",
     "Run the command on that node. Or let its administrator start its om-migrator with "
     "`--remote-control node` (`remote_control` in its om.toml).",
     kCommand},
};

constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kTable); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  }
  return std::size(kTable) == static_cast<size_t>(ReasonCode::kCount);
}
static_assert(in_order(), "the table has one row for each code, in the order of the enum");

}  // namespace

std::span<const ReasonInfo> reason_table() { return kTable; }

const ReasonInfo& reason_info(ReasonCode code) { return kTable[static_cast<size_t>(code)]; }

std::string code_name(ReasonCode code) { return std::string(reason_info(code).name); }

std::string code_name(std::optional<ReasonCode> code) { return code ? code_name(*code) : ""; }

bool speaks_against_moving(ReasonCode code) {
  const FoundBy found_by = reason_info(code).found_by;
  return found_by != FoundBy::kEvent && found_by != FoundBy::kCommand;
}

std::optional<ReasonCode> reason_from_name(std::string_view name) {
  for (const ReasonInfo& info : kTable) {
    if (info.name == name) return info.code;
  }
  return std::nullopt;
}

ReasonCode reason_of_errno(int err) {
  if (err == EMFILE || err == ENFILE) return ReasonCode::kFdLimit;
  return err == ENOMEM ? ReasonCode::kNoMemory : ReasonCode::kInternal;
}

Reason Reason::from_peer(std::string_view code, std::string detail) {
  return {reason_from_name(code).value_or(ReasonCode::kInternal), std::move(detail)};
}

std::string Reason::message() const {
  std::string_view sentence = reason_info(code).sentence;
  if (detail.empty()) return std::string(sentence);
  std::string text(sentence.substr(0, sentence.size() - 1));
  text += ": ";
  for (char c : detail) {
    bool control = (c >= 0 && c < ' ') || c == 0x7f;
    text += control ? '?' : c;
  }
  return text;
}

std::string_view to_string(FoundBy found_by) {
  switch (found_by) {
    case FoundBy::kRequest:
      return "home, when asked";
    case FoundBy::kPreflight:
      return "home, before the stop";
    case FoundBy::kStop:
      return "home, at the stop";
    case FoundBy::kTarget:
      return "the target";
    case FoundBy::kAway:
      return "home, while it is away";
    case FoundBy::kAnyone:
      return "any step";
    case FoundBy::kEvent:
      return "it happened";
    case FoundBy::kCommand:
      return "om, or the daemon";
  }
  return "any step";
}

std::string reasons_markdown() {
  std::string out =
      "# Why a process does not move\n"
      "\n"
      "A process that cannot move keeps running where it is, correctly. `om migrate` and `om\n"
      "why` name the reason by one of these codes, which do not change between releases; `om\n"
      "check -- COMMAND` tells what is known before a program starts. Reasons are looked up\n"
      "anew each time: when the cause has gone, the process can move.\n"
      "\n"
      "The codes found by \"it happened\" and \"om, or the daemon\", at the end, are no such\n"
      "reasons: they say what became of a process (`om events`, `om run`), and why a command\n"
      "was not carried out.\n"
      "\n"
      "This page is printed from the table in `common/movable/reasons.cc`.\n"
      "\n"
      "| code | what it means | what to do | found by |\n"
      "|---|---|---|---|\n";
  for (const ReasonInfo& info : kTable) {
    out.append("| ").append(info.name).append(" | ").append(info.sentence).append(" | ");
    out.append(info.remedy).append(" | ").append(to_string(info.found_by)).append(" |\n");
  }
  return out;
}

}  // namespace om
