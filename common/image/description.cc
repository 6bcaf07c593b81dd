// SPDX-License-Identifier: Apache-2.0
#include "common/image/description.h"

#include <string.h>

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "libom/abi/memory.h"
#include "libom/abi/plan.h"

namespace om {
namespace {

using MappingKind = Description::MappingKind;
using MarkKind = Description::MarkKind;

constexpr uint32_t kMaxMarks = 1 << 20;
constexpr uint64_t kFsBaseEnd = kProgramTop - kPageSize;

bool is_page(uint64_t address) { return address % kPageSize == 0; }

bool is_range(uint64_t lo, uint64_t hi) {
  return is_page(lo) && is_page(hi) && lo < hi && hi <= kProgramTop;
}

kj::ArrayPtr<const kj::byte> to_kj(std::span<const std::byte> bytes) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}

std::span<const std::byte> from_kj(kj::ArrayPtr<const kj::byte> bytes) {
  return std::as_bytes(std::span(bytes.begin(), bytes.size()));
}

Step read_objects(wire::Image::Reader image, Description& d) {
  if (image.getObjects().size() > kMaxMemoryObjects)
    return refuse(ReasonCode::kInternal, "too many memory objects");
  for (auto o : image.getObjects()) {
    const uint64_t view = o.getView(), bytes = o.getBytes();
    if (!is_page(view) || bytes == 0 || view >= kProgramTop || bytes > kProgramTop - view)
      return refuse(ReasonCode::kInternal, "a memory object at {:#x} cannot be there", view);
    d.objects.push_back({view, bytes, o.getIsOpen()});
  }
  return Done{};
}

// Whether a view shows a page of one of the objects.
bool is_view(const Description::Mapping& m, const Description& d) {
  return m.object < d.objects.size() && is_page(m.offset) &&
         m.offset < page_up(d.objects[m.object].bytes);
}

Step read_mappings(wire::Image::Reader image, Description& d) {
  if (image.getMappings().size() > kMaxPlanEntries)
    return refuse(ReasonCode::kNoMemory, "too many mappings");
  for (auto in : image.getMappings()) {
    const Description::Mapping m{in.getLo(),   in.getHi(),     in.getProt(),
                                 in.getKind(), in.getObject(), in.getOffset()};
    if (!is_range(m.lo, m.hi) || m.lo < kPageSize || m.kind > MappingKind::VIEW ||
        (m.kind == MappingKind::VIEW && !is_view(m, d)))
      return refuse(ReasonCode::kInternal, "mapping {:#x}-{:#x} cannot be there", m.lo, m.hi);
    d.mappings.push_back(m);
  }
  return Done{};
}

// Mappings and objects, ascending.
std::vector<Range> places_of(const Description& d) {
  std::vector<Range> places;
  for (const auto& m : d.mappings) places.push_back({m.lo, m.hi});
  for (const auto& o : d.objects) places.push_back({o.view, o.view + page_up(o.bytes)});
  std::sort(places.begin(), places.end(),
            [](const Range& a, const Range& b) { return a.lo < b.lo; });
  return places;
}

Step read_marks(wire::Image::Reader image, const std::vector<Range>& places, Description& d) {
  if (image.getMarks().size() > kMaxMarks) return refuse(ReasonCode::kNoMemory, "too many marks");
  size_t guards = 0;
  for (auto in : image.getMarks()) {
    const Description::Mark m{in.getLo(), in.getHi(), in.getKind()};
    if (!is_range(m.lo, m.hi) || m.kind > MarkKind::WRITTEN)
      return refuse(ReasonCode::kInternal, "mark {:#x}-{:#x} cannot be there", m.lo, m.hi);
    if (m.kind == MarkKind::GUARD) {
      auto behind = std::upper_bound(places.begin(), places.end(), m.lo,
                                     [](uint64_t at, const Range& p) { return at < p.lo; });
      if (behind == places.begin() || m.hi > std::prev(behind)->hi)
        return refuse(ReasonCode::kInternal, "guard pages {:#x}-{:#x} are in no mapping", m.lo,
                      m.hi);
      if (++guards > kMaxPlanEntries) return refuse(ReasonCode::kNoMemory, "too many mappings");
    }
    d.marks.push_back(m);
  }
  return Done{};
}

Step read_threads(wire::Image::Reader image, Description& d) {
  std::set<uint32_t> slots;
  for (auto in : image.getThreads()) {
    Description::Thread t{};
    if (in.getState().size() != sizeof t.state)
      return refuse(ReasonCode::kInternal, "a thread's state is incomplete");
    memcpy(&t.state, in.getState().begin(), sizeof t.state);
    if (t.state.slot >= kMaxSlots || !slots.insert(t.state.slot).second)
      return refuse(ReasonCode::kInternal, "two threads of slot {}", t.state.slot);
    // The kernel does not accept these from a tracer.
    if ((t.state.kind != kThreadUser && t.state.kind != kThreadWaiting) ||
        t.state.kernel.fs_base >= kFsBaseEnd)
      return refuse(ReasonCode::kInternal, "no thread is as that of slot {}", t.state.slot);
    const auto area = from_kj(in.getXsave());
    if (area.size() > kXsaveMaxBytes)
      return refuse(ReasonCode::kInternal, "the vector state of thread slot {} is too long",
                    t.state.slot);
    t.xsave.assign(area.begin(), area.end());
    d.threads.push_back(std::move(t));
  }
  return Done{};
}

Result<XstateLayout> read_xstate(wire::Xstate::Reader in) {
  XstateLayout layout;
  layout.size = in.getSize();
  layout.mxcsr_mask = in.getMxcsrMask();
  layout.xcr0 = in.getXcr0();
  auto offsets = in.getOffsets();
  auto sizes = in.getSizes();
  if (offsets.size() != kXstateComponents || sizes.size() != kXstateComponents)
    return plain_error("the XSAVE layout is incomplete");
  for (unsigned i = 0; i < kXstateComponents; i++) layout.comp[i] = {offsets[i], sizes[i]};
  if (auto valid = validate(layout); !valid) return valid.error();
  return layout;
}

Step read_process(wire::Process::Reader in, Description::Process& p) {
  auto ids = in.getIds();
  if (in.getUts().size() != p.uts.size() || ids.size() != p.ids.size())
    return refuse(ReasonCode::kInternal, "the description of the process is incomplete");
  p.pid = in.getPid();
  p.ppid = in.getPpid();
  for (unsigned i = 0; i < p.ids.size(); i++) p.ids[i] = ids[i];
  p.brk_start = in.getBrkStart();
  p.brk_now = in.getBrkNow();
  p.brk_limit = in.getBrkLimit();
  memcpy(p.uts.data(), in.getUts().begin(), p.uts.size());
  p.vdso_lo = in.getVdsoLo();
  p.vdso_hi = in.getVdsoHi();
  p.caught = in.getCaught();
  p.fd_size = in.getFdSize();
  p.denies_exec = in.getDeniesExec();
  p.writes_files = in.getWritesFiles();
  return Done{};
}

void write_xstate(const XstateLayout& layout, wire::Xstate::Builder xstate) {
  xstate.setSize(layout.size);
  xstate.setMxcsrMask(layout.mxcsr_mask);
  xstate.setXcr0(layout.xcr0);
  auto offsets = xstate.initOffsets(kXstateComponents);
  auto sizes = xstate.initSizes(kXstateComponents);
  for (unsigned i = 0; i < kXstateComponents; i++) {
    offsets.set(i, layout.comp[i].offset);
    sizes.set(i, layout.comp[i].size);
  }
}

void write_memory(const Description& d, wire::Image::Builder image) {
  auto mappings = image.initMappings(static_cast<unsigned>(d.mappings.size()));
  for (unsigned i = 0; i < mappings.size(); i++) {
    const Description::Mapping& m = d.mappings[i];
    mappings[i].setLo(m.lo);
    mappings[i].setHi(m.hi);
    mappings[i].setProt(m.prot);
    mappings[i].setKind(m.kind);
    mappings[i].setObject(m.object);
    mappings[i].setOffset(m.offset);
  }
  auto objects = image.initObjects(static_cast<unsigned>(d.objects.size()));
  for (unsigned i = 0; i < objects.size(); i++) {
    objects[i].setView(d.objects[i].view);
    objects[i].setBytes(d.objects[i].bytes);
    objects[i].setIsOpen(d.objects[i].is_open);
  }
  auto marks = image.initMarks(static_cast<unsigned>(d.marks.size()));
  for (unsigned i = 0; i < marks.size(); i++) {
    marks[i].setLo(d.marks[i].lo);
    marks[i].setHi(d.marks[i].hi);
    marks[i].setKind(d.marks[i].kind);
  }
}

void write_process(const Description::Process& p, wire::Process::Builder out) {
  out.setPid(p.pid);
  out.setPpid(p.ppid);
  auto ids = out.initIds(static_cast<unsigned>(p.ids.size()));
  for (unsigned i = 0; i < p.ids.size(); i++) ids.set(i, p.ids[i]);
  out.setBrkStart(p.brk_start);
  out.setBrkNow(p.brk_now);
  out.setBrkLimit(p.brk_limit);
  out.setUts(to_kj(p.uts));
  out.setVdsoLo(p.vdso_lo);
  out.setVdsoHi(p.vdso_hi);
  out.setCaught(p.caught);
  out.setFdSize(p.fd_size);
  out.setDeniesExec(p.denies_exec);
  out.setWritesFiles(p.writes_files);
}

}  // namespace

