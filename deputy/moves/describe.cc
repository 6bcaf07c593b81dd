// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/describe.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/cpu/cpu_features.h"
#include "common/cpu/xstate.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/base/host.h"
#include "libom/abi/anchor.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

void write_threads(ThreadPlans& plans, wire::Image::Builder image) {
  auto threads = image.initThreads(static_cast<unsigned>(plans.threads.size()));
  for (unsigned i = 0; i < plans.threads.size(); i++) {
    plans.threads[i].state.xstate_bytes = plans.xsaves[i].size();
    threads[i].setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&plans.threads[i].state),
                                     sizeof(ThreadState)));
    threads[i].setXsave(kj::arrayPtr(reinterpret_cast<const kj::byte*>(plans.xsaves[i].data()),
                                     plans.xsaves[i].size()));
  }
}

void write_xstate(const XstateLayout& layout, wire::Image::Builder image) {
  auto xstate = image.initXstate();
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

}  // namespace

Result<nlohmann::json> make_offer(const HomeSide& home, const proc::Status& status,
                                  uint32_t threads) {
  const auto cmdline = proc::read_cmdline(proc::memory_tid(home.pid));
  const auto features = local_cpu_features();
  nlohmann::json offer;
  offer["abi"] = home.target->anchor.keeper_gate_abi;
  offer["pid"] = home.pid;
  offer["uid"] = status.uid[0];
  offer["command"] = cmdline && !cmdline->empty() ? cmdline->front() : status.name;
  // Of a mapped file everything that is not zero is sent, whether it is in memory here or not.
  uint64_t memory = status.vm_rss_bytes + status.vm_swap_bytes;
  for (const auto& m : home.target->maps) {
    if (m.kind == proc::MapKind::kFile && (m.prot & PROT_READ) != 0)
      memory += readable_end(home.target->memory, {m.start, m.end}) - m.start;
  }
  offer["memory_bytes"] = memory;
  offer["threads"] = threads;
  offer["cpus"] = possible_cpus();
  offer["cpu_features"] = features ? *features : std::vector<std::string>();
  return offer;
}

Step describe_libom(const HomeSide& home, wire::BodySpec::Builder spec) {
  std::vector<std::byte> image(home.target->image_hi() - home.target->image_lo());
  OM_MUST_VOID(home.target->memory.read(home.target->image_lo(), image));
  const Anchor& a = home.target->anchor;
  spec.setKeeperGateAbi(a.keeper_gate_abi);
  spec.setImageLo(home.target->image_lo());
  spec.setImageHi(home.target->image_hi());
  spec.setGateLo(a.gate_lo);
  spec.setGateHi(a.gate_hi);
  spec.setBodyEntry(a.body_entry);
  spec.setBodyState(a.body_state);
  spec.setArena(home.arena);
  spec.setSlots(home.state.nslots);
  spec.setImage(kj::arrayPtr(reinterpret_cast<const kj::byte*>(image.data()), image.size()));
  std::vector<proc::Mapping> segments;
  for (proc::Mapping m : home.target->maps) {
    // The end of libom's bss may share a mapping with memory of the program.
    m.start = std::max(m.start, home.target->image_lo());
    m.end = std::min(m.end, home.target->image_hi());
    if (m.start < m.end) segments.push_back(std::move(m));
  }
  auto out = spec.initSegments(static_cast<unsigned>(segments.size()));
  for (unsigned i = 0; i < segments.size(); i++) {
    out[i].setLo(segments[i].start);
    out[i].setHi(segments[i].end);
    out[i].setProt(static_cast<uint32_t>(segments[i].prot));
  }
  spec.setCpus(possible_cpus());
  return Done{};
}

Step describe_process(const Described& what, wire::Image::Builder image) {
  image.setEpoch(what.home.state.epoch);
  what.space.write(image);
  write_threads(what.plans, image);
  write_xstate(OM_MUST(local_layout()), image);
  image.setPid(what.plans.threads.empty() ? what.home.pid : what.home.inner_pid);
  const auto status = proc::read_status(what.home.pid);
  auto ids = image.initIds(8);
  if (status) {
    image.setPpid(status->ppid);
    for (unsigned i = 0; i < 4; i++) ids.set(i, status->uid[i]);
    for (unsigned i = 0; i < 4; i++) ids.set(4 + i, status->gid[i]);
    // Signals whose handler is the program's own.
    image.setCaught(status->sig_caught);
  }
  const auto stat = proc::read_stat(proc::memory_tid(what.home.pid));
  if (stat) image.setBrkStart(stat->start_brk);
  image.setBrkNow(what.settings.brk_now);
  const auto data = proc::read_limit(what.home.pid, RLIMIT_DATA);
  image.setBrkLimit(data ? data->rlim_cur : RLIM_INFINITY);
  utsname uts{};
  ::uname(&uts);
  image.setUts(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&uts), sizeof uts));
  image.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
  image.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
  image.setFdSize(fd_size(what.home.pid));
  image.setDeniesExec(what.settings.denies_exec);
  image.setWritesFiles(what.writes_files);
  auto objects = image.initObjects(static_cast<unsigned>(what.home.state.object_count));
  for (unsigned i = 0; i < objects.size(); i++) {
    objects[i].setView(what.home.state.objects[i].view);
    objects[i].setBytes(what.home.state.objects[i].bytes);
    objects[i].setIsOpen(what.home.state.objects[i].is_open != 0);
  }
  return Done{};
}

}  // namespace om::deputy
