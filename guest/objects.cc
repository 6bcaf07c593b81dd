// SPDX-License-Identifier: Apache-2.0
//
// Memory objects of the guest (MemoryObject of libom/abi/home.h): each is a memfd of the keeper's, of which the body
// has one mapping with all of it, made before it was confined, and of that as many views as the program had. Pages go
// in through the body's mapping. What there is to collect the descriptor says: page tables do not show what has been
// swapped out of shared memory.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "guest/keeper.h"

namespace om::guest {

Step Keeper::make_objects(capnp::List<schema::MemoryObject>::Reader objects) {
  objects_.clear();
  for (auto o : objects) {
    Object object{UniqueFd(::memfd_create("om-object", MFD_CLOEXEC)), o.getView(), o.getBytes()};
    if (!object.fd || ::ftruncate(object.fd.get(), static_cast<off_t>(object.bytes)) != 0)
      return internal(errno_error("make shared memory"));
    BodyMessage m{};
    m.type = kBodyObject;
    m.a = object.view;
    m.b = object.view + page_up(object.bytes);
    OM_MUST_VOID(body_.send(m, nullptr, 0, object.fd.get()));
    objects_.push_back(std::move(object));
  }
  return {};
}

bool Keeper::is_in_object(uint64_t lo, uint64_t hi) const {
  return std::any_of(objects_.begin(), objects_.end(), [&](const Object& o) {
    return o.view <= lo && hi <= o.view + page_up(o.bytes);
  });
}

// Their contents are looked at through their descriptors, whether the body has mapped them or not.
void Keeper::add_object_places(std::vector<proc::Mapping>& maps) const {
  std::erase_if(maps, [&](const proc::Mapping& m) { return is_in_object(m.start, m.end); });
  for (const Object& o : objects_) {
    proc::Mapping m;
    m.start = o.view;
    m.end = o.view + page_up(o.bytes);
    maps.push_back(m);
  }
  std::sort(maps.begin(), maps.end(),
            [](const proc::Mapping& a, const proc::Mapping& b) { return a.start < b.start; });
}

Result<std::vector<proc::PageRun>> Keeper::object_runs(uint64_t lo, uint64_t hi) const {
  std::vector<proc::PageRun> runs;
  for (const Object& o : objects_) {
    if (lo < o.view || hi > o.view + page_up(o.bytes)) continue;
    for (uint64_t at = lo; at < hi;) {
      const off_t data = ::lseek(o.fd.get(), static_cast<off_t>(at - o.view), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // nothing behind it
      if (data < 0) return errno_error("look for shared memory");
      const off_t hole = ::lseek(o.fd.get(), data, SEEK_HOLE);
      if (hole < 0) return errno_error("look for shared memory");
      const uint64_t start = o.view + static_cast<uint64_t>(data);
      at = std::min(hi, o.view + page_up(static_cast<uint64_t>(hole)));
      if (start < at) runs.push_back({start, at, true, false});
    }
  }
  return runs;
}

}  // namespace om::guest
