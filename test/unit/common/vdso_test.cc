// SPDX-License-Identifier: Apache-2.0
//
// common/elf/vdso.h: this kernel's image, whose symbols must be callable; the same image cut at every byte and with
// random bytes changed; and a made-up image with only a GNU hash table.
#include <doctest/doctest.h>
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "common/elf/vdso.h"
#include "common/proc/maps.h"

namespace om {
namespace {

using Bytes = std::vector<std::byte>;

// [vdso] of this process, read as from another process; empty if there is none.
Bytes own_image() {
  Result<std::vector<proc::Mapping>> maps = proc::read_maps(getpid());
  REQUIRE(maps.ok());
  for (const proc::Mapping& map : *maps) {
    if (map.kind != proc::MapKind::kVdso) continue;
    CHECK(map.start == getauxval(AT_SYSINFO_EHDR));
    Bytes image(map.size());
    memcpy(image.data(), reinterpret_cast<const void*>(map.start), image.size());
    return image;
  }
  return {};
}

// Memory that ends at an inaccessible page: a read beyond the image crashes.
class GuardedCopy {
 public:
  explicit GuardedCopy(size_t room) : room_((room + 4095) / 4096 * 4096) {
    void* memory =
        mmap(nullptr, room_ + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    base_ = static_cast<std::byte*>(memory);
    REQUIRE(mprotect(base_ + room_, 4096, PROT_NONE) == 0);
  }
  ~GuardedCopy() { munmap(base_, room_ + 4096); }
  GuardedCopy(const GuardedCopy&) = delete;
  GuardedCopy& operator=(const GuardedCopy&) = delete;

  std::span<const std::byte> of(std::span<const std::byte> bytes) {
    std::byte* at = base_ + room_ - bytes.size();
    if (!bytes.empty()) memcpy(at, bytes.data(), bytes.size());
    return {at, bytes.size()};
  }

 private:
  size_t room_;
  std::byte* base_;
};

void check_sane(const Vdso& vdso, size_t image_size) {
  CHECK(vdso.text_lo < vdso.text_hi);
  CHECK(vdso.text_hi <= image_size);
  for (const VdsoSymbol& symbol : vdso.symbols) {
    CHECK(symbol.offset >= vdso.text_lo);
    CHECK(symbol.offset < vdso.text_hi);
    CHECK(symbol.size <= vdso.text_hi - symbol.offset);
    CHECK_FALSE(symbol.name.empty());
  }
}

TEST_CASE("the running kernel's image") {
  Bytes image = own_image();
  if (image.empty()) {
    MESSAGE("skip: no vDSO here");
    return;
  }
  Result<Vdso> vdso = parse_vdso(image);
  REQUIRE_MESSAGE(vdso.ok(), vdso.error().text());
  check_sane(*vdso, image.size());
  for (const char* name :
       {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu"}) {
    REQUIRE_MESSAGE(vdso->find(name) != nullptr, name);
    // A jump to an absolute address (14 bytes) must fit over each of them.
    CHECK(vdso->find(name)->size >= 14);
  }
  CHECK(vdso->find("clock_gettime")->offset == vdso->find("__vdso_clock_gettime")->offset);
  CHECK(vdso->find("no_such_function") == nullptr);
  for (size_t i = 1; i < vdso->symbols.size(); ++i) {
    CHECK(vdso->symbols[i - 1].offset <= vdso->symbols[i].offset);
  }

  // The offset is right if a call there returns the time.
  uint64_t base = getauxval(AT_SYSINFO_EHDR);
  auto* clock = reinterpret_cast<int (*)(clockid_t, timespec*)>(
      base + vdso->find("__vdso_clock_gettime")->offset);
  timespec before{}, now{}, after{};
  auto ns = [](const timespec& t) { return t.tv_sec * 1000000000 + t.tv_nsec; };
  clock_gettime(CLOCK_MONOTONIC, &before);
  CHECK(clock(CLOCK_MONOTONIC, &now) == 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  CHECK(ns(before) <= ns(now));
  CHECK(ns(now) <= ns(after));
}

TEST_CASE("an image cut anywhere is refused or gives offsets inside it") {
  Bytes image = own_image();
  if (image.empty()) return;
  GuardedCopy guarded(image.size());
  size_t refused = 0;
  for (size_t size = 0; size < image.size(); ++size) {
    Result<Vdso> vdso = parse_vdso(guarded.of(std::span(image).first(size)));
    if (vdso) {
      check_sane(*vdso, size);
    } else {
      ++refused;
      CHECK(vdso.error().err == EBADMSG);
    }
  }
  CHECK(refused > image.size() / 4);
}

TEST_CASE("changed bytes never lead outside the image") {
  Bytes image = own_image();
  if (image.empty()) return;
  GuardedCopy guarded(image.size());
  Elf64_Ehdr header;
  memcpy(&header, image.data(), sizeof header);
  std::minstd_rand random(5);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes changed = image;
    // The tables are in the first kilobytes; most changes go there.
    for (int i = 0; i < 3; ++i) {
      size_t at = random() % (random() % 8 == 0 ? changed.size() : 2048);
      changed[at] = static_cast<std::byte>(random() % 3 == 0 ? 0xff : random());
    }
    Result<Vdso> vdso = parse_vdso(guarded.of(changed));
    if (vdso) {
      check_sane(*vdso, changed.size());
    } else {
      ++refused;
    }
  }
  CHECK(refused > 0);
}

// An image as made by a linker with --hash-style=gnu, linked at `base`, with two functions.
Bytes made_up(uint64_t base) {
  struct Image {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[2]{};
    Elf64_Dyn dynamic[6]{};
    Elf64_Sym symbols[3]{};
    struct {
      uint32_t buckets = 1, first_symbol = 1, bloom_words = 1, bloom_shift = 0;
      uint64_t bloom = ~uint64_t{0};
      uint32_t bucket = 1;
      uint32_t chain[2] = {2, 5};  // the lowest bit ends it
      uint32_t pad = 0;
    } hash;
    char strings[16] = {};
    uint8_t text[64] = {};
  };
  static_assert(sizeof(Image) % 8 == 0);
  Image image;
  memcpy(image.header.e_ident, ELFMAG, SELFMAG);
  image.header.e_ident[EI_CLASS] = ELFCLASS64;
  image.header.e_ident[EI_DATA] = ELFDATA2LSB;
  image.header.e_type = ET_DYN;
  image.header.e_machine = EM_X86_64;
  image.header.e_phoff = offsetof(Image, segments);
  image.header.e_phentsize = sizeof(Elf64_Phdr);
  image.header.e_phnum = 2;
  image.segments[0].p_type = PT_LOAD;
  image.segments[0].p_flags = PF_R | PF_X;
  image.segments[0].p_vaddr = base;
  image.segments[0].p_filesz = sizeof(Image);
  image.segments[1].p_type = PT_DYNAMIC;
  image.segments[1].p_offset = offsetof(Image, dynamic);
  image.segments[1].p_vaddr = base + offsetof(Image, dynamic);
  image.segments[1].p_filesz = sizeof image.dynamic;
  auto dynamic = [&](size_t i, int64_t tag, uint64_t value) {
    image.dynamic[i].d_tag = tag;
    image.dynamic[i].d_un.d_val = value;
  };
  dynamic(0, DT_STRTAB, base + offsetof(Image, strings));
  dynamic(1, DT_STRSZ, sizeof image.strings);
  dynamic(2, DT_SYMTAB, base + offsetof(Image, symbols));
  dynamic(3, DT_SYMENT, sizeof(Elf64_Sym));
  dynamic(4, DT_GNU_HASH, base + offsetof(Image, hash));
  memcpy(image.strings, "\0first\0second\0", 14);
  for (unsigned i = 1; i <= 2; ++i) {
    image.symbols[i].st_name = i == 1 ? 1 : 7;
    image.symbols[i].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    image.symbols[i].st_shndx = 1;
    image.symbols[i].st_value = base + offsetof(Image, text) + (2 - i) * 32;
    image.symbols[i].st_size = 32;
  }
  Bytes bytes(sizeof image);
  memcpy(bytes.data(), &image, sizeof image);
  return bytes;
}

TEST_CASE("a GNU hash table alone is enough, at any link address") {
  for (uint64_t base : {uint64_t{0}, uint64_t{0x1000}, uint64_t{0xffffffffff700000}}) {
    Bytes image = made_up(base);
    Result<Vdso> vdso = parse_vdso(image);
    REQUIRE_MESSAGE(vdso.ok(), vdso.error().text());
    REQUIRE(vdso->symbols.size() == 2);
    CHECK(vdso->symbols[0].name == "second");
    CHECK(vdso->symbols[1].name == "first");
    CHECK(vdso->symbols[0].offset == image.size() - 64);
    CHECK(vdso->symbols[1].offset == image.size() - 32);
    CHECK(vdso->text_lo == 0);
    CHECK(vdso->text_hi == image.size());
  }
}

TEST_CASE("the made-up image, cut and changed") {
  Bytes image = made_up(0x1000);
  GuardedCopy guarded(image.size());
  for (size_t size = 0; size < image.size(); ++size) {
    CHECK_FALSE(parse_vdso(guarded.of(std::span(image).first(size))).ok());
  }
  std::minstd_rand random(11);
  for (int round = 0; round < 50000; ++round) {
    Bytes changed = image;
    for (int i = 0; i < 2; ++i)
      changed[random() % changed.size()] = static_cast<std::byte>(random());
    Result<Vdso> vdso = parse_vdso(guarded.of(changed));
    if (vdso) check_sane(*vdso, changed.size());
  }
}

TEST_CASE("other things are refused") {
  CHECK_FALSE(parse_vdso({}).ok());
  CHECK_FALSE(parse_vdso(Bytes(4096)).ok());
  CHECK_FALSE(parse_vdso(Bytes(kVdsoMaxBytes + 1)).ok());
  Bytes image = made_up(0);
  for (size_t field : {size_t{EI_CLASS}, size_t{EI_DATA}, offsetof(Elf64_Ehdr, e_machine),
                       offsetof(Elf64_Ehdr, e_type)}) {
    Bytes changed = image;
    changed[field] = std::byte{0x7f};
    CHECK_FALSE(parse_vdso(changed).ok());
  }
}

}  // namespace
}  // namespace om
