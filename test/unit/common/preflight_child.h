// SPDX-License-Identifier: Apache-2.0
//
// Children for the tests of common/movable/preflight.h: processes that acquire a cause on command, stand still while
// they are inspected, and get rid of it again. They inherit a mapping of a file named libom.so and are thus
// "preloaded". What the environment itself causes (a container's seccomp filter, a sanitizer) is measured once, as
// baseline(), and allowed for. Steps run in the child: use no doctest macros there; steps report an errno. Root runs
// children as nobody where that matters; an ordinary user skips what needs root.
#pragma once

#include <doctest/doctest.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/movable/preflight.h"

// So that a failed comparison shows the codes.
template <>
struct doctest::StringMaker<std::set<std::string>> {
  static String convert(const std::set<std::string>& codes) {
    std::string text;
    for (const std::string& code : codes) text.append(text.empty() ? "" : " ").append(code);
    return text.empty() ? "none" : text.c_str();
  }
};

namespace om {

using Codes = std::set<std::string>;

constexpr size_t kPage = 4096;
constexpr uid_t kNobody = 65534;

// The files of all cases; the process that made them removes them at the end.
class Files {
 public:
  Files() {
    path_ = "/tmp/om-preflight-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr || chmod(path_.c_str(), 0755) != 0) abort();
  }
  ~Files() {
    if (getpid() == owner_) std::filesystem::remove_all(path_);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& content, mode_t mode = 0644) const {
    std::ofstream(path(name), std::ios::binary) << content;
    if (chmod(path(name).c_str(), mode) != 0) abort();
    return path(name);
  }
  std::string page_file(const std::string& name, mode_t mode = 0644) const {
    return write(name, std::string(kPage, 'x'), mode);
  }

 private:
  std::string path_;
  pid_t owner_ = getpid();
};

inline const Files& files() {
  static const Files instance;
  return instance;
}

inline void* map_file(const std::string& path, int prot, int flags, int open_flags) {
  UniqueFd fd(open(path.c_str(), open_flags | O_CLOEXEC));
  return mmap(nullptr, kPage, prot, flags, fd.get(), 0);
}

// Once, before any child: all of them inherit it.
inline void* fake_libom() {
  static void* const address =
      map_file(files().page_file("libom.so"), PROT_READ, MAP_PRIVATE, O_RDONLY);
  return address;
}

// Gives up root for good, but stays readable. Does nothing for an ordinary user.
inline int become_nobody() {
  if (geteuid() != 0) return 0;
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0) return errno;
  if (setresuid(kNobody, kNobody, kNobody) != 0) return errno;
  return prctl(PR_SET_DUMPABLE, 1) == 0 ? 0 : errno;
}

inline bool is_root() { return geteuid() == 0; }

// A step returns 0 or an errno.
using Step = std::function<int()>;

inline int check(bool good) { return good ? 0 : errno; }

// A child that runs its steps one at a time, on command, and stands still in between.
class Child {
 public:
  explicit Child(std::vector<Step> steps = {}) {
    fake_libom();
    int down[2], up[2];
    REQUIRE(pipe2(down, O_CLOEXEC) == 0);
    REQUIRE(pipe2(up, O_CLOEXEC) == 0);
    UniqueFd child_in(down[0]), child_out(up[1]);
    out_ = UniqueFd(down[1]);
    in_ = UniqueFd(up[0]);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      out_.reset();
      in_.reset();
      run(child_in.get(), child_out.get(), steps);
    }
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // The next step's errno.
  int next() {
    char go = 1;
    int result = -1;
    REQUIRE(write(out_.get(), &go, 1) == 1);
    REQUIRE(read(in_.get(), &result, sizeof result) == sizeof result);
    return result;
  }

 private:
  [[noreturn]] static void run(int in, int out, const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      char go;
      if (read(in, &go, 1) != 1) _exit(0);
      int result = step();
      if (write(out, &result, sizeof result) != sizeof result) _exit(0);
    }
    for (;;) pause();
  }

  pid_t pid_ = 0;
  UniqueFd in_, out_;
};

inline Codes names_of(const std::vector<Reason>& reasons) {
  Codes names;
  for (const Reason& reason : reasons) names.emplace(reason.name());
  return names;
}

// The codes of an idle child here, without any cause of ours.
inline const Codes& baseline() {
  static const Codes codes = [] {
    Child child;
    return names_of(preflight_process(child.pid()));
  }();
  return codes;
}

