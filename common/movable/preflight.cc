// SPDX-License-Identifier: Apache-2.0
#include "common/movable/preflight.h"

#include <cpuid.h>
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/movable/findings.h"
#include "common/movable/lazy_shared.h"
#include "common/movable/preload.h"
#include "common/proc/proc_file.h"
#include "common/proc/sharers.h"
#include "common/proc/stat.h"
#include "libom/abi/layout.h"

namespace om {
namespace {

using proc::MapKind;
using proc::Mapping;
using proc::SmapsEntry;
using proc::Status;
using enum ReasonCode;

constexpr uint64_t kAsanShadow = 0x7fff8000;  // where GCC's and Clang's runtime map it on x86-64

bool is_kernel_page(const Mapping& map) {
  return map.kind == MapKind::kVvar || map.kind == MapKind::kVdso || map.kind == MapKind::kVsyscall;
}

// ------------------------------------------------------------------------------ without system calls

void check_threads(const ProcessView& view, Findings& found) {
  for (const Status& thread : view.threads) {
    std::string who = thread.pid == view.leader.pid ? "" : "thread " + std::to_string(thread.pid);
    if (thread.tracer_pid != 0 && thread.tracer_pid != view.tracer) {
      found.add(kTraced, "by process " + std::to_string(thread.tracer_pid));
    } else if (thread.state == 'T') {
      found.add(kStopped, who);
    }
    if (thread.seccomp != 0) found.add(kSeccomp, who);
    if (thread.shadow_stack) found.add(kCet, who);
    auto [uid_low, uid_high] = std::minmax_element(thread.uid.begin(), thread.uid.end());
    auto [gid_low, gid_high] = std::minmax_element(thread.gid.begin(), thread.gid.end());
    if (*uid_low != *uid_high) found.add(kSetuid, "its user ids differ");
    if (*gid_low != *gid_high) found.add(kSetuid, "its group ids differ");
    if (thread.uid != view.leader.uid || thread.gid != view.leader.gid)
      found.add(kSetuid, "its threads differ");
  }
  if (view.secure_exec) found.add(kSetuid, "started from a privileged file");
}

void check_mapping(const SmapsEntry& entry, Findings& found) {
  const Mapping& map = entry.map;
  if (is_kernel_page(map)) return;
  if (entry.protection_key != 0) found.add(kPkeys, name_of(map));
  if (map.kind == MapKind::kHugetlb || entry.flags.has("ht"))
    return found.add(kHugetlb, name_of(map));
  if (entry.flags.has("um") || entry.flags.has("uw") || entry.flags.has("ui"))
    found.add(kUffd, name_of(map));
  if (map.path == "anon_inode:[io_uring]") return found.add(kIoUring, "a mapped ring");
  if (map.path == "/[aio]") return found.add(kAio);
  if (map.kind == MapKind::kDevice || map.path == "[uprobes]" || entry.flags.has("io") ||
      entry.flags.has("pf")) {
    return found.add(kDeviceMapped, name_of(map));
  }
  if (map.kind == MapKind::kFile && map.shared && (map.prot & PROT_WRITE) != 0 &&
      !is_nameless_shm(map) && !is_lazy_shared(map, lazy_shared_patterns())) {
    found.add(kSharedWritable, name_of(map));
  }
  std::string_view runtime = sanitizer_runtime(map.basename());
  if (!runtime.empty()) found.add(kSanitizer, std::string(runtime));
  if (map.start == kAsanShadow && map.kind == MapKind::kAnon)
    found.add(kSanitizer, "address sanitizer");
}

void check_program(const ProcessView& view, Findings& found) {
  bool preloaded = std::any_of(view.maps.begin(), view.maps.end(), [](const SmapsEntry& entry) {
    return entry.map.kind == MapKind::kFile && entry.map.basename() == "libom.so";
  });
  if (view.program && !view.program->sanitizer.empty())
    found.add(kSanitizer, view.program->sanitizer);
  if (preloaded) return;
  if (view.program && !view.program->is_64bit)
    return found.add(kNotPreloaded, "it is a 32-bit program");
  if (view.program && view.program->is_static) return found.add(kStaticBinary);
  found.add(kNotPreloaded);
}

void check_descriptors(const ProcessView& view, Findings& found) {
  for (const proc::FdEntry& fd : view.fds) {
    if (fd.target == "anon_inode:[io_uring]")
      found.add(kIoUring, "descriptor " + std::to_string(fd.fd));
    if (fd.target == "anon_inode:[userfaultfd]")
      found.add(kUffd, "descriptor " + std::to_string(fd.fd));
  }
  if (!view.nofile) return;
  const uint64_t hard = view.nofile->rlim_max;
  const uint32_t needed = thread_slots(view.threads.size(), RLIM_INFINITY, hard) + 1;
  if (find_descriptors(view.fds, hard, needed)) return;
  found.add(kFdLimit, std::to_string(needed) + " numbers in a row are needed below " +
                          std::to_string(std::min(hard, kFdMost)));
}

// libom's own memory counts in the program's limits while it is away.
void check_limits(const ProcessView& view, Findings& found) {
  if (view.threads.empty()) return;
  const size_t threads = view.threads.size();
  auto check = [&](const std::optional<rlimit>& limit, std::string_view name, uint64_t used,
                   uint64_t needed) {
    if (!limit || limit->rlim_cur == RLIM_INFINITY) return;
    const uint64_t left = limit->rlim_cur > used ? limit->rlim_cur - used : 0;
    if (left >= needed) return;
    found.add(kHomeMemory, std::string(name) + " leaves " + std::to_string(left >> 20) + " MiB, " +
                               std::to_string((needed + (1 << 20) - 1) >> 20) + " MiB are needed");
  };
  const proc::Status& of = view.threads.front();
  if (view.as) {
    const uint32_t slots = thread_slots(threads, view.as->rlim_cur, RLIM_INFINITY);
    check(view.as, "RLIMIT_AS", of.vm_size_bytes, arena_bytes(slots) + kExecutorRoom);
  }
  check(view.data, "RLIMIT_DATA", of.vm_data_bytes,
        kControlSize + threads * kSlotSize + kExecutorRoom);
}

void check_view_into(const ProcessView& view, Findings& found) {
  check_threads(view, found);
  check_program(view, found);
  for (const SmapsEntry& entry : view.maps) check_mapping(entry, found);
  check_descriptors(view, found);
  check_limits(view, found);
}

// ------------------------------------------------------------------- with system calls

bool has_protection_keys() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kFeatures = 7, kOspke = 1u << 4;
  return __get_cpuid_count(kFeatures, 0, &a, &b, &c, &d) != 0 && (c & kOspke) != 0;
}

// What smaps adds to maps does not change while maps stay the same, except for protection keys (and userfaultfd, of
// which the process has a descriptor).
Result<std::vector<SmapsEntry>> read_mappings(pid_t pid, const ProcessReport* before) {
  if (before != nullptr && !has_protection_keys()) {
    const auto maps = OM_TRY(proc::read_maps(pid));
    const bool same =
        std::equal(maps.begin(), maps.end(), before->maps.begin(), before->maps.end(),
                   [](const Mapping& now, const SmapsEntry& then) { return now == then.map; });
    if (same) return before->maps;
  }
  return proc::read_smaps(pid);
}

Result<ProcessView> read_view(pid_t pid, const Status& leader, const ProcessReport* before,
                              Findings& found) {
  ProcessView view;
  view.leader = leader;
  for (pid_t tid : OM_TRY(proc::list_tasks(pid))) {
    Result<Status> thread = proc::read_status(tid);
    if (!thread && thread.error().err != ESRCH) return thread.error();
    if (thread && thread->state != 'Z' && thread->state != 'X')
      view.threads.push_back(std::move(*thread));
  }
  if (view.threads.empty()) return Error{ESRCH, "it has ended"};
  // A main thread that has called pthread_exit shows no memory; any other thread does, as long as it lives. So put the
  // main thread first if it is there (tids wrap around: it need not have the lowest).
  std::stable_partition(view.threads.begin(), view.threads.end(),
                        [pid](const Status& t) { return t.pid == pid; });
  pid_t alive = view.threads.front().pid;
  struct stat owner;
  if (::stat(proc::proc_path(alive, "maps").c_str(), &owner) == 0 &&
      owner.st_uid != view.threads.front().uid[1]) {
    found.add(kNotDumpable);
  }
  view.maps = OM_TRY(read_mappings(alive, before));
  view.fds = OM_TRY(proc::list_fds(alive));
  Result<rlimit> nofile = proc::read_limit(pid, RLIMIT_NOFILE);
  if (nofile) {
    uint64_t most = nofile->rlim_max;
    Result<std::string> nr_open = read_text("/proc/sys/fs/nr_open");
    if (nr_open && parse_number(nr_open->substr(0, nr_open->find('\n')), most)) {
      nofile->rlim_max = std::min<rlim_t>(nofile->rlim_max, most);
    }
    view.nofile = *nofile;
  }
  if (auto as = proc::read_limit(pid, RLIMIT_AS)) view.as = *as;
  if (auto data = proc::read_limit(pid, RLIMIT_DATA)) view.data = *data;
  Result<ElfFile> program = read_elf_file(proc::proc_path(alive, "exe"), ElfSearch::kDynamicOnly);
  if (program) view.program = std::move(*program);
  Result<proc::Auxv> auxv = proc::read_auxv(alive);
  // A 32-bit program has a vector of 32-bit pairs.
  bool wide = !view.program || view.program->is_64bit;
  if (auxv && wide) view.secure_exec = auxv->find(AT_SECURE).value_or(0) != 0;
  return view;
}

// While libom's constructor has not finished, the process is not yet the program's own.
void check_start(pid_t pid, const ProcessView& view, Findings& found) {
  std::vector<Mapping> maps;
  for (const SmapsEntry& entry : view.maps) maps.push_back(entry.map);
  if (read_start(pid, maps).phase == ProgramStart::Phase::kStarting) found.add(kStarting);
}

// libom puts its descriptors into one table, which all threads must use and nobody else may.
void check_tables(pid_t pid, Findings& found) {
  // If kcmp is missing or forbidden, the stop finds out: the parent of a vfork does not stop.
  Result<proc::TaskSharers> sharers = proc::find_task_sharers(pid);
  if (!sharers) return;
  for (pid_t other : sharers->memory) found.add(kSharedMm, "process " + std::to_string(other));
  for (pid_t other : sharers->descriptors)
    found.add(kFdTable, "process " + std::to_string(other) + " uses it, too");
  for (pid_t tid : sharers->threads_apart)
    found.add(kFdTable, "thread " + std::to_string(tid) + " has its own");
}

void add_read_error(const Error& error, Findings& found) {
  if (error.err == ESRCH || error.err == ENOENT) {
    found.add(kNoSuchProcess, "it has ended");
  } else if (error.err != EACCES && error.err != EPERM) {
    found.add(reason_of_errno(error.err), error.text());
  } else if (!found.has(kSetuid)) {
    found.add(kNotDumpable);
  }
}

void inspect(pid_t pid, const ProcessReport* before, Findings& found, ProcessReport& report) {
  const pid_t tracer = before != nullptr ? ::getpid() : 0;
  Result<Status> leader = proc::read_status(pid);
  if (!leader && leader.error().err != ESRCH && leader.error().err != ENOENT) {
    return found.add(reason_of_errno(leader.error().err), leader.error().text());
  }
  if (!leader) return found.add(kNoSuchProcess, std::to_string(pid));
  if (leader->tgid != pid) {
    return found.add(kNoSuchProcess,
                     std::to_string(pid) + " is a thread of " + std::to_string(leader->tgid));
  }
  // A main thread that has called pthread_exit is a zombie until the last other thread has ended.
  const bool main_gone = leader->state == 'Z' || leader->state == 'X';
  if (main_gone) {
    const auto tasks = proc::list_tasks(pid);
    if (!tasks || tasks->size() <= 1) return found.add(kNoSuchProcess, "it has ended");
  } else if (leader->kernel_thread) {
    // An exiting process has no memory either.
    constexpr uint64_t kPfKthread = 0x200000;
    const auto stat = proc::read_stat(pid);
    if (!stat || !(stat->flags & kPfKthread)) return found.add(kNoSuchProcess, "it has ended");
    return found.add(kNotPreloaded, "it is a kernel thread");
  }
  if (::kill(pid, 0) != 0 && errno == EPERM) return found.add(kPermission);

  Result<ProcessView> view = read_view(pid, *leader, before, found);
  if (!view) {
    // If /proc hides something, one of these is why; say which.
    ProcessView ids;
    ids.leader = *leader;
    ids.threads.push_back(*leader);
    ids.tracer = tracer;
    check_threads(ids, found);
    return add_read_error(view.error(), found);
  }
  view->tracer = tracer;
  check_view_into(*view, found);
  pid_t alive = view->threads.front().pid;
  check_start(alive, *view, found);
  check_sharing(alive, *view, found, report);
  check_tables(alive, found);
  report.maps = std::move(view->maps);
}

// `before`: what was found while it ran, if we have stopped it since.
ProcessReport report_on(pid_t pid, const ProcessReport* before) {
  Findings found;
  ProcessReport report;
  inspect(pid, before, found, report);
  report.reasons = found.reasons();
  return report;
}

// Whether exec of the file would set AT_SECURE for the caller, so that LD_PRELOAD is ignored.
bool raises_privileges(const ElfFile& elf) {
  return (elf.setuid && elf.owner != ::geteuid()) || (elf.setgid && elf.group != ::getegid()) ||
         (elf.file_capabilities && ::geteuid() != 0);
}

}  // namespace

