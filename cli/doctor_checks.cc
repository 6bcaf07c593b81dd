// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gnu/libc-version.h>
#include <linux/ioctl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/doctor_probes.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/cpu/cpu_features.h"
#include "common/movable/reasons.h"
#include "common/proc/namespaces.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace om::cli {
namespace {

// From the kernel's uapi/linux/fs.h, 6.7: not in every distribution's headers.
struct PagemapScanArguments {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, PagemapScanArguments);

// "6.18.44-x" -> 6 * 1000 + 18; 0 if it is not a version.
int version_number(std::string_view text) {
  size_t dot = text.find('.');
  if (dot == text.npos) return 0;
  std::string_view rest = text.substr(dot + 1);
  std::string_view minor_text = rest.substr(0, rest.find_first_not_of("0123456789"));
  int major = 0;
  int minor = 0;
  if (!parse_number(text.substr(0, dot), major) || !parse_number(minor_text, minor)) return 0;
  return major * 1000 + minor;
}

Finding probe_userfaultfd() {
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (fd) return {"userfaultfd", Health::kOk, "user mode", ""};
  return {"userfaultfd", Health::kWarn, ::strerror(errno),
          "Pages are sent before the process goes on, which takes longer; use a kernel of 5.11 or "
          "later."};
}

Finding probe_pagemap_scan() {
  UniqueFd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  PagemapScanArguments arguments{};
  arguments.size = sizeof arguments;
  bool known = fd.valid() && (::ioctl(fd.get(), kPagemapScan, &arguments) == 0 || errno == EINVAL);
  if (known) return {"pagemap_scan", Health::kOk, "available", ""};
  return {"pagemap_scan", Health::kWarn, fd ? ::strerror(errno) : "no /proc/self/pagemap",
          "Memory is copied in one go; kernel 6.7 or later can copy it while the program runs."};
}

Finding probe_namespace(const char* name, int flags, const char* consequence) {
  int error = probe_unshare(flags);
  if (error == 0) return {name, Health::kOk, "available to this user", ""};
  return {name, Health::kWarn, ::strerror(error), consequence};
}

// What guest_namespaces = "try" gives a guest here.
Finding check_guest_namespaces() {
  const char* name = "user_namespace";
  const auto made = proc::try_namespaces();
  if (made) return {name, Health::kOk, "a guest has namespaces of its own and an empty root", ""};
  return {name, Health::kWarn, made.error().text(),
          "Guests are confined by seccomp and by a user's rights; guest_namespaces = \"require\" "
          "would refuse them."};
}

Finding check_cpu() {
  auto flags = local_cpu_features();
  if (!flags) return {"cpu", Health::kFail, flags.error().text(), "This machine is not supported."};
  int error = probe_registers();
  if (error == 0) return {"cpu", Health::kOk, "XSAVE, and a GS base of a program's own", ""};
  return {"cpu", Health::kFail,
          fmt::format("a program cannot use XSAVE or set its GS base: {}", ::strerror(error)),
          "Processes can neither leave nor come; use another machine."};
}

Finding check_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  std::string detail = fmt::format("soft {}, hard {}", limit.rlim_cur, limit.rlim_max);
  if (limit.rlim_max >= 4096) return {"descriptors", Health::kOk, detail, ""};
  return {"descriptors", Health::kWarn, detail,
          "Programs with many threads or files cannot move; raise the hard limit (ulimit -Hn)."};
}

std::string read_line(const char* path) {
  std::string text = read_text(path).value_or("");
  std::string_view rest = text;
  return rest.empty() ? "" : std::string(take_line(rest));
}

}  // namespace

std::string_view health_name(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarn:
      return "warn";
    case Health::kFail:
      return "fail";
  }
  return "?";
}

Finding judge_kernel(std::string_view release) {
  int number = version_number(release);
  std::string detail(release);
  if (number >= 6001) return {"kernel", Health::kOk, detail, ""};
  if (number >= 5011)
    return {"kernel", Health::kWarn, detail, "Tested from 6.1 on; some things may be missing."};
  return {"kernel", Health::kFail, detail,
          "Kernel 5.11 or later is needed, 6.1 or later recommended."};
}

