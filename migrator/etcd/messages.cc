// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/messages.h"

#include <errno.h>
#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "common/base/base64.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/net/json_line.h"

namespace om::etcd {
namespace {

constexpr size_t kMaxText = 300;  // of a complaint
constexpr size_t kMaxToken = 4096;

Error bad(std::string_view what) { return Error{EBADMSG, fmt::format("etcd: {}", what)}; }

// For a line of text.
std::string shown(std::string_view said) {
  const std::string quoted = escaped(said.substr(0, kMaxText), kMaxText);
  return quoted.substr(1, quoted.size() - 2);
}

// A number, or a string of one; absent: 0.
Result<int64_t> number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return int64_t{0};
  if (found->is_number_unsigned()) {
    const auto value = found->get<uint64_t>();
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(value);
  } else if (found->is_number_integer()) {
    return found->get<int64_t>();
  } else if (found->is_string()) {
    int64_t value = 0;
    const auto& text = found->get_ref<const std::string&>();
    if (text.size() <= 20 && parse_number(text, value)) return value;
  }
  return bad(fmt::format("{} is no number", name));
}

Result<bool> flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return false;
  if (!found->is_boolean()) return bad(fmt::format("{} is neither true nor false", name));
  return found->get<bool>();
}

Result<std::string> text(const Json& object, const char* name, size_t most) {
  const auto found = object.find(name);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return bad(fmt::format("{} is no text", name));
  const auto& value = found->get_ref<const std::string&>();
  if (value.size() > most) return bad(fmt::format("{} is too long", name));
  return value;
}

Result<std::string> bytes(const Json& object, const char* name, size_t most) {
  const std::string encoded = OM_TRY(text(object, name, (most + 2) / 3 * 4));
  auto decoded = from_base64(encoded);
  if (!decoded || decoded->size() > most) return bad(fmt::format("{} is no base64", name));
  return std::move(*decoded);
}

// A member that is an object; absent: an empty one.
Result<Json> part(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return Json::object();
  if (!found->is_object()) return bad(fmt::format("{} is no object", name));
  return *found;
}

Result<Json> parse(std::string_view answer) {
  if (answer.size() > kMaxAnswerBytes) return bad("an answer is too long");
  auto json = parse_json_line(answer);
  if (!json) return bad("an answer is no JSON object");
  return std::move(*json);
}

Result<int64_t> revision_of(const Json& answer) {
  const Json header = OM_TRY(part(answer, "header"));
  const int64_t revision = OM_TRY(number(header, "revision"));
  if (revision < 0) return bad("a negative revision");
  return revision;
}

Result<KeyValue> key_value(const Json& object) {
  if (!object.is_object()) return bad("a key with its value is no object");
  KeyValue kv;
  kv.key = OM_TRY(bytes(object, "key", kMaxKeyBytes));
  kv.value = OM_TRY(bytes(object, "value", kMaxValueBytes));
  kv.mod_revision = OM_TRY(number(object, "mod_revision"));
  if (kv.key.empty() || kv.mod_revision < 0) return bad("a key or its revision");
  return kv;
}

Result<WatchEvent> event(const Json& object) {
  if (!object.is_object()) return bad("an event is no object");
  WatchEvent event;
  const std::string type = OM_TRY(text(object, "type", 16));
  if (!type.empty() && type != "PUT" && type != "DELETE") return bad("an event of another kind");
  event.deleted = type == "DELETE";
  event.kv = OM_TRY(key_value(OM_TRY(part(object, "kv"))));
  return event;
}

// The list of this name; absent: an empty one.
Result<Json> list(const Json& object, const char* name, size_t most) {
  const auto found = object.find(name);
  if (found == object.end()) return Json::array();
  if (!found->is_array() || found->size() > most) return bad(fmt::format("{} is no list", name));
  return *found;
}

Json range_of(std::string_view key, std::string_view end) {
  Json request = {{"key", to_base64(key)}};
  if (!end.empty()) request["range_end"] = to_base64(end);
  return request;
}

Json put_of(std::string_view key, std::string_view value) {
  return {{"key", to_base64(key)}, {"value", to_base64(value)}};
}

}  // namespace

std::string end_of(std::string prefix) {
  ++prefix.back();
  return prefix;
}

std::string authenticate_request(const std::string& user, const std::string& password) {
  return to_json_text({{"name", user}, {"password", password}});
}

std::string grant_request(int64_t ttl_s) { return to_json_text({{"TTL", std::to_string(ttl_s)}}); }

std::string keep_alive_request(int64_t lease) {
  return to_json_text({{"ID", std::to_string(lease)}});
}

