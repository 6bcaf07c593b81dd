// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/deputy_wire.h"

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/names.h"
#include "migrator/peers/offer.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

constexpr uint64_t kMaxNumber = uint64_t{1} << 53;  // exact in every JSON reader
constexpr uint32_t kMaxThreads = 1 << 20;
constexpr size_t kMaxModeBytes = 64;

}  // namespace

Result<DeputySession> read_session(wire::Session::Reader from) {
  DeputySession session;
  session.at = OM_TRY(read_wire_text(from.getAt(), kMaxNodeName, "at"));
  session.session = OM_TRY(read_wire_bytes(from.getSession(), kSessionBytes, "session"));
  session.secret = OM_TRY(read_wire_bytes(from.getSecret(), kSecretBytes, "secret"));
  session.port = from.getPort();
  if (!valid_node_name(session.at)) return plain_error("\"at\" must be a node name");
  if (session.port == 0) return plain_error("the port is 0");
  return session;
}

void write_session(const DeputySession& session, wire::Session::Builder to) {
  to.setAt(session.at.c_str());
  to.setSession(wire_data(session.session));
  to.setSecret(wire_data(session.secret));
  to.setPort(session.port);
}

Result<DeputyPlace> read_place(wire::Daemon::StateParams::Reader from) {
  DeputyPlace place;
  place.at = OM_TRY(read_wire_text(from.getAt(), kMaxNodeName, "at"));
  place.state = from.getState();
  if (place.at != "home" && !valid_node_name(place.at))
    return plain_error("\"at\" must be home or a node name");
  if (place.state > wire::State::AWAY) return plain_error("an unknown state");
  return place;
}

Result<DeputyNote> read_note(wire::Daemon::NoteParams::Reader from) {
  const std::string code = OM_TRY(read_wire_text(from.getCode(), kMaxCodeBytes, "code"));
  if (!is_code(code)) return plain_error("\"code\" must be upper case letters, digits and '_'");
  return DeputyNote{Reason::from_peer(code, {}).code,
                    OM_TRY(read_wire_text(from.getMessage(), kMaxNoteBytes, "message"))};
}

Result<DeputyStats> read_stats(wire::Daemon::StatsParams::Reader from) {
  DeputyStats stats;
  stats.cpu_ms = from.getCpuMs();
  stats.rss_bytes = from.getRssBytes();
  stats.threads = from.getThreads();
  stats.calls = from.getCalls();
  if (stats.cpu_ms > kMaxNumber || stats.rss_bytes > kMaxNumber || stats.threads > kMaxThreads ||
      stats.calls > kMaxNumber)
    return plain_error("a number is out of range");
  return stats;
}

MoveReport read_move(wire::MoveRecord::Reader from) {
  MoveReport report;
  report.mode = read_wire_text(from.getMode(), kMaxModeBytes, "mode").value_or("");
  report.freeze_ms = from.getFreezeMs();
  report.total_ms = from.getTotalMs();
  report.bytes_raw = from.getBytesRaw();
  report.bytes_wire = from.getBytesWire();
  report.pages = from.getPages();
  report.threads = from.getThreads();
  report.reason = read_outcome(from.getOutcome());
  report.failed = report.reason && from.getFailed();
  return report;
}

Verdict<Json> read_report(wire::Outcome::Reader outcome, ::capnp::Text::Reader report) {
  if (auto refused = read_outcome(outcome)) return *refused;
  auto text = read_wire_text(report, kMaxReportBytes, "report");
  auto data = text ? parse_json_line(*text) : Result<Json>(text.error());
  if (!data) return Reason{ReasonCode::kInternal, "the deputy: " + data.error().text()};
  return std::move(*data);
}

Json session_to_json(const DeputySession& session) {
  return {{"at", session.at},
          {"session", to_hex(session.session)},
          {"secret", to_hex(session.secret)},
          {"port", session.port}};
}

Result<DeputySession> session_from_json(const Json& value) {
  DeputySession session;
  session.at = OM_TRY(json_string(value, "at", kMaxNodeName));
  session.session = OM_TRY(from_hex(OM_TRY(json_string(value, "session", 64)), kSessionBytes));
  session.secret = OM_TRY(from_hex(OM_TRY(json_string(value, "secret", 64)), kSecretBytes));
  session.port = static_cast<uint16_t>(OM_TRY(json_int(value, "port", 1, 65535)));
  if (!valid_node_name(session.at)) return plain_error("\"at\" must be a node name");
  return session;
}

}  // namespace om::migrator
