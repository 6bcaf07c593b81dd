// SPDX-License-Identifier: Apache-2.0
//
// What can be found out about a process without stopping it: the reasons of common/movable/reasons.h marked
// FoundBy::kPreflight. Only reads /proc and makes harmless calls (kcmp, prlimit, kill with signal 0). The process
// notices nothing and may change right after, so the deputy looks again when the threads are stopped. Returns all
// reasons that apply, in the order of the table, except that a missing libom.so comes last, because it may follow from
// another.
//
// Used by om-migrator (`om migrate`, `om why`), om-deputy and the command line (`om check`).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/elf/elf_file.h"
#include "common/movable/reasons.h"
#include "common/proc/process.h"
#include "common/proc/sharers.h"
#include "common/proc/smaps.h"
#include "common/proc/status.h"

namespace om {

struct ProcessReport {
  std::vector<Reason> reasons;  // at most one for a code; the first is the cause
  // Shared mappings of memory (kAnonShared, kMemFd, kSysvShm) without any other holder in sight: they may move, but the
  // deputy must copy them whole (see common/proc/pagemap.h).
  std::vector<proc::Mapping> lone_shared;
  // Memory objects that only this process has, and that it sees in more than one way: they move as objects.
  struct Object {
    proc::ObjectId id;
    bool is_open;  // through a descriptor of its own
  };
  std::vector<Object> objects;
  // Shared mappings of files that are written back periodically (common/movable/lazy_shared.h).
  std::vector<proc::Mapping> lazy_shared;
  // Files mapped shared that only a lease keeps from changing.
  std::vector<std::string> to_lease;
  std::vector<proc::SmapsEntry> maps;  // the mappings examined
};

// Makes all checks. No reasons: nothing prevents a move so far.
ProcessReport inspect_process(pid_t pid);

// The same a moment later, for a caller that has stopped the threads: being traced by the caller is not a reason. What
// takes time in proportion to the memory (smaps) comes from the report `before` if maps have not changed since.
ProcessReport inspect_stopped(pid_t pid, const ProcessReport& before);

std::vector<Reason> preflight_process(pid_t pid);

// What was read about a process: input of the checks that make no system calls.
struct ProcessView {
  proc::Status leader;
  std::vector<proc::Status> threads;  // living ones, the leader among them
  std::vector<proc::SmapsEntry> maps;
  std::vector<proc::FdEntry> fds;
  std::optional<rlimit> nofile;    // hard limit already cut to fs.nr_open
  std::optional<rlimit> as, data;  // RLIMIT_AS, RLIMIT_DATA
  std::optional<ElfFile> program;  // of /proc/PID/exe
  bool secure_exec = false;        // AT_SECURE
  pid_t tracer = 0;                // a tracer that is not a reason
};

// The checks without system calls: all but sharing, NOT_DUMPABLE, SHARED_MM, FD_TABLE and the request's codes.
std::vector<Reason> check_view(const ProcessView& view);

// Number of thread slots that libom prepares for a process with `threads` threads: each needs address space (scarce
// under RLIMIT_AS) and a descriptor number below the hard limit of RLIMIT_NOFILE.
uint32_t thread_slots(size_t threads, uint64_t as_limit, uint64_t fd_limit);

constexpr uint64_t kFdMost = 65536;  // libom's are below: the kernel's table grows with the number

// The first of `need` consecutive descriptor numbers for libom, none of them open: as high as possible below `fd_limit`
// (hard limit of RLIMIT_NOFILE). nullopt if there are not enough.
std::optional<int> find_descriptors(std::span<const proc::FdEntry> open, uint64_t fd_limit,
                                    uint32_t need);

struct CommandReport {
  std::string path;                  // the ELF program that will run
  std::vector<std::string> scripts;  // scripts on the way to it, outermost first
  std::vector<Reason> reasons;
};

// For `om check -- argv`: what can be found out before the program starts. Errors: ENOENT not found, EACCES not
// executable, ENOEXEC or EBADMSG not a program, EINVAL empty argv.
Result<CommandReport> preflight_command(std::span<const std::string> argv,
                                        std::string_view path_env);

}  // namespace om
