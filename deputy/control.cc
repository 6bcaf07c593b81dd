// SPDX-License-Identifier: Apache-2.0
#include "deputy/control.h"

#include <kj/debug.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"

namespace om::deputy {

namespace {

constexpr auto kAttachPause = 300 * kj::MILLISECONDS;
constexpr auto kAttachLimit = 10 * kj::SECONDS;

Reason no_daemon() { return Reason{ReasonCode::kTargetUnreachable, "om-migrator is gone"}; }

}  // namespace

Control::Control(kj::AsyncIoContext& io, int fd, Attaching attaching)
    : io_(io),
      attaching_(std::move(attaching)),
      stream_(io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(fd))) {
  tasks_.add(read_loop());
}

kj::Promise<void> Control::read_loop() {
  return stream_->tryRead(buffer_.begin(), 1, buffer_.size())
      .then(
          [this](size_t n) -> kj::Promise<void> {
            const bool sound = n > 0 && lines_.push(std::string_view(buffer_.begin(), n)).ok();
            while (sound && lines_.has_line()) take(lines_.pop());
            if (!sound) {
              lose();
              return kj::READY_NOW;
            }
            wake();
            return read_loop();
          },
          [this](kj::Exception&&) -> kj::Promise<void> {
            lose();
            return kj::READY_NOW;
          });
}

void Control::wake() {
  KJ_IF_MAYBE (fulfiller, arrived_) {
    (*fulfiller)->fulfill();
    arrived_ = nullptr;
  }
}

void Control::lose() {
  ended_ = true;
  for (auto& [id, answer] : answers_) {
    answer->fulfill(no_daemon());
  }
  answers_.clear();
  wake();
  if (!attaching_.path.empty()) tasks_.add(attach_again());
}

// Until a daemon has taken us.
kj::Promise<void> Control::attach_again() {
  return io_.provider->getTimer().afterDelay(kAttachPause).then([this]() -> kj::Promise<void> {
    if (!attaching_.wanted()) return attach_again();
    return io_.provider->getTimer()
        .timeoutAfter(kAttachLimit, attach())
        .catch_([this](kj::Exception&& e) {
          log_debug("control", "no om-migrator at {} takes us: {}", attaching_.path,
                    e.getDescription().cStr());
          return attach_again();
        });
  });
}

kj::Promise<void> Control::attach() {
  struct Try {
    kj::Own<kj::NetworkAddress> address;
    kj::Own<kj::AsyncIoStream> stream;
    std::string request;
    char buffer[4096];
  };
  auto attempt = kj::heap<Try>();
  Try& t = *attempt;
  t.request = to_json_line(attaching_.request);
  return io_.provider->getNetwork()
      .parseAddress(kj::str("unix:", attaching_.path.c_str()))
      .then([&t](kj::Own<kj::NetworkAddress>&& address) {
        t.address = kj::mv(address);
        return t.address->connect();
      })
      .then([&t](kj::Own<kj::AsyncIoStream>&& stream) {
        t.stream = kj::mv(stream);
        return t.stream->write(t.request.data(), t.request.size());
      })
      .then([&t] { return t.stream->tryRead(t.buffer, 1, sizeof t.buffer); })
      .then([this, &t](size_t n) {
        // The first line is the answer; nothing is commanded before it. What comes with it is a command already.
        LineSplitter lines(kMaxRequestBytes);
        const bool whole = lines.push(std::string_view(t.buffer, n)).ok() && lines.has_line();
        const auto answer =
            whole ? parse_json_line(lines.pop()) : Result<Json>(plain_error("no answer"));
        KJ_REQUIRE(answer.ok() && json_bool_or(*answer, "ok", false).value_or(false),
                   "not accepted");
        lines_ = std::move(lines);
        writing_ = kj::READY_NOW;
        stream_ = kj::mv(t.stream);
        ended_ = false;
        log_info("control", "a new om-migrator at {}", attaching_.path);
        while (lines_.has_line()) take(lines_.pop());
        attaching_.attached();
        wake();
        tasks_.add(read_loop());
      })
      .attach(kj::mv(attempt));
}

void Control::take(std::string_view text) {
  auto line = parse_json_line(text);
  if (!line) {
    log_warn("control", "{}, ignoring", line.error().text());
    return;
  }
  auto verb = json_string_or(*line, "verb", 64, "");
  if (verb && *verb == "guest") {
    const auto id = json_int_or(*line, "id", 0, INT64_MAX, 0).value_or(0);
    auto it = answers_.find(id);
    if (it == answers_.end()) return;
    std::optional<Reason> refused;
    if (!json_bool_or(*line, "ok", false).value_or(false)) {
      refused = Reason::from_peer(json_string_or(*line, "code", 64, "").value_or(""),
                                  json_string_or(*line, "detail", 4096, "").value_or(""));
    }
    it->second->fulfill(kj::mv(refused));
    answers_.erase(it);
    return;
  }
  commands_.push_back(std::move(*line));
}

std::optional<Json> Control::next() {
  if (commands_.empty()) return std::nullopt;
  Json line = std::move(commands_.front());
  commands_.pop_front();
  return line;
}

kj::Promise<void> Control::arrived() {
  if (!commands_.empty()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  arrived_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Control::send(const Json& line) {
  if (ended_) return;
  auto text = kj::heap<std::string>(to_json_line(line));
  auto& t = *text;
  writing_ = writing_.then([this, &t] { return stream_->write(t.data(), t.size()); })
                 .attach(kj::mv(text))
                 .eagerlyEvaluate([](kj::Exception&&) {});  // read_loop() sees the end
}

kj::Promise<void> Control::flushed() {
  auto promise = kj::mv(writing_);
  writing_ = kj::READY_NOW;
  return promise;
}

kj::Promise<std::optional<Reason>> Control::guest_answer(int64_t id) {
  if (ended_) return std::optional<Reason>(no_daemon());
  auto paf = kj::newPromiseAndFulfiller<std::optional<Reason>>();
  answers_[id] = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Control::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("control", "{}", exception.getDescription().cStr());
}

}  // namespace om::deputy