std::string range_request(std::string_view key, std::string_view end, int64_t revision) {
  Json request = range_of(key, end);
  request["limit"] = std::to_string(kMostKeys);
  if (revision != 0) request["revision"] = std::to_string(revision);
  return to_json_text(request);
}

std::string put_request(std::string_view key, std::string_view value, int64_t lease) {
  Json request = put_of(key, value);
  if (lease != 0) request["lease"] = std::to_string(lease);
  return to_json_text(request);
}

std::string delete_request(std::string_view key) { return to_json_text(range_of(key, "")); }

std::string put_if_request(std::string_view key, std::string_view value, int64_t mod_revision) {
  const Json compare = {{"key", to_base64(key)},
                        {"target", "MOD"},
                        {"result", "EQUAL"},
                        {"mod_revision", std::to_string(mod_revision)}};
  return to_json_text({{"compare", Json::array({compare})},
                       {"success", Json::array({{{"request_put", put_of(key, value)}}})}});
}

std::string watch_request(std::string_view key, std::string_view end, int64_t start_revision) {
  Json create = range_of(key, end);
  create["start_revision"] = std::to_string(start_revision);
  return to_json_text({{"create_request", std::move(create)}});
}

Result<std::string> read_token(std::string_view answer) {
  std::string token = OM_TRY(text(OM_TRY(parse(answer)), "token", kMaxToken));
  // It becomes a line of a header.
  for (const char c : token) {
    if (c <= ' ' || c > '~') return bad("the token of authentication");
  }
  if (token.empty()) return bad("no token of authentication");
  return token;
}

Result<Lease> read_lease(std::string_view answer) {
  const Json json = OM_TRY(parse(answer));
  Lease lease{OM_TRY(number(json, "ID")), OM_TRY(number(json, "TTL"))};
  if (lease.id == 0 || lease.ttl_s <= 0) return bad("a lease without number or life");
  return lease;
}

Result<Lease> read_kept_alive(std::string_view answer) {
  const Json json = OM_TRY(parse(answer.substr(0, answer.find('\n'))));
  if (!json.contains("result")) return bad("a lease was not renewed");
  const Json result = OM_TRY(part(json, "result"));
  return Lease{OM_TRY(number(result, "ID")), OM_TRY(number(result, "TTL"))};
}

Result<Range> read_range(std::string_view answer) {
  const Json json = OM_TRY(parse(answer));
  Range range;
  range.revision = OM_TRY(revision_of(json));
  range.more = OM_TRY(flag(json, "more"));
  for (const Json& item : OM_TRY(list(json, "kvs", kMostKeys)))
    range.all.push_back(OM_TRY(key_value(item)));
  if (range.more && range.all.empty()) return bad("more keys, but none");
  return range;
}

Result<Outcome> read_outcome(std::string_view answer) {
  const Json json = OM_TRY(parse(answer));
  return Outcome{OM_TRY(flag(json, "succeeded")), OM_TRY(revision_of(json))};
}

Result<Watched> read_watched(std::string_view line) {
  const Json json = OM_TRY(parse(line));
  if (json.contains("error")) return plain_error(read_complaint(200, line).text);
  const Json result = OM_TRY(part(json, "result"));
  Watched watched;
  watched.revision = OM_TRY(revision_of(result));
  watched.canceled = OM_TRY(flag(result, "canceled"));
  watched.compact_revision = OM_TRY(number(result, "compact_revision"));
  watched.reason = shown(OM_TRY(text(result, "cancel_reason", kMaxAnswerBytes)));
  for (const Json& item : OM_TRY(list(result, "events", kMostEvents)))
    watched.events.push_back(OM_TRY(event(item)));
  return watched;
}

Complaint read_complaint(long status, std::string_view answer) {
  Complaint complaint;
  const auto json = parse(answer.substr(0, answer.find('\n')));
  Json inside = Json::object();
  if (json) {
    const auto error = json->find("error");
    inside = error != json->end() && error->is_object() ? *error : *json;
  }
  for (const char* name : {"message", "error"}) {
    const auto said = text(inside, name, kMaxAnswerBytes);
    if (complaint.text.empty() && said) complaint.text = shown(*said);
  }
  for (const char* name : {"code", "grpc_code"}) {
    const auto code = number(inside, name);
    if (complaint.code == 0 && code && *code > 0 && *code < 100)
      complaint.code = static_cast<int>(*code);
  }
  if (complaint.text.empty()) complaint.text = fmt::format("HTTP status {}", status);
  return complaint;
}

}  // namespace om::etcd
