// SPDX-License-Identifier: Apache-2.0
//
// The files below /proc/self and /proc/thread-self that a program is likely to open are the same after the move as
// before it, or tell what the program has done since; what is written to them holds. Descriptors from before the
// move read on.
#include "test/lib/om_test.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <map>
#include <string>

using Text = std::string;

static Text read_all(int fd) {
  Text text;
  char piece[1024];
  ssize_t got;
  while ((got = read(fd, piece, sizeof piece)) > 0) text.append(piece, static_cast<size_t>(got));
  OM_CHECK_EQ(got, 0);
  return text;
}
static Text file(const char* path) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return "errno " + std::to_string(errno);
  Text text = read_all(fd);
  close(fd);
  return text;
}
static Text link(const char* path) {
  char text[512];
  const ssize_t got = readlink(path, text, sizeof text);
  return got < 0 ? "errno " + std::to_string(errno) : Text(text, static_cast<size_t>(got));
}
static std::map<Text, Text> fields(const Text& status) {
  std::map<Text, Text> found;
  for (size_t at = 0, end; at < status.size(); at = end + 1) {
    end = status.find('\n', at);
    const size_t colon = status.find(':', at);
    if (end == Text::npos) break;
    if (colon < end)
      found[status.substr(at, colon - at)] = status.substr(colon + 1, end - colon - 1);
  }
  return found;
}
static Text names(const char* path) {
  Text found;
  DIR* directory = opendir(path);
  OM_CHECK(directory != nullptr);
  while (dirent* entry = readdir(directory)) {
    if (isdigit(entry->d_name[0])) found += Text(entry->d_name) + "\n";
  }
  closedir(directory);
  return found;
}
// Numbers of a line, from the field after the name in parentheses on.
static Text stat_field(const Text& stat, int index) {
  size_t at = stat.rfind(')') + 2;
  for (int i = 3; i < index; ++i) at = stat.find(' ', at) + 1;
  return stat.substr(at, stat.find(' ', at) - at);
}

static const char* const kSame[] = {"cmdline",       "environ",       "mounts",   "mountinfo",
                                    "mountstats",    "cgroup",        "limits",   "auxv",
                                    "personality",   "oom_score_adj", "uid_map",  "gid_map",
                                    "setgroups",     "loginuid",      "comm",     "coredump_filter",
                                    "net/dev_mcast", "net/protocols", "net/route"};
static const char* const kLinks[] = {"exe",    "cwd",     "root",      "fd/0",
                                     "ns/mnt", "ns/net",  "ns/pid",    "ns/user",
                                     "ns/uts", "ns/time", "ns/cgroup", "ns/ipc"};
static const char* const kStatus[] = {
    "Name",   "Umask",  "Tgid",   "Pid",        "PPid",    "TracerPid",   "Uid",
    "Gid",    "Groups", "NSpid",  "Threads",    "SigPnd",  "ShdPnd",      "SigBlk",
    "SigIgn", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Cpus_allowed"};
static constexpr int kStat[] = {4, 5, 6, 7, 18, 19, 20, 22};  // from ppid to start time

static void write_to(const char* path, const char* text) {
  const int fd = OM_SYS(open(path, O_WRONLY));
  OM_CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

static void changes() {
  write_to("/proc/self/comm", "renamed");
  char name[16];
  OM_SYS(prctl(PR_GET_NAME, name));
  OM_CHECK_EQ(static_cast<const char*>(name), "renamed");
  OM_CHECK(file("/proc/thread-self/comm") == "renamed\n");
  write_to("/proc/self/oom_score_adj", "500");
  OM_CHECK(file("/proc/self/oom_score_adj") == "500\n");
  write_to("/proc/self/coredump_filter", "0x23");
  OM_CHECK(file("/proc/self/coredump_filter") == "00000023\n");
  write_to("/proc/self/timerslack_ns", "77000");
  OM_CHECK_EQ(prctl(PR_GET_TIMERSLACK), 77000);
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_CORE, &limit));
  limit.rlim_cur = 0;
  OM_SYS(setrlimit(RLIMIT_CORE, &limit));
  const Text limits = file("/proc/self/limits");
  const size_t core = limits.find("Max core file size ");
  OM_CHECK(core != Text::npos && limits.compare(core + 26, 2, "0 ") == 0);
  OM_SYS(mkdir("below", 0700));
  OM_SYS(chdir("below"));
  const Text cwd = link("/proc/self/cwd");
  OM_CHECK(cwd.size() > 6 && cwd.substr(cwd.size() - 6) == "/below");
}

