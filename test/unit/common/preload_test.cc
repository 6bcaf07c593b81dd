// SPDX-License-Identifier: Apache-2.0
#include "common/movable/preload.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace om;
using Phase = ProgramStart::Phase;

namespace {

constexpr size_t kBytes = 8192;
constexpr uint64_t kStart = 4096;

// A file libom.so of two pages with one note, mapped into this process as ld.so would.
class Library {
 public:
  Library() {
    REQUIRE(mkdtemp(folder_) != nullptr);
    path_ = std::string(folder_) + "/libom.so";
    const int fd = open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(ftruncate(fd, kBytes) == 0);
    at_ = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    close(fd);
    Elf64_Ehdr eh{};
    memcpy(eh.e_ident, ELFMAG, SELFMAG);
    eh.e_phoff = sizeof eh;
    eh.e_phnum = 1;
    eh.e_phentsize = sizeof(Elf64_Phdr);
    memcpy(at_, &eh, sizeof eh);
    header.p_type = PT_NOTE;
    header.p_vaddr = kNote;
    header.p_filesz = 12 + 12 + 8;
    note = {10, 8, kNoteStart};
    distance = static_cast<int64_t>(kStart - kNote - 24);
  }
  ~Library() {
    munmap(at_, kBytes);
    unlink(path_.c_str());
    rmdir(folder_);
  }

  ProgramStart look() {
    memcpy(at_ + sizeof(Elf64_Ehdr), &header, sizeof header);
    memcpy(at_ + kNote, &note, sizeof note);
    memcpy(at_ + kNote + 12, "openMosix", 10);
    memcpy(at_ + kNote + 24, &distance, sizeof distance);
    memcpy(at_ + kStart, &state, sizeof state);
    return read_start(getpid());
  }

  static constexpr uint64_t kNote = 1024;
  Elf64_Phdr header{};
  Elf64_Nhdr note{};
  int64_t distance;
  StartState state{};

 private:
  char folder_[32] = "/tmp/om-preload-test-XXXXXX";
  std::string path_;
  char* at_;
};

}  // namespace

TEST_CASE("no library, one that is being initialised, one that is ready") {
  CHECK(read_start(getpid()).phase == Phase::kNotLoaded);
  Library library;
  CHECK(library.look().phase == Phase::kStarting);
  library.state.ready = 1;
  strcpy(library.state.control, "/run/om/control.sock");
  strcpy(library.state.cpu, "x86-64-v2");
  const ProgramStart start = library.look();
  CHECK(start.phase == Phase::kReady);
  CHECK(start.control == "/run/om/control.sock");
  CHECK(start.cpu == "x86-64-v2");
}

TEST_CASE("what a program may have written there is bounded") {
  Library library;
  library.state.ready = 1;
  memset(library.state.control, 'x', sizeof library.state.control);
  memset(library.state.cpu, 'y', sizeof library.state.cpu);
  const ProgramStart start = library.look();
  CHECK(start.control == std::string(sizeof library.state.control, 'x'));
  CHECK(start.cpu == std::string(sizeof library.state.cpu, 'y'));
  library.distance = -0x7fffffff;
  CHECK(library.look().phase == Phase::kUnknown);
  library.distance = 1 << 30;
  CHECK(library.look().phase == Phase::kUnknown);
  library.note.n_descsz = 0xfffffff0;
  CHECK(library.look().phase == Phase::kUnknown);
  library.note = {0xffffffff, 0xffffffff, kNoteStart};
  CHECK(library.look().phase == Phase::kUnknown);
  library.header.p_filesz = ~uint64_t{0};
  CHECK(library.look().phase == Phase::kUnknown);
  library.header.p_vaddr = ~uint64_t{0} - 4;
  CHECK(library.look().phase == Phase::kUnknown);
}
