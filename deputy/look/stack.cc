// SPDX-License-Identifier: Apache-2.0
#include "deputy/look/stack.h"

#include <kj/common.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/base/log.h"
#include "common/image/description.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "deputy/base/text.h"
#include "deputy/home/frames.h"
#include "deputy/home/unwinder.h"
#include "gen/syscalls_names.h"
#include "libom/abi/thread.h"

namespace om::deputy {

namespace {

constexpr auto kKeeperAnswers = 30 * kj::SECONDS;
constexpr uint64_t kChunk = 64 << 10;
constexpr size_t kMaxFrames = 128;        // of one thread
constexpr size_t kMaxTextBytes = 700000;  // of all; the daemon takes a report of 1 MiB

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

// Memory of the body, in pieces that are fetched once.
class BodyMemory {
 public:
  BodyMemory(Session& session, schema::Body::Client& body) : session_(session), body_(body) {}

  bool read(uint64_t address, std::span<std::byte> to) {
    const uint64_t at = address & ~(kChunk - 1);
    for (const uint64_t start : {at, address}) {
      const std::vector<std::byte>& chunk = fetch(start);
      const uint64_t from = address - start;
      if (from + to.size() > chunk.size()) continue;
      memcpy(to.data(), chunk.data() + from, to.size());
      return true;
    }
    return false;
  }

 private:
  const std::vector<std::byte>& fetch(uint64_t start) {
    auto [it, fresh] = chunks_.try_emplace(start);
    if (!fresh) return it->second;
    auto request = body_.peekRequest();
    request.setAddress(start);
    request.setBytes(kChunk);
    auto answer = session_.ask(request, kKeeperAnswers);
    auto data = answer.getData();
    const auto* bytes = reinterpret_cast<const std::byte*>(data.begin());
    it->second.assign(bytes, bytes + std::min<size_t>(data.size(), kChunk));
    return it->second;
  }

  Session& session_;
  schema::Body::Client& body_;
  std::map<uint64_t, std::vector<std::byte>> chunks_;
};

std::vector<StandingThread> standing_threads(const Description& body) {
  std::vector<StandingThread> standing;
  for (const auto& t : body.threads) {
    const ThreadState& s = t.state;
    StandingThread& to = standing.emplace_back();
    to.tid = s.tid;
    if (s.kind == kThreadWaiting) to.nr = s.nr;
    std::copy(std::begin(s.regs), std::end(s.regs), std::begin(to.gpr));
  }
  return standing;
}

Step stack_of_body(Process& process, nlohmann::json& threads) {
  OM_TRY(process.wait_for_keeper());
  schema::Body::Client body = KJ_ASSERT_NONNULL(process.session.body(), "just waited for");
  auto stopped = process.session.stop_body(body, true);
  KJ_DEFER(process.session.resume_body(body));
  OM_TRY(check(stopped.getVerdict()));
  const auto standing = standing_threads(OM_TRY(read_description(stopped.getState())));
  OM_MUST_VOID(process.home.target->reread_maps());
  BodyMemory body_memory(process.session, body);
  auto read = [&](uint64_t address, std::span<std::byte> to) {
    const auto* map = proc::find_mapping(process.home.target->maps, address);
    const bool of_file =
        map != nullptr && (map->kind == proc::MapKind::kFile || map->kind == proc::MapKind::kVdso);
    if (of_file && (map->prot & PROT_WRITE) == 0 && process.home.target->memory.read(address, to))
      return true;
    return body_memory.read(address, to);
  };
  Unwinder unwinder(process.home.target->maps, root_of(process.home.pid), read);
  threads = unwind_all(unwinder, process.home.pid, standing);
  return Done{};
}

Step stack_at_home(Process& process, nlohmann::json& threads) {
  auto maps = OM_MUST(proc::read_maps(proc::memory_tid(process.home.pid)));
  // A program without libom is shown, too; there is nothing in it that could complete a call.
  auto target = open_target(process.home.pid);
  auto stop = OM_TRY(StoppedProcess::stop(
      process.home.pid, {.settle = false, .target = target ? &target.value() : nullptr}));
  KJ_DEFER(stop.release());
  auto memory = OM_MUST(ProcessMemory::open(proc::memory_tid(process.home.pid)));
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
      std::move(maps), root_of(process.home.pid),
      [&](uint64_t address, std::span<std::byte> to) { return memory.read(address, to).ok(); });
  threads = unwind_all(unwinder, process.home.pid, standing);
  return Done{};
}

}  // namespace

Verdict<nlohmann::json> stack_of(Process& process) {
  nlohmann::json threads = nlohmann::json::array();
  Step done = Done{};
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 done = process.away() ? stack_of_body(process, threads)
                                       : stack_at_home(process, threads);
               })) {
    done = broken(*exception, ReasonCode::kOutOfReach);
    if (process.away()) process.let_body_go_on();
  }
  if (!process.away()) process.come_back();
  if (!done) return done.error();
  return nlohmann::json{{"result", "looked"},
                        {"pid", process.home.pid},
                        {"at", process.at()},
                        {"threads", std::move(threads)}};
}

}  // namespace om::deputy
