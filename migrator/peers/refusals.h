// SPDX-License-Identifier: Apache-2.0
//
// Connections between nodes that were not made, by cause: counted for `om node info`, and written to the log once in
// a minute for each cause and other end, as whoever reaches the port can be refused as often as he likes. Loop thread
// only.
#pragma once

#include <stdint.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"

namespace om::migrator {

struct Refusal {
  enum class Cause : uint8_t {
    kOtherCluster,    // the certificate of another CA
    kExpired,         // certificate
    kNotYetValid,     // certificate
    kWrongName,       // another node than the one expected, or than it says
    kBadCertificate,  // none of a node's
    kNoCertificate,
    kPlainText,  // no TLS
    kProtocol,   // another version of TLS, or not between nodes
    kSilence,    // too slow, or nothing at all
    kHungUp,     // in the middle
    kTooMany,    // connections
    kDamaged,    // bytes changed on the way
    kRemoved,    // from the cluster
    kStranger,   // not at the address of a peer; without TLS only
    kOther,
  };
  static constexpr size_t kCauses = static_cast<size_t>(Cause::kOther) + 1;

  Cause cause = Cause::kOther;
  bool by_peer = false;  // it refuses this node
  std::string text;      // "certificate expired", "it refuses this node: certificate expired"
};

// "other_cluster": as in JSON.
const char* name_of(Refusal::Cause cause);
// With its usual text.
Refusal refusal(Refusal::Cause cause);
// From the text of an exception of common/tls/tls_stream.h or of a socket. kOther keeps the text.
Refusal explain_failure(std::string_view text);
// The same if it is of a handshake that failed; nullopt for any other text.
std::optional<Refusal> handshake_refusal(std::string_view text);

class Refusals {
 public:
  static constexpr Milliseconds kQuiet{60'000};
  static constexpr size_t kMaxLines = 1024;  // remembered; beyond them refusals are only counted

  explicit Refusals(const Clock& clock) : clock_(clock) {}

  // Counts it. Whether a line may be written: `source`, an address or a node, was not refused for this cause within the
  // last minute.
  bool count(Refusal::Cause cause, const std::string& source);
  // The same, and writes the line.
  void note(const Refusal& refusal, const std::string& source);

  // Those that are not 0, by name_of().
  std::vector<std::pair<const char*, uint64_t>> counts() const;

 private:
  const Clock& clock_;
  std::array<uint64_t, Refusal::kCauses> counts_{};
  std::map<std::pair<std::string, Refusal::Cause>, MonotonicTime> written_;
};

}  // namespace om::migrator
