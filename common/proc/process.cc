// SPDX-License-Identifier: Apache-2.0
#include "common/proc/process.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <string.h>

#include <algorithm>
#include <memory>

#include "common/proc/proc_file.h"
#include "common/proc/stat.h"

namespace om::proc {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// The names in `path` that are numbers, ascending.
Result<std::vector<int>> list_numbers(const std::string& path) {
  std::unique_ptr<DIR, DirCloser> dir(::opendir(path.c_str()));
  if (!dir) return errno_error("open " + path);
  std::vector<int> numbers;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    int number = 0;
    if (parse_number(entry->d_name, number)) numbers.push_back(number);
  }
  if (errno != 0) return errno_error("read " + path);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Error gone(Error error) {
  if (error.err == ENOENT) error.err = ESRCH;
  return error;
}

}  // namespace

Result<std::vector<pid_t>> list_processes() { return list_numbers("/proc"); }

Result<std::vector<pid_t>> list_tasks(pid_t pid) {
  Result<std::vector<pid_t>> tasks = list_numbers(proc_path(pid, "task"));
  if (!tasks) return gone(tasks.error());
  if (tasks->empty()) return Error{ESRCH, "list " + proc_path(pid, "task")};
  return tasks;
}

pid_t memory_tid(pid_t pid) {
  const auto lives = [](pid_t tid) {
    const auto stat = read_stat(tid);
    return stat && !stat->is_ending();
  };
  if (lives(pid)) return pid;
  for (pid_t tid : list_tasks(pid).value_or({})) {
    if (lives(tid)) return tid;
  }
  return pid;
}

Result<std::vector<pid_t>> list_children(pid_t pid) {
  std::vector<pid_t> children;
  for (pid_t tid : OM_TRY(list_tasks(pid))) {
    Result<std::string> text = read_proc(pid, "task/" + std::to_string(tid) + "/children");
    if (!text && text.error().err == ESRCH) continue;
    if (!text) return text.error();
    std::string_view rest = *text;
    for (std::string_view field = take_field(rest); !field.empty(); field = take_field(rest)) {
      pid_t child = 0;
      if (!parse_number(field, child)) return bad_text("children", *text);
      children.push_back(child);
    }
  }
  std::sort(children.begin(), children.end());
  return children;
}

Result<std::vector<FdEntry>> list_fds(pid_t pid) {
  std::string directory = proc_path(pid, "fd");
  Result<std::vector<int>> numbers = list_numbers(directory);
  if (!numbers) return gone(numbers.error());
  std::vector<FdEntry> entries;
  entries.reserve(numbers->size());
  for (int fd : *numbers) {
    Result<std::string> target = read_link(directory + "/" + std::to_string(fd));
    // Closed since the listing.
    if (!target && target.error().err == ENOENT) continue;
    if (!target) return target.error();
    entries.push_back(FdEntry{fd, std::move(*target)});
  }
  return entries;
}

Result<int> parse_cpu_timers(std::string_view text) {
  constexpr int kProcessCpu = 2, kThreadCpu = 3;
  int count = 0;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with("ClockID:")) continue;
    int clock = 0;
    if (!parse_number(trim(line.substr(8)), clock)) return bad_text("timers", line);
    if (clock == kProcessCpu || clock == kThreadCpu || (clock < 0 && (clock & 3) != 3)) count++;
  }
  return count;
}

Result<int> read_cpu_timers(pid_t pid) {
  return parse_cpu_timers(OM_TRY(read_proc(pid, "timers")));
}

Result<FdInfo> parse_fdinfo(std::string_view text) {
  FdInfo info;
  bool flags_seen = false;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::string_view value = line;
    std::string_view name = take_field(value);
    bool good = true;
    if (name == "pos:") good = parse_number(trim(value), info.pos);
    if (name == "flags:") good = flags_seen = parse_number(trim(value), info.flags, 8);
    if (name == "mnt_id:") good = parse_number(trim(value), info.mnt_id);
    if (!good) return bad_text("fdinfo", line);
  }
  if (!flags_seen) return Error{EBADMSG, "fdinfo: no flags"};
  return info;
}

Result<FdInfo> read_fdinfo(pid_t pid, int fd) {
  return parse_fdinfo(OM_TRY(read_proc(pid, "fdinfo/" + std::to_string(fd))));
}

Result<rlimit> read_limit(pid_t pid, int resource) {
  rlimit limit{};
  if (::prlimit(pid, static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0) {
    return errno_error("prlimit of process " + std::to_string(pid));
  }
  return limit;
}

Result<Limits> read_limits(pid_t pid) {
  Limits limits{};
  for (size_t i = 0; i < limits.size(); ++i)
    limits[i] = OM_TRY(read_limit(pid, static_cast<int>(i)));
  return limits;
}

std::optional<uint64_t> Auxv::find(uint64_t type) const {
  for (auto [key, value] : entries_) {
    if (key == type) return value;
  }
  return std::nullopt;
}

Result<Auxv> parse_auxv(std::string_view bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> entries;
  for (; bytes.size() >= 16; bytes.remove_prefix(16)) {
    uint64_t pair[2];
    memcpy(pair, bytes.data(), sizeof pair);
    if (pair[0] == AT_NULL) return Auxv(std::move(entries));
    entries.emplace_back(pair[0], pair[1]);
  }
  return Error{EBADMSG, "auxv: not whole 64-bit pairs ending in AT_NULL"};
}

Result<Auxv> read_auxv(pid_t pid) { return parse_auxv(OM_TRY(read_proc(pid, "auxv"))); }

std::vector<std::string> parse_strings(std::string_view bytes) {
  std::vector<std::string> strings;
  while (!bytes.empty()) {
    size_t end = bytes.find('\0');
    strings.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  return strings;
}

Result<std::vector<std::string>> read_cmdline(pid_t pid) {
  return parse_strings(OM_TRY(read_proc(pid, "cmdline")));
}

Result<std::vector<std::string>> read_environ(pid_t pid) {
  return parse_strings(OM_TRY(read_proc(pid, "environ")));
}

}  // namespace om::proc
