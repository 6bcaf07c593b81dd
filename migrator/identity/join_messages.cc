// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/join_messages.h"

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/net/address.h"
#include "common/tls/openssl.h"
#include "migrator/identity/token.h"

namespace om::migrator {
namespace {

constexpr size_t kMaxCertificateRequest = 4 << 10;
constexpr size_t kMaxAddressText = 80;
constexpr size_t kMaxMessage = 1000;
constexpr int64_t kMaxExit = 7;

// An address that somebody can be reached at.
Result<std::string> parse_address(const std::string& text) {
  const Address address = OM_TRY(Address::parse(text));
  if (address.port() == 0) return plain_error("an address without a port");
  return address.text();
}

Result<GroupKey> parse_key(const Json& message) {
  const auto key = message.find("group_key");
  if (key == message.end() || !key->is_object()) return plain_error("no group key");
  GroupKey out;
  out.number = static_cast<uint32_t>(OM_TRY(json_int(*key, "number", 0, UINT32_MAX)));
  out.bytes =
      OM_TRY(from_hex(OM_TRY(json_string(*key, "key", 2 * kGroupKeyBytes)), kGroupKeyBytes));
  return out;
}

Result<JoinAnswer> parse_refusal(const Json& message) {
  JoinAnswer answer;
  const std::string code = OM_TRY(json_string(message, "code", 64));
  if (!code.empty() && !is_code(code)) return plain_error("a refusal without a code");
  answer.failure.exit = static_cast<ExitCode>(OM_TRY(json_int(message, "exit", 1, kMaxExit)));
  answer.failure.code = code;
  answer.failure.message = OM_TRY(json_string(message, "message", kMaxMessage));
  if (!message.contains("signers")) return answer;
  for (const std::string& text :
       OM_TRY(json_strings(message, "signers", kMaxJoinSigners, kMaxAddressText)))
    answer.signers.push_back(OM_TRY(parse_address(text)));
  return answer;
}

}  // namespace

std::string to_line(const JoinRequest& request) {
  return to_json_line({{"protocol", request.protocol},
                       {"token", to_base32(request.token)},
                       {"proof", to_hex(request.proof)},
                       {"request", request.certificate_request},
                       {"address", request.address}});
}

std::string to_line(const JoinAnswer& answer) {
  if (!answer.ok) {
    return to_json_line({{"ok", false},
                         {"exit", static_cast<int>(answer.failure.exit)},
                         {"code", answer.failure.code},
                         {"message", answer.failure.message},
                         {"signers", answer.signers}});
  }
  Json members = Json::array();
  for (const KnownMember& member : answer.members) members.push_back(to_json(member));
  return to_json_line(
      {{"ok", true},
       {"certificate", answer.certificate},
       {"group_key",
        {{"number", answer.group_key.number}, {"key", to_hex(answer.group_key.bytes)}}},
       {"members", std::move(members)}});
}

Result<JoinRequest> parse_join_request(std::string_view line) {
  if (line.size() > kMaxJoinRequest) return plain_error("the request is too long");
  const Json message = OM_TRY(parse_json_line(line));
  JoinRequest request;
  request.protocol = static_cast<uint32_t>(OM_TRY(json_int(message, "protocol", 0, UINT32_MAX)));
  request.token = OM_TRY(from_base32(OM_TRY(json_string(message, "token", 16))));
  if (request.token.size() != kTokenIdBytes) return plain_error("\"token\" is no token's id");
  request.proof =
      OM_TRY(from_hex(OM_TRY(json_string(message, "proof", 2 * kSha256Bytes)), kSha256Bytes));
  request.certificate_request = OM_TRY(json_string(message, "request", kMaxCertificateRequest));
  request.address = OM_TRY(parse_address(OM_TRY(json_string(message, "address", kMaxAddressText))));
  return request;
}

Result<JoinAnswer> parse_join_answer(std::string_view line) {
  if (line.size() > kMaxJoinAnswer) return plain_error("the answer is too long");
  const Json message = OM_TRY(parse_json_line(line));
  if (!OM_TRY(json_bool(message, "ok"))) return parse_refusal(message);
  JoinAnswer answer;
  answer.ok = true;
  answer.certificate = OM_TRY(json_string(message, "certificate", kMaxPemBytes));
  answer.group_key = OM_TRY(parse_key(message));
  const auto members = message.find("members");
  answer.members = OM_TRY(parse_members(members == message.end() ? Json() : *members));
  return answer;
}

}  // namespace om::migrator
