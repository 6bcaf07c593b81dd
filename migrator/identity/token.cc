// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/token.h"

#include <stdint.h>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/tls/openssl.h"

namespace om::migrator {
namespace {

constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kCheckBytes = 3;
constexpr size_t kTokenBytes = kTokenIdBytes + kTokenSecretBytes + kSha256Bytes + kCheckBytes;
constexpr size_t kTokenDigits = (kTokenBytes * 8 + 4) / 5;
constexpr std::string_view kKeyPurpose = "openmosix token ";

// No parts of the text in an error: it would end in a log.
Error no_token(std::string_view why) {
  return plain_error("this is no token: " + std::string(why));
}

std::string check_of(const std::string& cluster, std::string_view bytes) {
  return sha256(cluster + "." + std::string(bytes)).substr(0, kCheckBytes);
}

}  // namespace

std::string to_base32(std::string_view bytes) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 5; count -= 5) text += kDigits[bits >> (count - 5) & 31];
  }
  if (count > 0) text += kDigits[bits << (5 - count) & 31];
  return text;
}

Result<std::string> from_base32(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) return plain_error("a character that is not in base32");
    bits = bits << 5 | static_cast<uint32_t>(digit);
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  // Less than a digit is left, all zeros: one text for the same bytes.
  if (count >= 5 || (bits & ((1u << count) - 1)) != 0) return plain_error("it is cut off");
  return bytes;
}

Result<Token> Token::make(const std::string& cluster, const std::string& ca_hash) {
  if (!valid_node_name(cluster)) return plain_error("\"" + cluster + "\" is no cluster name");
  if (ca_hash.size() != kSha256Bytes) return plain_error("the hash of the CA has a wrong size");
  Token token;
  token.cluster = cluster;
  token.id = OM_TRY(random_bytes(kTokenIdBytes));
  token.secret = OM_TRY(random_bytes(kTokenSecretBytes));
  token.ca_hash = ca_hash;
  return token;
}

Result<Token> Token::parse(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  text = trim(text);
  const size_t dot = text.find('.');
  if (dot == text.npos) return no_token("there is no dot in it");
  Token token;
  token.cluster = text.substr(0, dot);
  if (!valid_node_name(token.cluster)) return no_token("no cluster name before the dot");
  if (text.size() - dot - 1 != kTokenDigits) return no_token("it is too short or too long");
  auto bytes = from_base32(text.substr(dot + 1));
  if (!bytes) return no_token(bytes.error().what);
  const std::string_view all = *bytes;
  const std::string_view checked = all.substr(0, kTokenBytes - kCheckBytes);
  if (check_of(token.cluster, checked) != all.substr(checked.size()))
    return no_token("a character is wrong");
  token.id = checked.substr(0, kTokenIdBytes);
  token.secret = checked.substr(kTokenIdBytes, kTokenSecretBytes);
  token.ca_hash = checked.substr(kTokenIdBytes + kTokenSecretBytes);
  return token;
}

std::string Token::text() const {
  const std::string bytes = id + secret + ca_hash;
  return cluster + "." + to_base32(bytes + check_of(cluster, bytes));
}

std::string Token::id_text() const { return to_base32(id); }

std::string Token::proof_key() const { return sha256(std::string(kKeyPurpose) + id + secret); }

std::string token_proof(std::string_view proof_key, std::string_view exporter) {
  return hmac_sha256(proof_key, exporter);
}

}  // namespace om::migrator
