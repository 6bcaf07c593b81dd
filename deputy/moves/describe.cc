// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/describe.h"

#include <string.h>
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
#include "common/image/description.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/base/host.h"
#include "deputy/moves/cpu_use.h"
#include "libom/abi/anchor.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

Description::Process process_of(const Described& what) {
  Description::Process p;
  p.pid = what.plans.threads.empty() ? what.home.pid : what.home.inner_pid;
  if (const auto status = proc::read_status(what.home.pid)) {
    p.ppid = status->ppid;
    for (size_t i = 0; i < 4; i++) p.ids[i] = status->uid[i];
    for (size_t i = 0; i < 4; i++) p.ids[4 + i] = status->gid[i];
    // Signals whose handler is the program's own.
    p.caught = status->sig_caught;
  }
  if (const auto stat = proc::read_stat(proc::memory_tid(what.home.pid)))
    p.brk_start = stat->start_brk;
  p.brk_now = what.settings.brk_now;
  const auto data = proc::read_limit(what.home.pid, RLIMIT_DATA);
  p.brk_limit = data ? data->rlim_cur : RLIM_INFINITY;
  utsname uts{};
  ::uname(&uts);
  static_assert(sizeof p.uts == sizeof uts);
  memcpy(p.uts.data(), &uts, sizeof uts);
  p.fd_size = fd_size(what.home.pid);
  p.denies_exec = what.settings.denies_exec;
  p.writes_files = what.writes_files;
  return p;
}

}  // namespace

OfferedProcess make_offer(const HomeSide& home, const proc::Status& status, uint32_t threads) {
  const auto cmdline = proc::read_cmdline(proc::memory_tid(home.pid));
  const auto features = local_cpu_features();
  OfferedProcess offer;
  offer.keeper_gate_abi = home.target->anchor.keeper_gate_abi;
  offer.pid = home.pid;
  offer.uid = status.uid[0];
  offer.command = cmdline && !cmdline->empty() ? cmdline->front() : status.name;
  // Everything in a mapped file that is not zero is sent, whether it is in memory here or not.
  uint64_t memory = status.vm_rss_bytes + status.vm_swap_bytes;
  for (const auto& m : home.target->maps) {
    if (m.kind == proc::MapKind::kFile && (m.prot & PROT_READ) != 0)
      memory += readable_end(home.target->memory, {m.start, m.end}) - m.start;
  }
  offer.memory_bytes = memory;
  offer.threads = threads;
  offer.cpus = possible_cpus();
  offer.home_cpus = keeps_home_cpus(home);
  if (features) offer.cpu_features = *features;
  return offer;
}

Step describe_libom(const HomeSide& home, const OfferedProcess& offer,
                    wire::BodySpec::Builder spec) {
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
  spec.setCpus(offer.cpus);
  spec.setHomeCpus(offer.home_cpus);
  return Done{};
}

Step describe_process(const Described& what, wire::Image::Builder image) {
  Description d;
  d.epoch = what.home.state.epoch;
  d.process = process_of(what);
  what.space.add_to(d);
  for (uint64_t i = 0; i < what.home.state.object_count; i++) {
    const MemoryObject& o = what.home.state.objects[i];
    d.objects.push_back({o.view, o.bytes, o.is_open != 0});
  }
  for (size_t i = 0; i < what.plans.threads.size(); i++) {
    what.plans.threads[i].state.xstate_bytes = what.plans.xsaves[i].size();
    d.threads.push_back({what.plans.threads[i].state, what.plans.xsaves[i]});
  }
  d.xstate = OM_MUST(local_layout());
  d.clocks = {static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)),
              static_cast<int64_t>(now_ns(CLOCK_REALTIME)), 0};
  write_description(d, image);
  return Done{};
}

}  // namespace om::deputy