// What cannot be the same, but has a form.
static void forms() {
  const int fd = OM_SYS(open("/dev/null", O_RDWR | O_CLOEXEC));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  OM_CHECK(file(path).find("flags:\t02100002") != Text::npos);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  OM_CHECK(link(path) == "/dev/null");
  close(fd);
  OM_CHECK(link(path) == "errno 2");
  OM_CHECK(file("/proc/self/io").find("syscr: ") != Text::npos || geteuid() != 0);
  OM_CHECK(file("/proc/self/sched").find("se.exec_start") != Text::npos);
  OM_CHECK(file("/proc/self/schedstat").size() > 4);
  OM_CHECK(file("/proc/self/oom_score").size() >= 2);
  OM_CHECK(!file("/proc/self/wchan").empty());
  const Text running = file("/proc/thread-self/syscall");
  OM_CHECK(running.compare(0, 2, "0 ") == 0 || running.compare(0, 6, "errno ") == 0);  // read()
  OM_CHECK(file("/proc/self/statm").find(' ') != Text::npos);
  OM_CHECK(file("/proc/self/net/unix").compare(0, 3, "Num") == 0);
  OM_CHECK(file("/proc/self/net/tcp").find("local_address") != Text::npos);
  snprintf(path, sizeof path, "/proc/self/task/%d/children", gettid());
  OM_CHECK(file(path).size() <= 8 || file(path).compare(0, 6, "errno ") == 0);
  snprintf(path, sizeof path, "%d/task/%d", getpid(), gettid());
  OM_CHECK(link("/proc/thread-self") == path);
  snprintf(path, sizeof path, "%d", getpid());
  OM_CHECK(link("/proc/self") == path);
  OM_CHECK_EQ(access("/proc/self/fd/999", F_OK), -1);
}

int main() {
  std::map<Text, Text> before;
  for (const char* name : kSame) before[name] = file((Text("/proc/self/") + name).c_str());
  for (const char* name : kLinks) before[name] = link((Text("/proc/self/") + name).c_str());
  int ends[2];
  OM_SYS(pipe(ends));
  OmThread other([&] {
    char byte;
    OM_CHECK_EQ(read(ends[0], &byte, 1), 1);
  });
  auto status = fields(file("/proc/self/status"));
  const Text stat = file("/proc/self/stat"), tasks = names("/proc/self/task");
  const int open_status = OM_SYS(open("/proc/self/status", O_RDONLY)),
            open_dir = OM_SYS(open("/proc/self", O_PATH | O_DIRECTORY)),
            open_maps = OM_SYS(open("/proc/self/maps", O_RDONLY));
  const Text descriptors = names("/proc/self/fd");
  om_test_ready();
  om_test_wait_moved();
  for (const char* name : kSame) {
    const Text now = file((Text("/proc/self/") + name).c_str());
    if (strcmp(name, "mountstats") == 0 || strcmp(name, "net/protocols") == 0) {
      OM_CHECK(now.size() > 10 || now == before[name]);
    } else if (now != before[name]) {
      fprintf(stderr, "%s: %s\nbefore: %s\n", name, now.c_str(), before[name].c_str());
      OM_CHECK(false);
    }
  }
  for (const char* name : kLinks)
    OM_CHECK_EQ(link((Text("/proc/self/") + name).c_str()).c_str(), before[name].c_str());
  OM_CHECK_EQ(names("/proc/self/fd").c_str(), descriptors.c_str());
  OM_CHECK_EQ(names("/proc/self/fdinfo").c_str(), descriptors.c_str());
  auto now = fields(file("/proc/thread-self/status"));
  for (const char* name : kStatus) {
    if (now[name] != status[name]) {
      fprintf(stderr, "%s: %s, before %s\n", name, now[name].c_str(), status[name].c_str());
      OM_CHECK(false);
    }
  }
  OM_CHECK_EQ(file("/proc/self/stat").compare(0, stat.find(')'), stat, 0, stat.find(')')), 0);
  for (const int index : kStat)
    OM_CHECK_EQ(stat_field(file("/proc/self/stat"), index).c_str(),
                stat_field(stat, index).c_str());
  // From before the move.
  OM_CHECK_EQ(fields(read_all(open_status))["Pid"].c_str(), status["Pid"].c_str());
  OM_CHECK(read_all(open_maps).find("[stack]") != Text::npos);
  const int inside = OM_SYS(openat(open_dir, "comm", O_RDONLY));
  OM_CHECK(read_all(inside) == before["comm"]);
  OM_CHECK_EQ(write(ends[1], "x", 1), 1);
  other.join();
  changes();
  forms();
}