Finding judge_tracing(std::string_view scope, int error) {
  std::string detail = scope.empty() ? "no Yama" : fmt::format("Yama ptrace_scope {}", scope);
  if (error != 0) {
    return {"ptrace", Health::kFail,
            fmt::format("a process cannot be stopped: {} ({})", ::strerror(error), detail),
            "Processes cannot leave this node: set kernel.yama.ptrace_scope to 1 or 0; a container "
            "must not block ptrace(2)."};
  }
  // The probe succeeded, so the caller has the privileges.
  if (scope == "2")
    return {"ptrace", Health::kWarn, detail, "Only root's processes can leave this node."};
  return {"ptrace", Health::kOk, detail, ""};
}

Finding judge_seccomp(int error) {
  if (error == 0) return {"seccomp", Health::kOk, "filters with trap", ""};
  return {"seccomp", Health::kFail, ::strerror(error),
          "Guests cannot run here: the kernel needs CONFIG_SECCOMP_FILTER; a container must not "
          "block seccomp(2)."};
}

Finding judge_glibc(std::string_view version) {
  if (version_number(version) >= 2035) return {"glibc", Health::kOk, std::string(version), ""};
  return {"glibc", Health::kWarn, std::string(version),
          "Tested with 2.36; older ones may not work."};
}

std::vector<Finding> check_machine() {
  utsname names{};
  ::uname(&names);
  return {judge_kernel(names.release),
          check_cpu(),
          judge_seccomp(probe_filter()),
          judge_tracing(read_line("/proc/sys/kernel/yama/ptrace_scope"), probe_tracing()),
          probe_userfaultfd(),
          probe_pagemap_scan(),
          check_guest_namespaces(),
          probe_namespace("time_namespace", CLONE_NEWUSER | CLONE_NEWTIME,
                          "Guests' clocks are corrected in software, some nanoseconds a call."),
          check_descriptors(),
          judge_glibc(::gnu_get_libc_version())};
}

namespace {

// How the daemon confines guests. Nothing of it fails: where something is missing the rest still holds.
void add_confinement(std::vector<Finding>& findings) {
  const Answer answer = request({{"verb", "node.info"}}, Milliseconds(3000));
  const auto found = answer.ok ? answer.data.find("confinement") : answer.data.end();
  if (!answer.ok || found == answer.data.end() || !found->is_object()) return;
  const auto part = [](const Json& of, const char* key) {
    const auto at = of.find(key);
    return at == of.end() || !at->is_object() ? Json::object() : *at;
  };
  findings.push_back({"guest_users", Health::kOk,
                      "guests run as: " + json_string_or(*found, "users", 256, "?").value_or("?"),
                      ""});
  const Json limits = part(*found, "limits");
  std::string detail;
  for (const char* key :
       {"guest_memory_mib", "guests_memory_mib", "guest_threads", "guests_threads"})
    detail += fmt::format(", {} {}", key, json_int_or(limits, key, 0, INT64_MAX, 0).value_or(0));
  const std::string version =
      json_string_or(part(*found, "cgroup"), "version", 16, "?").value_or("?");
  findings.push_back(
      {"guest_limits", Health::kOk,
       fmt::format("cgroup {}, guest_cpu {}{} (0: no limit)", version,
                   json_string_or(limits, "guest_cpu", 16, "?").value_or("?"), detail),
       version == "none" ? "Without control groups a guest that outgrows its memory limit faster "
                           "than it can be sent home is not stopped."
                         : ""});
}

}  // namespace

std::vector<Finding> check_installation() {
  std::vector<Finding> findings;
  for (const char* name : {"om-migrator", "om-deputy", "om-guest"}) {
    auto path = find_program(name);
    findings.push_back(path ? Finding{name, Health::kOk, *path, ""}
                            : Finding{name, Health::kFail, "not found",
                                      "Install it, or set OM_LIBEXEC to its directory."});
  }
  auto library = find_preload_library();
  findings.push_back(library ? Finding{"libom.so", Health::kOk, *library, ""}
                             : Finding{"libom.so", Health::kFail, library.error().text(),
                                       "Set OM_PRELOAD to its absolute path."});
  Answer daemon = request({{"verb", "version"}}, Milliseconds(3000));
  if (daemon.ok) {
    findings.push_back(
        {"daemon", Health::kOk,
         fmt::format("node {} at {}", json_string(daemon.data, "name", 64).value_or("?"),
                     client_control_path()),
         ""});
    add_confinement(findings);
  } else {
    findings.push_back({"daemon", Health::kWarn, daemon.failure.message,
                        std::string(reason_info(ReasonCode::kNoDaemon).remedy)});
  }
  return findings;
}

}  // namespace om::cli