inline Codes plus(const std::string& code) {
  Codes codes = baseline();
  codes.insert(code);
  return codes;
}

inline std::string detail_of(pid_t pid, ReasonCode code) {
  for (const Reason& reason : preflight_process(pid)) {
    if (reason.code == code) return reason.detail;
  }
  return "";
}

// The pattern of most cases: nothing, cause, cleared.
inline void provoke(const std::string& code, const Step& cause, const Step& clear,
                    bool may_skip = false) {
  Child child({cause, clear});
  CHECK(names_of(preflight_process(child.pid())) == baseline());
  int err = child.next();
  if (err != 0 && may_skip) {
    MESSAGE("skip " << code << ": " << std::string(strerror(err)));
    return;
  }
  REQUIRE_MESSAGE(err == 0, std::string(strerror(err)));
  CHECK(names_of(preflight_process(child.pid())) == plus(code));
  if (!clear) return;
  err = child.next();
  REQUIRE_MESSAGE(err == 0, std::string(strerror(err)));
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

// One mapping as the cause.
inline void provoke_mapping(const std::string& code, const std::function<void*()>& map,
                            bool may_skip = false) {
  static void* address;
  provoke(
      code, [&] { return check((address = map()) != MAP_FAILED); },
      [] { return check(munmap(address, kPage) == 0); }, may_skip);
}

// The codes that a process of user nobody (or this user) sees.
inline Codes codes_seen_by_nobody(pid_t pid) {
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  UniqueFd in(fds[0]), out(fds[1]);
  pid_t seer = fork();
  REQUIRE(seer >= 0);
  if (seer == 0) {
    std::string text = become_nobody() == 0 ? "" : "ERROR ";
    for (const Reason& reason : preflight_process(pid)) text.append(reason.name()).append(" ");
    _exit(write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  out.reset();
  std::string text(4096, '\0');
  ssize_t n = read(in.get(), text.data(), text.size());
  REQUIRE(n >= 0);
  int status = -1;
  REQUIRE(waitpid(seer, &status, 0) == seer);
  REQUIRE(status == 0);
  std::string_view rest = std::string_view(text).substr(0, static_cast<size_t>(n));
  Codes codes;
  for (auto field = take_field(rest); !field.empty(); field = take_field(rest))
    codes.emplace(field);
  return codes;
}

// For steps: a process that inherits everything and does nothing.
inline pid_t idle_fork() {
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  return pid;
}

inline int end_of(pid_t pid) {
  return check(kill(pid, SIGKILL) == 0 && waitpid(pid, nullptr, 0) == pid);
}
// Machine code that calls pause for ever, as a static program.
inline std::string tiny_program(bool wide) {
  const std::string code64("\xb8\x22\x00\x00\x00\x0f\x05\xeb\xf7", 9);
  const std::string code32("\xb8\x1d\x00\x00\x00\xcd\x80\xeb\xf7", 9);
  auto build = [](auto header, auto segment, unsigned char elf_class, uint16_t machine,
                  const std::string& code) {
    constexpr uint32_t kBase = 0x400000;
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = elf_class;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = header.e_version = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_phoff = header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof segment;
    header.e_phnum = 1;
    header.e_entry = kBase + sizeof header + sizeof segment;
    segment.p_type = PT_LOAD;
    segment.p_flags = PF_R | PF_X;
    segment.p_vaddr = segment.p_paddr = kBase;
    segment.p_filesz = segment.p_memsz = sizeof header + sizeof segment + code.size();
    segment.p_align = kPage;
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
           std::string(reinterpret_cast<const char*>(&segment), sizeof segment) + code;
  };
  return wide ? build(Elf64_Ehdr{}, Elf64_Phdr{}, ELFCLASS64, EM_X86_64, code64)
              : build(Elf32_Ehdr{}, Elf32_Phdr{}, ELFCLASS32, EM_386, code32);
}

// Runs `path`; returns 0 once exec has succeeded, else exec's errno.
inline int start_program(const std::string& path, pid_t& pid) {
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  UniqueFd in(fds[0]), out(fds[1]);
  pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(path.c_str(), path.c_str(), "1000", nullptr);
    int err = errno;
    _exit(write(out.get(), &err, sizeof err) == sizeof err ? 1 : 2);
  }
  out.reset();
  int err = 0;
  return read(in.get(), &err, sizeof err) == sizeof err ? err : 0;
}

}  // namespace om
