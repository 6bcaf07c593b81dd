// SPDX-License-Identifier: Apache-2.0
#include "guest/objects.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "guest/body_process.h"
#include "libom/abi/memory.h"

namespace om::guest {

Step Objects::make(BodyProcess& body, const std::vector<Description::Object>& objects) {
  objects_.clear();
  for (const auto& o : objects) {
    Object object{UniqueFd(::memfd_create("om-object", MFD_CLOEXEC)), o.view, o.bytes};
    if (!object.fd || ::ftruncate(object.fd.get(), static_cast<off_t>(object.bytes)) != 0)
      return internal(errno_error("make shared memory"));
    BodyMessage m{};
    m.type = kBodyObject;
    m.a = object.view;
    m.b = object.view + page_up(object.bytes);
    OM_MUST_VOID(body.send(m, nullptr, 0, object.fd.get()));
    objects_.push_back(std::move(object));
  }
  return {};
}

bool Objects::contain(uint64_t lo, uint64_t hi) const {
  return std::any_of(objects_.begin(), objects_.end(), [&](const Object& o) {
    return o.view <= lo && hi <= o.view + page_up(o.bytes);
  });
}

void Objects::add_places(std::vector<ExpectedPages::Place>& places) const {
  for (const Object& o : objects_) places.push_back({o.view, o.view + page_up(o.bytes)});
}

void Objects::add_places(std::vector<proc::Mapping>& maps) const {
  std::erase_if(maps, [&](const proc::Mapping& m) { return contain(m.start, m.end); });
  for (const Object& o : objects_) {
    proc::Mapping m;
    m.start = o.view;
    m.end = o.view + page_up(o.bytes);
    maps.push_back(m);
  }
  std::sort(maps.begin(), maps.end(),
            [](const proc::Mapping& a, const proc::Mapping& b) { return a.start < b.start; });
}

Result<std::vector<proc::PageRun>> Objects::runs(uint64_t lo, uint64_t hi) const {
  std::vector<proc::PageRun> runs;
  for (const Object& o : objects_) {
    if (lo < o.view || hi > o.view + page_up(o.bytes)) continue;
    for (uint64_t at = lo; at < hi;) {
      const off_t data = ::lseek(o.fd.get(), static_cast<off_t>(at - o.view), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // nothing beyond it
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
