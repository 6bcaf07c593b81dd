// SPDX-License-Identifier: Apache-2.0
//
// om stack: where every thread is. Away, the body stands still for as long as it takes to read its stacks, as for a
// homecoming that does not take place; at home the process is stopped by ptrace. Tables and names come from the files
// that the process has mapped at home, which is quicker than asking the keeper and the same.
#include <kj/common.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "deputy/base/text.h"
#include "deputy/home/frames.h"
#include "deputy/home/unwinder.h"
#include "deputy/mover.h"
#include "gen/syscalls_names.h"
#include "libom/abi/thread.h"

namespace om::deputy {

namespace {

constexpr auto kKeeperAnswers = 30 * kj::SECONDS;
constexpr uint64_t kChunk = 64 << 10;
constexpr size_t kMaxFrames = 128;        // of one thread
constexpr size_t kMaxTextBytes = 700000;  // of all; a line to the daemon has kMaxReportBytes

struct StandingThread {
  pid_t tid = 0;
  int64_t nr = -1;  // of the call that it is in
  uint64_t gpr[kGprCount] = {};
};

nlohmann::json to_json(const StackFrame& f) {
  nlohmann::json out{{"ip", fmt::format("{:#018x}", f.ip)}};
  if (!f.symbol.empty()) {
    out["symbol"] = f.symbol;
    out["offset"] = f.offset;
  }
  if (!f.module.empty()) {
    out["module"] = f.module;
    out["module_offset"] = f.module_offset;
  }
  if (f.signal) out["signal"] = true;
  return out;
}

nlohmann::json unwind_all(Unwinder& unwinder, pid_t pid,
                          const std::vector<StandingThread>& threads) {
  nlohmann::json list = nlohmann::json::array();
  size_t bytes = 0;
  for (const StandingThread& t : threads) {
    nlohmann::json frames = nlohmann::json::array();
    for (const StackFrame& f : unwinder.unwind(t.gpr, kMaxFrames)) {
      bytes += f.symbol.size() + f.module.size() + 128;
      if (bytes < kMaxTextBytes) frames.push_back(to_json(f));
    }
    auto name = read_text(fmt::format("/proc/{}/task/{}/comm", pid, t.tid));
    std::string comm = name ? *name : "";
    while (!comm.empty() && comm.back() == '\n') comm.pop_back();
    nlohmann::json item{{"tid", t.tid}, {"name", comm}, {"frames", std::move(frames)}};
    if (t.nr >= 0) item["call"] = name_of_call(static_cast<uint64_t>(t.nr));
    list.push_back(std::move(item));
  }
  return list;
}

std::string root_of(pid_t pid) { return proc::proc_path(proc::memory_tid(pid), "root"); }

}  // namespace

nlohmann::json Mover::stack() {
  nlohmann::json threads = nlohmann::json::array();
  Step done = Done{};
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 done = away_ ? stack_of_body(threads) : stack_at_home(threads);
               })) {
    done = broken(*exception, ReasonCode::kOutOfReach);
    if (away_) session_.renew_bulk();
    KJ_IF_MAYBE (keeper, session_.keeper()) {
      if (watch_) watch_->tasks().add(keeper->resumeRequest().send().ignoreResult());
    }
  }
  if (!away_) finished_ = true;
  if (!done)
    return {{"result", "refused"},
            {"code", done.reason().name()},
            {"message", done.reason().message()}};
  return {{"result", "looked"}, {"pid", home_.pid}, {"at", at_}, {"threads", std::move(threads)}};
}

Step Mover::stack_of_body(nlohmann::json& threads) {
  OM_STEP(wait_for_keeper());
  schema::Keeper::Client keeper = KJ_ASSERT_NONNULL(session_.keeper(), "just waited for");
  auto body = session_.stop_body(keeper, true);
  KJ_DEFER(session_.resume_body(keeper));
  OM_STEP(check(body.getVerdict()));
  std::vector<StandingThread> standing;
  if (body.getState().getThreads().size() > kMaxSlots)
    return refuse(ReasonCode::kInternal, "the keeper's answer is malformed");
  for (auto t : body.getState().getThreads()) {
    ThreadState s{};
    if (t.getState().size() != sizeof s)
      return refuse(ReasonCode::kInternal, "the keeper's answer is malformed");
    memcpy(&s, t.getState().begin(), sizeof s);
    StandingThread& to = standing.emplace_back();
    to.tid = s.tid;
    if (s.kind == kThreadWaiting) to.nr = s.nr;
    std::copy(std::begin(s.regs), std::end(s.regs), std::begin(to.gpr));
  }
  OM_MUST_VOID(home_.target->reread_maps());
  std::map<uint64_t, std::vector<std::byte>> chunks;
  auto from_body = [&](uint64_t address, std::span<std::byte> to) {
    const uint64_t at = address & ~(kChunk - 1);
    for (uint64_t start : {at, address}) {
      auto [it, fresh] = chunks.try_emplace(start);
      if (fresh) {
        auto request = keeper.peekRequest();
        request.setAddress(start);
        request.setBytes(kChunk);
        auto answer = session_.ask(request, kKeeperAnswers);
        auto data = answer.getData();
        const auto* bytes = reinterpret_cast<const std::byte*>(data.begin());
        it->second.assign(bytes, bytes + std::min<size_t>(data.size(), kChunk));
      }
      const uint64_t from = address - start;
      if (from + to.size() <= it->second.size()) {
        memcpy(to.data(), it->second.data() + from, to.size());
        return true;
      }
    }
    return false;
  };
  auto read = [&](uint64_t address, std::span<std::byte> to) {
    const auto* map = proc::find_mapping(home_.target->maps, address);
    const bool of_file =
        map != nullptr && (map->kind == proc::MapKind::kFile || map->kind == proc::MapKind::kVdso);
    if (of_file && (map->prot & PROT_WRITE) == 0 && home_.target->memory.read(address, to))
      return true;
    return from_body(address, to);
  };
  Unwinder unwinder(home_.target->maps, root_of(home_.pid), read);
  threads = unwind_all(unwinder, home_.pid, standing);
  return Done{};
}

Step Mover::stack_at_home(nlohmann::json& threads) {
  auto maps = OM_MUST(proc::read_maps(proc::memory_tid(home_.pid)));
  // A program without libom is shown, too; there is nothing in it that could complete a call.
  auto target = open_target(home_.pid);
  auto stop = OM_STEP(StoppedProcess::stop(
      home_.pid, {.settle = false, .target = target ? &target.value() : nullptr}));
  KJ_DEFER(stop.release());
  auto memory = OM_MUST(ProcessMemory::open(proc::memory_tid(home_.pid)));
  std::vector<StandingThread> standing;
  for (const StoppedThread& t : stop.threads()) {
    if (t.tracee.gone()) continue;
    StandingThread& to = standing.emplace_back();
    to.tid = t.tid;
    if (t.in_call()) to.nr = static_cast<int64_t>(t.regs.orig_rax);
    const ResumeFrame frame = frame_of(t.regs, 0);
    std::copy(std::begin(frame.gpr), std::end(frame.gpr), std::begin(to.gpr));
  }
  Unwinder unwinder(
      std::move(maps), root_of(home_.pid),
      [&](uint64_t address, std::span<std::byte> to) { return memory.read(address, to).ok(); });
  threads = unwind_all(unwinder, home_.pid, standing);
  return Done{};
}

}  // namespace om::deputy