const Description::Mapping* Description::stack() const {
  auto last = std::find_if(mappings.rbegin(), mappings.rend(),
                           [](const Mapping& m) { return m.kind == MappingKind::STACK; });
  return last == mappings.rend() ? nullptr : &*last;
}

Verdict<Description> read_description(wire::Image::Reader image) {
  if (image.getVersion() != kImageVersion)
    return refuse(ReasonCode::kVersion, "the description is of version {}, this is {}",
                  image.getVersion(), kImageVersion);
  Description d;
  d.epoch = image.getEpoch();
  OM_TRY(read_objects(image, d));
  OM_TRY(read_mappings(image, d));
  const std::vector<Range> places = places_of(d);
  for (size_t i = 1; i < places.size(); i++) {
    if (places[i].lo < places[i - 1].hi) return refuse(ReasonCode::kInternal, "mappings overlap");
  }
  OM_TRY(read_marks(image, places, d));
  OM_TRY(read_threads(image, d));
  d.xstate = OM_MUST(read_xstate(image.getXstate()));
  d.clocks = {image.getClocks().getMonoNs(), image.getClocks().getRealNs(),
              image.getClocks().getCpuNs()};
  if (!is_time(d.clocks.mono_ns) || !is_time(d.clocks.real_ns))
    return refuse(ReasonCode::kInternal, "a clock shows no time");
  OM_TRY(read_process(image.getProcess(), d.process));
  return d;
}

void write_description(const Description& d, wire::Image::Builder image) {
  image.setVersion(kImageVersion);
  image.setEpoch(d.epoch);
  write_memory(d, image);
  auto threads = image.initThreads(static_cast<unsigned>(d.threads.size()));
  for (unsigned i = 0; i < threads.size(); i++) {
    threads[i].setState(to_kj(std::as_bytes(std::span(&d.threads[i].state, 1))));
    threads[i].setXsave(to_kj(d.threads[i].xsave));
  }
  write_xstate(d.xstate, image.initXstate());
  auto clocks = image.initClocks();
  clocks.setMonoNs(d.clocks.mono_ns);
  clocks.setRealNs(d.clocks.real_ns);
  clocks.setCpuNs(d.clocks.cpu_ns);
  write_process(d.process, image.initProcess());
}

}  // namespace om
