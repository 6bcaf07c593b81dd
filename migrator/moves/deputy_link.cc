// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/deputy_link.h"

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/net/control.h"

namespace om::migrator {
namespace {

constexpr int kMaxBadLines = 10;

}  // namespace

DeputyLink::DeputyLink(Loop& loop, UniqueFd socket, std::string home, Handlers handlers)
    : home_(std::move(home)), at_(home_), handlers_(std::move(handlers)) {
  stream_ = std::make_unique<JsonStream>(loop, std::move(socket), stream_handlers(),
                                         JsonStream::Limits{.line_bytes = kMaxReportBytes});
}

DeputyLink::DeputyLink(std::unique_ptr<JsonStream> stream, std::string home, Handlers handlers)
    : home_(std::move(home)),
      at_(home_),
      handlers_(std::move(handlers)),
      stream_(std::move(stream)) {
  stream_->set_handlers(stream_handlers());
  stream_->allow_lines(kMaxReportBytes);
}

JsonStream::Handlers DeputyLink::stream_handlers() {
  JsonStream::Handlers handlers;
  handlers.on_line = [this](const Json& line) { on_line(line); };
  handlers.on_end = [this](std::optional<Error> error) {
    auto run = handlers_.on_closed;  // a copy: it may destroy this link
    run(std::move(error));
  };
  return handlers;
}

void DeputyLink::command(Json line, int64_t id, ResultCallback on_result) {
  line["id"] = id;
  results_[id] = std::move(on_result);
  stream_->send(line);
}

void DeputyLink::send(const Json& line) { stream_->send(line); }

void DeputyLink::answer_guest(int64_t id, const std::optional<Reason>& refused) {
  Json line{{"verb", "guest"}, {"id", id}, {"ok", !refused}};
  if (refused) {
    line["code"] = refused->name();
    line["detail"] = refused->detail;
  }
  stream_->send(line);
}

void DeputyLink::on_line(const Json& line) {
  auto handled = handle(line);
  // One line that cannot be used is not the end of a session. The deputy belongs to the user: a few lines in the log.
  if (handled || bad_lines_ == kMaxBadLines) return;
  log_warn("deputy", "{} in {}, ignoring{}", handled.error().text(), escaped(to_json_text(line)),
           ++bad_lines_ == kMaxBadLines ? ", as further ones of this deputy" : "");
}

Result<void> DeputyLink::handle(const Json& line) {
  constexpr int64_t kMaxNumber = int64_t{1} << 53;
  std::string event = OM_TRY(json_string(line, "event", 32));
  if (event == "need_guest") {
    int64_t id = OM_TRY(json_int(line, "id", 0, kMaxNumber));
    std::string to = OM_TRY(json_string(line, "to", kMaxNodeName));
    auto offer = offer_from_event(line);
    if (!offer) {
      // The deputy waits for an answer: it gets one even if it asked wrongly.
      answer_guest(id, Reason{ReasonCode::kInternal, offer.error().text()});
      return offer.error();
    }
    handlers_.on_need_guest(id, to, std::move(*offer));
  } else if (event == "result") {
    int64_t id = OM_TRY(json_int(line, "id", 0, kMaxNumber));
    auto it = results_.find(id);
    if (it == results_.end()) return plain_error("nobody waits for this result");
    ResultCallback run = std::move(it->second);
    results_.erase(it);
    auto data = line.find("data");
    run(data != line.end() && data->is_object() ? *data : Json::object());
  } else if (event == "state") {
    std::string at = OM_TRY(json_string(line, "at", kMaxNodeName));
    std::string state = OM_TRY(json_string(line, "state", 16));
    if (at != "home" && !valid_node_name(at))
      return plain_error("\"at\" must be home or a node name");
    if (state != "home" && state != "moving" && state != "away") {
      return plain_error("\"state\" must be home, moving or away");
    }
    at_ = at == "home" ? home_ : at;
    heard_ = std::chrono::steady_clock::now();
    state_ = state == "home" ? State::kHome : state == "away" ? State::kAway : State::kMoving;
    handlers_.on_state();
  } else if (event == "note") {
    std::string code = OM_TRY(json_string(line, "code", 64));
    std::string message = OM_TRY(json_string(line, "message", 4096));
    if (!is_code(code)) return plain_error("\"code\" must be upper case letters, digits and '_'");
    handlers_.on_note(Reason::from_peer(code, {}).code, message);
  } else if (event == "session") {
    handlers_.on_session(OM_TRY(session_from_json(line)));
  } else if (event == "stats") {
    DeputyStats stats;
    stats.cpu_ms = static_cast<uint64_t>(OM_TRY(json_int_or(line, "cpu_ms", 0, kMaxNumber, 0)));
    stats.rss_bytes =
        static_cast<uint64_t>(OM_TRY(json_int_or(line, "rss_bytes", 0, kMaxNumber, 0)));
    stats.threads = static_cast<uint32_t>(OM_TRY(json_int_or(line, "threads", 0, 1 << 20, 0)));
    stats.calls = static_cast<uint64_t>(OM_TRY(json_int_or(line, "calls", 0, kMaxNumber, 0)));
    stats.received = std::chrono::steady_clock::now();
    if (stats_) {
      double elapsed_ms =
          std::chrono::duration<double, std::milli>(stats.received - stats_->received).count();
      double used_ms = static_cast<double>(stats.cpu_ms) - static_cast<double>(stats_->cpu_ms);
      if (elapsed_ms > 0 && used_ms > 0) stats.cpu_percent = 100 * used_ms / elapsed_ms;
    }
    stats_ = stats;
    heard_ = stats.received;
  } else {
    return plain_error("unknown event " + escaped(event, 40));
  }
  return {};
}

std::chrono::steady_clock::duration DeputyLink::silence() const {
  if (state_ != State::kAway) return {};
  return std::chrono::steady_clock::now() - heard_;
}

Json session_to_json(const DeputySession& session) {
  return {{"at", session.at},
          {"session", to_hex(session.session)},
          {"token", to_hex(session.token)},
          {"port", session.port}};
}

Result<DeputySession> session_from_json(const Json& value) {
  DeputySession session;
  session.at = OM_TRY(json_string(value, "at", kMaxNodeName));
  session.session = OM_TRY(from_hex(OM_TRY(json_string(value, "session", 64)), kSecretBytes));
  session.token = OM_TRY(from_hex(OM_TRY(json_string(value, "token", 64)), kSecretBytes));
  session.port = static_cast<uint16_t>(OM_TRY(json_int(value, "port", 1, 65535)));
  if (!valid_node_name(session.at)) return plain_error("\"at\" must be a node name");
  return session;
}

const char* state_name(DeputyLink::State state) {
  switch (state) {
    case DeputyLink::State::kHome:
      return "home";
    case DeputyLink::State::kMoving:
      return "moving";
    case DeputyLink::State::kAway:
      return "away";
    case DeputyLink::State::kLost:
      return "lost";
  }
  return "?";
}

}  // namespace om::migrator
