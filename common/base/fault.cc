// SPDX-License-Identifier: Apache-2.0
#include "common/base/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <thread>

#include "common/base/log.h"
#include "common/base/text.h"

namespace om {
namespace {

constexpr FaultStep kSteps[] = {
    {"depart.inspect", "the deputy looks at the process"},
    {"depart.ask", "the target has admitted the process"},
    {"guest.prepare", "the keeper makes an empty body"},
    {"depart.prepared", "the body is ready to be described to"},
    {"depart.stop", "all threads stand"},
    {"depart.arena", "libom's memory is mapped in the process"},
    {"depart.threads", "the threads have been asked"},
    {"depart.describe", "the description is complete"},
    {"guest.build", "the keeper has the description"},
    {"guest.restored", "the body has its address space"},
    {"depart.ship", "the body is built"},
    {"guest.page", "the keeper gets pages"},
    {"depart.shipped", "the pages are sent"},
    {"guest.filled", "the keeper has all pages"},
    {"depart.channels", "the body is complete"},
    {"depart.connect", "the process gets a socket of the deputy's"},
    {"depart.take", "the process takes channels and catchers"},
    {"depart.taken", "the process could be away"},
    {"depart.registers", "the first thread has its executor's registers"},
    {"depart.decided", "home has decided to be away"},
    {"depart.detached", "executors run"},
    {"guest.commit", "the keeper hears COMMIT"},
    {"guest.committed", "the keeper has let the body run and not answered yet"},
    {"depart.committed", "the body runs"},
    {"return.begin", "a homecoming is asked for"},
    {"guest.stop", "the keeper stops the body"},
    {"guest.stopped", "the body is described"},
    {"return.calls", "the body stands"},
    {"return.hold", "executors keep their answers"},
    {"return.stop", "home's threads stand"},
    {"return.settled", "executors rest"},
    {"return.drop", "home gives old memory back"},
    {"guest.collect", "the keeper sends pages"},
    {"return.page", "home gets pages"},
    {"return.memory", "home's memory is complete"},
    {"return.threads", "the threads' way back is planned"},
    {"return.applied", "results are in the program's memory"},
    {"return.decided", "home has decided to be home"},
    {"return.leave", "the first thread has the program's registers"},
    {"return.left", "every thread has the program's registers"},
    {"adopt.begin", "another deputy takes the process over"},
};

enum class How { kFail, kKill, kHold };

struct Setting {
  std::string_view step;
  unsigned time = 1;
  How how = How::kFail;
};

Setting parse(std::string_view text) {
  Setting s;
  auto part = [&] {
    const size_t colon = text.find(':');
    const std::string_view head = text.substr(0, colon);
    text = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    return head;
  };
  s.step = part();
  size_t number = 0;
  if (parse_number(s.step, number) && number >= 1 && number <= std::size(kSteps))
    s.step = kSteps[number - 1].name;
  const std::string_view time = part();
  if (!time.empty() && !parse_number(time, s.time)) s.time = 1;
  const std::string_view how = part();
  if (how == "kill") s.how = How::kKill;
  if (how == "hold") s.how = How::kHold;
  return s;
}

// The current setting; empty if there is none.
std::string setting_now() {
  static const char* const setting = ::getenv("OM_FAULT");
  if (setting == nullptr || setting[0] != '@') return setting == nullptr ? "" : setting;
  auto read = read_text(setting + 1);
  if (!read) return {};
  return std::string(trim(std::string_view(*read).substr(0, read->find('\n'))));
}

void hold(const std::string& text) {
  constexpr auto kLook = std::chrono::milliseconds(5), kLongest = std::chrono::milliseconds(60000);
  for (auto held = kLook; held < kLongest && setting_now() == text; held += kLook)
    std::this_thread::sleep_for(kLook);
}

}  // namespace

std::span<const FaultStep> fault_steps() { return kSteps; }

std::string fault_text(std::string_view step) {
  return fmt::format("step {} fails on demand", step);
}

bool fault_at(std::string_view step) {
  static std::map<std::string, unsigned, std::less<>> passed;
  std::string text = setting_now();
  if (text.empty()) return false;
  Setting s = parse(text);
  if (s.step != step) return false;
  auto [it, fresh] = passed.try_emplace(std::string(step), 0u);
  if (++it->second != s.time) return false;
  constexpr std::string_view kWords[] = {"", ", by SIGKILL", ", by being held"};
  log_warn("fault", "{}{}", fault_text(step), kWords[static_cast<size_t>(s.how)]);
  if (s.how == How::kHold) {
    hold(text);
    text = setting_now();
    s = parse(text);
    if (s.step != step || s.how == How::kHold) return false;
    log_warn("fault", "{}{}", fault_text(step), kWords[static_cast<size_t>(s.how)]);
  }
  if (s.how == How::kKill) ::kill(::getpid(), SIGKILL);
  return true;
}

}  // namespace om
