// SPDX-License-Identifier: Apache-2.0
//
// The description of the stopped process: kilobytes that tell the keeper what to build.
#include <sys/resource.h>
#include <sys/utsname.h>

#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/mover.h"
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

void Mover::describe(schema::Image::Builder image) {
  image.setEpoch(home_.state.epoch);
  space_.write(image);
  write_threads(plans_, image);
  write_xstate(xstate_layout_, image);
  image.setPid(plans_.threads.empty() ? home_.pid : home_.inner_pid);
  const auto status = proc::read_status(home_.pid);
  auto ids = image.initIds(8);
  if (status) {
    image.setPpid(status->ppid);
    for (unsigned i = 0; i < 4; i++) ids.set(i, status->uid[i]);
    for (unsigned i = 0; i < 4; i++) ids.set(4 + i, status->gid[i]);
    // Signals whose handler is the program's own.
    image.setCaught(status->sig_caught);
  }
  const auto stat = proc::read_stat(proc::memory_tid(home_.pid));
  if (stat) image.setBrkStart(stat->start_brk);
  image.setBrkNow(settings_.brk_now);
  const auto data = proc::read_limit(home_.pid, RLIMIT_DATA);
  image.setBrkLimit(data ? data->rlim_cur : RLIM_INFINITY);
  utsname uts{};
  ::uname(&uts);
  image.setUts(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&uts), sizeof uts));
  image.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
  image.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
  image.setFdSize(fd_size(home_.pid));
  image.setDeniesExec(settings_.denies_exec);
  image.setWritesFiles(files_.writes_files());
  auto objects = image.initObjects(static_cast<unsigned>(home_.state.object_count));
  for (unsigned i = 0; i < objects.size(); i++) {
    objects[i].setView(home_.state.objects[i].view);
    objects[i].setBytes(home_.state.objects[i].bytes);
    objects[i].setIsOpen(home_.state.objects[i].is_open != 0);
  }
}

}  // namespace om::deputy
