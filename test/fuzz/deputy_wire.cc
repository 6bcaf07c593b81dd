// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what a deputy says to its daemon (migrator/moves/deputy_wire.h and a deputy's offer). What is accepted
// has valid names, keys of the right size and numbers within bounds, and can be printed.
//
//   input   which message (1 byte), the message, packed
#include <capnp/serialize-packed.h>
#include <kj/exception.h>

#include <nlohmann/json.hpp>

#include "common/base/names.h"
#include "common/net/control.h"
#include "migrator/moves/deputy_wire.h"
#include "migrator/peers/offer.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

namespace {

using namespace om::migrator;
using Daemon = om::wire::Daemon;

void check(const DeputySession& session) {
  require(om::valid_node_name(session.at) && session.port != 0);
  require(session.session.size() == kSessionBytes && session.secret.size() == kSecretBytes);
  const auto back = session_from_json(session_to_json(session));
  require(back.ok() && *back == session);
}

void check(const DeputyPlace& place) {
  require(place.at == "home" || om::valid_node_name(place.at));
  require(place.state <= om::wire::State::AWAY);
}

void check(const DeputyNote& note) { require(note.message.size() <= kMaxNoteBytes); }

void check(const DeputyStats& stats) { require(stats.cpu_ms <= uint64_t{1} << 53); }

void check(const Offer& offer) {
  require(offer.session.size() == kSessionBytes && offer.secret.size() == kSecretBytes);
  require(offer.home.port() != 0);
  require(offer.pid > 0 && offer.threads > 0 && offer.command.size() <= kMaxCommandBytes);
  om::to_json_line(keeper_input(offer));
}

void check(const MoveReport& report) {
  const om::Json record = checked_record({5, "n1", "n2", 1}, report);
  require(record["moved"] == (record["result"] == "moved"));
  require(record["moved"] == true || om::is_code(record["code"].get<std::string>()));
  require(record["freeze_ms"].get<double>() >= 0);
  om::to_json_line(answer_of(record));
}

template <class T>
void check(const om::Result<T>& said) {
  if (said) check(*said);
}

void read(capnp::MessageReader& message, unsigned which) {
  switch (which) {
    case 0:
      return check(read_session(message.getRoot<om::wire::Session>()));
    case 1:
      return check(read_place(message.getRoot<Daemon::StateParams>()));
    case 2:
      return check(read_note(message.getRoot<Daemon::NoteParams>()));
    case 3:
      return check(read_stats(message.getRoot<Daemon::StatsParams>()));
    case 4:
      return check(read_move(message.getRoot<om::wire::MoveRecord>()));
    case 5:
      return check(read_deputy_offer(message.getRoot<om::wire::Offer>()));
    default: {
      auto results = message.getRoot<om::wire::Deputy::StackResults>();
      const auto report = read_report(results.getOutcome(), results.getReport());
      if (report) require(report.value().is_object());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static_cast<void>(kj::runCatchingExceptions([&] {
    kj::ArrayInputStream input(kj::arrayPtr(data + 1, size - 1));
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 1 << 18;
    capnp::PackedMessageReader message(input, options);
    read(message, data[0]);
  }));
  return 0;
}
