// SPDX-License-Identifier: Apache-2.0
#include "deputy/control.h"

#include <nlohmann/json.hpp>

#include "common/log.h"

namespace om::deputy {

Control::Control(kj::AsyncIoContext& io, int fd)
    : stream_(io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(fd))) {
  tasks_.add(read_loop());
}

kj::Promise<void> Control::read_loop() {
  return stream_->tryRead(buffer_.begin(), 1, buffer_.size()).then([this](size_t n) -> kj::Promise<void> {
    const bool sound = n > 0 && lines_.push(std::string_view(buffer_.begin(), n)).ok();
    while (sound && lines_.has_line()) take(lines_.pop());
    if (!sound) ended_ = true;
    KJ_IF_MAYBE(fulfiller, arrived_) {
      (*fulfiller)->fulfill();
      arrived_ = nullptr;
    }
    if (ended_) {
      for (auto& [id, answer] : answers_) {
        answer->fulfill(Reason{ReasonCode::kTargetUnreachable, "om-migrator is gone"});
      }
      answers_.clear();
      return kj::READY_NOW;
    }
    return read_loop();
  });
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
      const auto code = json_string_or(*line, "code", 64, "INTERNAL").value_or("INTERNAL");
      refused = Reason{reason_from_name(code).value_or(ReasonCode::kInternal),
                       json_string_or(*line, "message", 4096, "").value_or("")};
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
  if (ended_) return kj::NEVER_DONE;
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
                 .eagerlyEvaluate([this](kj::Exception&&) { ended_ = true; });
}

kj::Promise<void> Control::flushed() {
  auto promise = kj::mv(writing_);
  writing_ = kj::READY_NOW;
  return promise;
}

kj::Promise<std::optional<Reason>> Control::guest_answer(int64_t id) {
  auto paf = kj::newPromiseAndFulfiller<std::optional<Reason>>();
  answers_[id] = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Control::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("control", "{}", exception.getDescription().cStr());
}

}  // namespace om::deputy