std::vector<Reason> check_view(const ProcessView& view) {
  Findings found;
  check_view_into(view, found);
  return found.reasons();
}

ProcessReport inspect_process(pid_t pid) { return report_on(pid, nullptr); }

ProcessReport inspect_stopped(pid_t pid, const ProcessReport& before) {
  return report_on(pid, &before);
}

std::vector<Reason> preflight_process(pid_t pid) { return inspect_process(pid).reasons; }

Result<CommandReport> preflight_command(std::span<const std::string> argv,
                                        std::string_view path_env) {
  if (argv.empty()) return Error{EINVAL, "no command"};
  ResolvedProgram program = OM_TRY(resolve_program(argv[0], path_env));
  Findings found;
  if (!program.readable) {
    found.add(kNotDumpable, program.path + " may be executed but not read");
  } else if (!program.elf.is_64bit || program.elf.machine != EM_X86_64) {
    found.add(kNotPreloaded, program.path + (program.elf.is_64bit ? " is for another CPU"
                                                                  : " is a 32-bit program"));
  } else {
    if (program.elf.is_static) found.add(kStaticBinary, program.path);
    if (raises_privileges(program.elf)) found.add(kSetuid, program.path);
    if (!program.elf.sanitizer.empty()) found.add(kSanitizer, program.elf.sanitizer);
  }
  return CommandReport{std::move(program.path), std::move(program.scripts), found.reasons()};
}

}  // namespace om
