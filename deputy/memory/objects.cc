// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "deputy/memory/address_space.h"
#include "libom/abi/memory.h"

namespace om::deputy {
namespace {

proc::ObjectId id_of(const MemoryObject& o) { return {major(o.dev), minor(o.dev), o.inode}; }

// Opens the object through a descriptor of the process; none if it has none, or may not write to it.
UniqueFd open_object(pid_t pid, const proc::ObjectId& id) {
  const auto fds = proc::list_fds(pid);
  if (!fds) return {};
  for (const proc::FdEntry& entry : *fds) {
    if (!entry.target.ends_with(" (deleted)")) continue;
    const std::string path = proc::proc_path(pid, "fd/" + std::to_string(entry.fd));
    struct stat info;
    if (::stat(path.c_str(), &info) != 0 ||
        proc::ObjectId{major(info.st_dev), minor(info.st_dev), info.st_ino} != id)
      continue;
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (fd) return fd;
  }
  return {};
}

bool write_all(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

// Writes zeros only where the file holds something, so that holes stay holes.
bool write_zeros(int fd, uint64_t offset, std::span<const std::byte> zeros) {
  for (uint64_t at = offset, end = offset + zeros.size(); at < end;) {
    const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) return errno == ENXIO;
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return false;
    const uint64_t lo = static_cast<uint64_t>(data), hi = std::min<uint64_t>(end, hole);
    if (lo < hi && !write_all(fd, lo, zeros.first(hi - lo))) return false;
    at = static_cast<uint64_t>(hole);
  }
  return true;
}

}  // namespace

const MemoryObject* object_of(const HomeSide& home, const proc::Mapping& map) {
  if (!map.shared) return nullptr;
  for (uint64_t i = 0; i < std::min<uint64_t>(home.state.object_count, kMaxMemoryObjects); i++) {
    if (id_of(home.state.objects[i]) == proc::object_of(map)) return &home.state.objects[i];
  }
  return nullptr;
}

// Gives each object of the report a place in the body with room for all of it, where at home only executors map.
Step MemoryObjects::find(const ProcessReport& report) {
  home_.state.object_count = 0;
  fds_.clear();
  if (report.objects.empty()) return Done{};
  if (report.objects.size() > kMaxMemoryObjects ||
      !has_executor_area(home_.arena, home_.state.nslots))
    return refuse(ReasonCode::kSharedWritable, "{} memory objects", report.objects.size());
  uint64_t place = executor_area_start(home_.arena, home_.state.nslots);
  for (const ProcessReport::Object& found : report.objects) {
    MemoryObject o{makedev(found.id.dev_major, found.id.dev_minor), found.id.inode, place, 0, 0};
    UniqueFd fd;
    if (found.is_open) {
      fd = open_object(home_.pid, found.id);
      struct stat info;
      if (!fd || ::fstat(fd.get(), &info) != 0)
        return refuse(ReasonCode::kSharedWritable, "memory object {} cannot be opened", o.inode);
      o.is_open = 1;
      o.bytes = static_cast<uint64_t>(info.st_size);
    } else {
      o.bytes = shown_bytes(found.id);
    }
    const bool taken = std::any_of(
        home_.target->maps.begin(), home_.target->maps.end(),
        [&](const auto& m) { return m.start < place + page_up(o.bytes) && m.end > place; });
    if (o.bytes == 0 || o.bytes > executor_area_end(home_.arena) - place || taken)
      return refuse(ReasonCode::kSharedWritable, "a memory object of {} bytes", o.bytes);
    place += page_up(o.bytes);
    home_.state.objects[home_.state.object_count++] = o;
    fds_.push_back(std::move(fd));
  }
  return Done{};
}

// How much of an object its mappings show.
uint64_t MemoryObjects::shown_bytes(const proc::ObjectId& id) const {
  uint64_t bytes = 0;
  for (const auto& m : home_.target->maps) {
    if (!m.shared || proc::object_of(m) != id) continue;
    const uint64_t end =
        (m.prot & PROT_READ) ? readable_end(home_.target->memory, {m.start, m.end}) : m.end;
    if (end > m.start) bytes = std::max(bytes, m.offset + (end - m.start));
  }
  return bytes;
}

bool MemoryObjects::contains(uint64_t address) const {
  for (uint64_t i = 0; i < std::min<uint64_t>(home_.state.object_count, kMaxMemoryObjects); i++) {
    const MemoryObject& o = home_.state.objects[i];
    if (address >= o.view && address - o.view < page_up(o.bytes)) return true;
  }
  return false;
}

Step MemoryObjects::ship(PageSink& sink) {
  for (uint64_t i = 0; i < home_.state.object_count; i++) {
    const MemoryObject& o = home_.state.objects[i];
    if (!fds_[i]) {
      ship_shown(sink, o);
      continue;
    }
    const int fd = fds_[i].get();
    for (off_t at = 0;;) {
      const off_t data = ::lseek(fd, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      const off_t hole = data < 0 ? -1 : ::lseek(fd, data, SEEK_HOLE);
      if (hole < 0) return internal(errno_error("read a memory object"));
      for (at = data; at < hole;) {
        const auto room = sink.buffer(page_up(static_cast<uint64_t>(hole - at)));
        const ssize_t n = ::pread(fd, room.data(), std::min<size_t>(room.size(), hole - at), at);
        if (n <= 0) return internal(errno_error("read a memory object"));
        const uint64_t whole = page_up(static_cast<uint64_t>(n));
        memset(room.data() + n, 0, whole - static_cast<uint64_t>(n));
        sink.pages(o.view + static_cast<uint64_t>(at), room.first(whole));
        at += n;
      }
    }
  }
  return Done{};
}

// Sends what the mappings of an object show, each part once.
void MemoryObjects::ship_shown(PageSink& sink, const MemoryObject& o) {
  std::vector<const proc::Mapping*> maps;
  for (const auto& m : home_.target->maps) {
    if (m.shared && proc::object_of(m) == id_of(o)) maps.push_back(&m);
  }
  std::sort(maps.begin(), maps.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  uint64_t sent = 0;
  for (const proc::Mapping* m : maps) {
    const uint64_t end = std::min(m->offset + (m->end - m->start), page_up(o.bytes));
    for (uint64_t at = std::max(sent, m->offset); at < end;) {
      const auto room = sink.buffer(end - at);
      const size_t got =
          home_.target->memory.read_some(m->start + (at - m->offset), room) & ~(kPageSize - 1);
      sink.pages(o.view + at, room.first(got));
      at += got < room.size() ? got + kPageSize : got;
    }
    sent = std::max(sent, end);
  }
}

// For store(), once home's mappings are as the body's were.
Step MemoryObjects::open() {
  fds_.clear();
  if (home_.state.object_count > kMaxMemoryObjects)
    return refuse(ReasonCode::kInternal, "{} memory objects", home_.state.object_count);
  for (uint64_t i = 0; i < home_.state.object_count; i++) {
    const MemoryObject& o = home_.state.objects[i];
    fds_.push_back(o.is_open != 0 ? open_object(home_.pid, id_of(o)) : UniqueFd());
    if (o.is_open != 0 && !fds_.back())
      return refuse(ReasonCode::kHomeMemory, "memory object {} cannot be opened", o.inode);
  }
  return Done{};
}

// Stores whole pages of the body's in an object. There is nothing beyond its end.
Step MemoryObjects::store(uint64_t address, std::span<const std::byte> bytes, bool zeros) {
  for (uint64_t i = 0; i < home_.state.object_count; i++) {
    const MemoryObject& o = home_.state.objects[i];
    const uint64_t view_end = o.view + page_up(o.bytes);
    if (address + bytes.size() <= o.view || address >= view_end) continue;
    // A frame may reach into neighbours.
    const uint64_t lo = std::max(address, o.view);
    const uint64_t hi = std::min({address + bytes.size(), view_end, o.view + o.bytes});
    if (lo >= hi) continue;
    const auto part = bytes.subspan(lo - address, hi - lo);
    if (!fds_[i]) {
      OM_TRY(store_in_mappings(o, lo - o.view, part));
      continue;
    }
    const int fd = fds_[i].get();
    if (!(zeros ? write_zeros(fd, lo - o.view, part) : write_all(fd, lo - o.view, part)))
      return refuse(ReasonCode::kHomeMemory, "{}", errno_error("write a memory object").text());
  }
  return Done{};
}

// Writes through the writable mappings: the body had no others. Leaves pages alone that are the same.
Step MemoryObjects::store_in_mappings(const MemoryObject& o, uint64_t offset,
                                      std::span<const std::byte> bytes) {
  std::array<std::byte, kPageSize> there;
  for (size_t at = 0; at < bytes.size(); at += kPageSize) {
    const auto page = bytes.subspan(at, std::min<size_t>(kPageSize, bytes.size() - at));
    for (const auto& m : home_.target->maps) {
      const uint64_t here = offset + at;
      if (!m.shared || (m.prot & PROT_WRITE) == 0 || proc::object_of(m) != id_of(o) ||
          here < m.offset || here - m.offset >= m.end - m.start)
        continue;
      const uint64_t address = m.start + (here - m.offset);
      if (!home_.target->memory.read(address, std::span(there).first(page.size()))) break;
      if (std::equal(page.begin(), page.end(), there.begin())) break;
      if (auto put = home_.target->memory.write(address, page); !put)
        return refuse(ReasonCode::kHomeMemory, "{}", put.error().text());
      break;
    }
  }
  return Done{};
}

}  // namespace om::deputy
