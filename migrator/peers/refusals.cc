// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/refusals.h"

#include <optional>

#include "common/base/log.h"

namespace om::migrator {
namespace {

constexpr std::string_view kOfTls = "TLS: ";

using Cause = Refusal::Cause;

struct Row {
  const char* name;
  const char* text;
};

// In the order of Cause.
constexpr std::array<Row, Refusal::kCauses> kRows = {{
    {"other_cluster", "another cluster"},
    {"expired", "certificate expired"},
    {"not_yet_valid", "certificate not yet valid"},
    {"wrong_name", "certificate of another node"},
    {"bad_certificate", "no certificate of a node"},
    {"no_certificate", "no certificate"},
    {"plain_text", "plain text instead of TLS"},
    {"protocol", "another protocol"},
    {"silence", "silence"},
    {"hung_up", "it has hung up"},
    {"too_many", "too many connections"},
    {"damaged", "damaged bytes"},
    {"removed", "removed from the cluster"},
    {"stranger", "not the address of a peer"},
    {"other", ""},
}};

struct Sign {
  std::string_view words;
  Cause cause;
};

// What OpenSSL says of a certificate that it does not accept.
constexpr Sign kOfCertificates[] = {
    {"certificate has expired", Cause::kExpired},
    {"not yet valid", Cause::kNotYetValid},
    {"hostname mismatch", Cause::kWrongName},
    {"issuer certificate", Cause::kOtherCluster},
    {"self-signed", Cause::kOtherCluster},
    {"chain too long", Cause::kOtherCluster},  // a CA of the same name, which is not ours
    {"self signed", Cause::kOtherCluster},
    {"unable to verify", Cause::kOtherCluster},
    {"signature failure", Cause::kOtherCluster},
    {"key identifier mismatch", Cause::kOtherCluster},
};

// Alerts of the other end.
constexpr Sign kAlerts[] = {
    {"unknown ca", Cause::kOtherCluster},
    {"certificate expired", Cause::kExpired},
    {"certificate required", Cause::kNoCertificate},
    {"certificate", Cause::kBadCertificate},
    {"no application protocol", Cause::kProtocol},
    {"protocol version", Cause::kProtocol},
    {"handshake failure", Cause::kProtocol},
    {"bad record mac", Cause::kDamaged},
};

// All else. The first that fits counts.
constexpr Sign kOfConnections[] = {
    {"did not return a certificate", Cause::kNoCertificate},
    {"has no certificate", Cause::kNoCertificate},
    {"shows a certificate", Cause::kBadCertificate},
    {"calls itself", Cause::kWrongName},
    {"wrong version number", Cause::kPlainText},
    {"http request", Cause::kPlainText},
    {"https proxy request", Cause::kPlainText},
    {"packet length too long", Cause::kPlainText},
    {"no application protocol", Cause::kProtocol},
    {"unsupported protocol", Cause::kProtocol},
    {"does not speak om/2", Cause::kProtocol},
    {"another protocol", Cause::kProtocol},
    {"no shared cipher", Cause::kProtocol},
    {"took too long", Cause::kSilence},
    {"took longer than", Cause::kSilence},
    {"has hung up", Cause::kHungUp},
    {"was cut off", Cause::kHungUp},
    {"recv: ", Cause::kHungUp},
    {"send: ", Cause::kHungUp},
    {"bad record", Cause::kDamaged},
    {"decryption failed", Cause::kDamaged},
    {"digest check failed", Cause::kDamaged},
    {"bad signature", Cause::kDamaged},
    {"unexpected message", Cause::kDamaged},
    {"length mismatch", Cause::kDamaged},
    {"bad length", Cause::kDamaged},
    {"bad extension", Cause::kDamaged},
};

template <size_t N>
std::optional<Cause> find_sign(const Sign (&signs)[N], std::string_view text) {
  for (const Sign& sign : signs) {
    if (text.find(sign.words) != text.npos) return sign.cause;
  }
  return std::nullopt;
}

// Takes `prefix` from the front; false if it is not there.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

const char* name_of(Cause cause) { return kRows[static_cast<size_t>(cause)].name; }

Refusal refusal(Cause cause) { return {cause, false, kRows[static_cast<size_t>(cause)].text}; }

Refusal explain_failure(std::string_view text) {
  take_prefix(text, kOfTls);
  if (take_prefix(text, "the peer's certificate: ")) {
    Refusal found = refusal(find_sign(kOfCertificates, text).value_or(Cause::kBadCertificate));
    if (found.cause == Cause::kBadCertificate) found.text += ": " + std::string(text);
    return found;
  }
  if (take_prefix(text, "refused by the peer: ")) {
    const Cause cause = find_sign(kAlerts, text).value_or(Cause::kOther);
    // A certificate that is not yet valid is "bad" in an alert: its own words say no less.
    const bool vague = cause == Cause::kOther || cause == Cause::kBadCertificate;
    return {cause, true,
            "it refuses this node: " + (vague ? std::string(text) : refusal(cause).text)};
  }
  const auto cause = find_sign(kOfConnections, text);
  // Its name is worth knowing.
  if (!cause || *cause == Cause::kWrongName) {
    return {cause.value_or(Cause::kOther), false, std::string(text)};
  }
  return refusal(*cause);
}

std::optional<Refusal> handshake_refusal(std::string_view text) {
  if (!text.starts_with(kOfTls)) return std::nullopt;
  return explain_failure(text);
}

bool Refusals::count(Cause cause, const std::string& source) {
  ++counts_[static_cast<size_t>(cause)];
  const MonotonicTime now = clock_.now();
  const auto key = std::pair(source, cause);
  if (const auto found = written_.find(key); found != written_.end()) {
    if (now - found->second < kQuiet) return false;
    found->second = now;
    return true;
  }
  if (written_.size() >= kMaxLines)
    std::erase_if(written_, [now](const auto& item) { return now - item.second >= kQuiet; });
  if (written_.size() >= kMaxLines) return false;
  written_.emplace(key, now);
  return true;
}

void Refusals::note(const Refusal& refusal, const std::string& source) {
  if (count(refusal.cause, source))
    log_warn("peer", "no connection with {}: {}", source,
             refusal.cause == Cause::kOther ? escaped(refusal.text, 200) : refusal.text);
}

std::vector<std::pair<const char*, uint64_t>> Refusals::counts() const {
  std::vector<std::pair<const char*, uint64_t>> out;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) out.emplace_back(kRows[i].name, counts_[i]);
  }
  return out;
}

}  // namespace om::migrator
