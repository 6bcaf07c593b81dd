// SPDX-License-Identifier: Apache-2.0
#include "common/elf/vdso.h"

#include <elf.h>
#include <string.h>

#include <algorithm>
#include <optional>

namespace om {
namespace {

constexpr size_t kMaxSegments = 64;
constexpr size_t kMaxDynamic = 256;
constexpr size_t kMaxName = 256;

Error bad(const char* what) { return Error{EBADMSG, std::string("vdso: ") + what}; }

// Bounds-checked reads of the image.
class Image {
 public:
  explicit Image(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t size() const { return bytes_.size(); }
  bool contains(uint64_t offset, uint64_t length) const {
    return offset <= bytes_.size() && length <= bytes_.size() - offset;
  }

  template <class T>
  std::optional<T> load(uint64_t offset) const {
    if (!contains(offset, sizeof(T))) return std::nullopt;
    T value;
    memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  // A NUL-terminated string of at most kMaxName characters.
  std::optional<std::string> string_at(uint64_t offset) const {
    if (offset >= bytes_.size()) return std::nullopt;
    size_t limit = std::min<size_t>(kMaxName + 1, bytes_.size() - offset);
    const void* end = memchr(bytes_.data() + offset, 0, limit);
    if (end == nullptr) return std::nullopt;
    const char* begin = reinterpret_cast<const char*>(bytes_.data() + offset);
    return std::string(begin, static_cast<const char*>(end));
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Segments {
  uint64_t link_base = 0;  // address of the image's first byte as linked
  uint64_t text_lo = 0, text_hi = 0;
  uint64_t dynamic = 0, dynamic_size = 0;  // offset in the image
};

Result<Segments> read_segments(const Image& image) {
  std::optional<Elf64_Ehdr> header = image.load<Elf64_Ehdr>(0);
  if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return bad("not an ELF image");
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != EM_X86_64 || header->e_type != ET_DYN) {
    return bad("not an x86-64 shared object");
  }
  if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
      header->e_phnum > kMaxSegments) {
    return bad("program headers are out of range");
  }
  Segments out;
  bool load_seen = false;
  for (uint64_t i = 0; i < header->e_phnum; ++i) {
    if (header->e_phoff > image.size()) return bad("program headers are outside the image");
    std::optional<Elf64_Phdr> ph = image.load<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!ph) return bad("program headers are outside the image");
    if (ph->p_type != PT_LOAD && ph->p_type != PT_DYNAMIC) continue;
    if (!image.contains(ph->p_offset, ph->p_filesz)) return bad("a segment is outside the image");
    if (ph->p_type == PT_DYNAMIC) {
      out.dynamic = ph->p_offset;
      out.dynamic_size = ph->p_filesz;
    } else if (!load_seen) {
      // There is one mapping: the distance between file offset and address is the same in the whole image.
      load_seen = true;
      out.link_base = ph->p_vaddr - ph->p_offset;
    } else if (ph->p_vaddr - ph->p_offset != out.link_base) {
      return bad("segments are laid out unlike the file");
    }
    if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0) {
      if (out.text_hi != 0) return bad("two executable segments");
      out.text_lo = ph->p_offset;
      out.text_hi = ph->p_offset + ph->p_filesz;
    }
  }
  if (!load_seen || out.text_hi == out.text_lo) return bad("no executable segment");
  if (out.dynamic_size == 0) return bad("no dynamic section");
  return out;
}

// Offsets in the image; 0 where the entry is missing (0 is the ELF header, never a table).
struct Dynamic {
  uint64_t strings = 0, string_bytes = 0, symbols = 0, hash = 0, gnu_hash = 0;
};

Result<Dynamic> read_dynamic(const Image& image, const Segments& segments) {
  Dynamic out;
  for (uint64_t i = 0; i < segments.dynamic_size / sizeof(Elf64_Dyn); ++i) {
    if (i >= kMaxDynamic) return bad("dynamic section is too long");
    std::optional<Elf64_Dyn> entry =
        image.load<Elf64_Dyn>(segments.dynamic + i * sizeof(Elf64_Dyn));
    if (!entry) return bad("dynamic section is outside the image");
    // The kernel does not relocate these values in a process's memory: they are as linked.
    uint64_t offset = entry->d_un.d_ptr - segments.link_base;
    if (entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_STRTAB) out.strings = offset;
    if (entry->d_tag == DT_STRSZ) out.string_bytes = entry->d_un.d_val;
    if (entry->d_tag == DT_SYMTAB) out.symbols = offset;
    if (entry->d_tag == DT_HASH) out.hash = offset;
    if (entry->d_tag == DT_GNU_HASH) out.gnu_hash = offset;
    if (entry->d_tag == DT_SYMENT && entry->d_un.d_val != sizeof(Elf64_Sym))
      return bad("symbol size");
  }
  if (out.strings == 0 || out.symbols == 0) return bad("no symbol table");
  if (!image.contains(out.strings, out.string_bytes))
    return bad("string table is outside the image");
  return out;
}

// Number of symbols: the chain count of the old hash table, or one more than the last symbol that the GNU hash table
// reaches.
Result<uint64_t> count_symbols(const Image& image, const Dynamic& dynamic) {
  if (dynamic.hash != 0) {
    std::optional<uint32_t> chains = image.load<uint32_t>(dynamic.hash + 4);
    if (!chains || *chains > kVdsoMaxSymbols) return bad("hash table is out of range");
    return uint64_t{*chains};
  }
  if (dynamic.gnu_hash == 0) return bad("no hash table");
  struct GnuHash {
    uint32_t buckets, first_symbol, bloom_words, bloom_shift;
  };
  std::optional<GnuHash> head = image.load<GnuHash>(dynamic.gnu_hash);
  if (!head || head->buckets > kVdsoMaxSymbols || head->first_symbol > kVdsoMaxSymbols ||
      head->bloom_words > kVdsoMaxSymbols) {
    return bad("hash table is out of range");
  }
  uint64_t buckets = dynamic.gnu_hash + sizeof(GnuHash) + uint64_t{head->bloom_words} * 8;
  uint64_t chains = buckets + uint64_t{head->buckets} * 4;
  uint32_t last = 0;
  for (uint64_t i = 0; i < head->buckets; ++i) {
    std::optional<uint32_t> first = image.load<uint32_t>(buckets + i * 4);
    if (!first) return bad("hash table is outside the image");
    last = std::max(last, *first);
  }
  if (last == 0) return uint64_t{head->first_symbol};
  if (last < head->first_symbol) return bad("hash table is out of range");
  for (;; ++last) {
    if (last >= kVdsoMaxSymbols) return bad("hash chain is too long");
    std::optional<uint32_t> chain =
        image.load<uint32_t>(chains + uint64_t{last - head->first_symbol} * 4);
    if (!chain) return bad("hash chain is outside the image");
    if ((*chain & 1) != 0) return uint64_t{last} + 1;
  }
}

}  // namespace

const VdsoSymbol* Vdso::find(std::string_view name) const {
  for (const VdsoSymbol& symbol : symbols) {
    if (symbol.name == name) return &symbol;
  }
  return nullptr;
}

Result<Vdso> parse_vdso(std::span<const std::byte> bytes) {
  if (bytes.size() > kVdsoMaxBytes) return bad("image is too large");
  Image image(bytes);
  Segments segments = OM_TRY(read_segments(image));
  Dynamic dynamic = OM_TRY(read_dynamic(image, segments));
  uint64_t count = OM_TRY(count_symbols(image, dynamic));
  Vdso vdso;
  vdso.text_lo = segments.text_lo;
  vdso.text_hi = segments.text_hi;
  for (uint64_t i = 1; i < count; ++i) {
    std::optional<Elf64_Sym> symbol =
        image.load<Elf64_Sym>(dynamic.symbols + i * sizeof(Elf64_Sym));
    if (!symbol) return bad("symbol table is outside the image");
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE) continue;
    if (type != STT_FUNC && type != STT_NOTYPE) continue;
    uint64_t offset = symbol->st_value - segments.link_base;
    if (offset < vdso.text_lo || offset >= vdso.text_hi ||
        symbol->st_size > vdso.text_hi - offset) {
      return bad("a function is outside the text");
    }
    if (symbol->st_name >= dynamic.string_bytes) return bad("a name is outside the string table");
    std::optional<std::string> name = image.string_at(dynamic.strings + symbol->st_name);
    if (!name || name->empty()) return bad("a name is not a string");
    vdso.symbols.push_back(VdsoSymbol{std::move(*name), offset, symbol->st_size});
  }
  std::sort(vdso.symbols.begin(), vdso.symbols.end(), [](const VdsoSymbol& a, const VdsoSymbol& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.name < b.name;
  });
  return vdso;
}

}  // namespace om
