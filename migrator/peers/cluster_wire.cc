// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/cluster_wire.h"

#include <kj/debug.h>

#include "common/tls/openssl.h"
#include "migrator/identity/deny_list.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

constexpr size_t kMaxListen = 80;
constexpr size_t kMaxDigest = 32;

Result<std::string> read_bytes(capnp::Data::Reader data, size_t max_bytes, const char* field) {
  if (data.size() > max_bytes) return plain_error(std::string(field) + " is too long");
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

}  // namespace

void write_news(const ClusterNews& news, wire::ClusterNews::Builder to) {
  to.setListen(news.listen.c_str());
  to.setSigner(news.signer);
  to.setGroupKey(news.group_key);
  to.setDenied(wire_data(news.denied));
  to.setKeyCheck(wire_data(news.key_check));
}

Result<ClusterNews> read_news(wire::ClusterNews::Reader from) {
  ClusterNews news;
  news.listen = OM_TRY(read_wire_text(from.getListen(), kMaxListen, "listen"));
  news.signer = from.getSigner();
  news.group_key = from.getGroupKey();
  news.denied = OM_TRY(read_bytes(from.getDenied(), kMaxDigest, "denied"));
  news.key_check = OM_TRY(read_bytes(from.getKeyCheck(), kMaxDigest, "keyCheck"));
  return news;
}

void write_entries(const std::vector<std::string>& entries, capnp::List<capnp::Data>::Builder to) {
  for (kj::uint i = 0; i < to.size(); ++i) to.set(i, wire_data(entries[i]));
}

Result<std::vector<std::string>> read_entries(capnp::List<capnp::Data>::Reader from) {
  if (from.size() > kMaxDenyEntries) return plain_error("too many deny entries");
  std::vector<std::string> entries;
  for (const capnp::Data::Reader data : from)
    entries.push_back(OM_TRY(read_bytes(data, kMaxDenyBytes, "a deny entry")));
  return entries;
}

void write_renewed(const Expected<std::string, Failure>& renewed,
                   wire::Member::RenewResults::Builder to) {
  if (renewed) {
    to.initOutcome().setOk();
    to.setCertificate(renewed->c_str());
    return;
  }
  auto refusal = to.initOutcome().initRefused();
  refusal.setCode(renewed.error().code.c_str());
  refusal.setDetail(renewed.error().message.c_str());
}

kj::Promise<ClusterNews> exchange_news(UvKj& kj, wire::Member::Client member,
                                       const ClusterNews& own) {
  auto call = member.newsRequest();
  write_news(own, call.initCluster());
  kj::Promise<capnp::Response<wire::Member::NewsResults>> reply = call.send();
  return with_limit(kj, kQuestionLimit, "news", kj::mv(reply))
      .then([](capnp::Response<wire::Member::NewsResults> response) {
        return value_of(read_news(response.getCluster()));
      });
}

kj::Promise<Expected<std::string, Failure>> ask_renew(UvKj& kj, wire::Member::Client node,
                                                      const std::string& request) {
  using Answer = Expected<std::string, Failure>;
  auto call = node.renewRequest();
  call.setRequest(request.c_str());
  kj::Promise<capnp::Response<wire::Member::RenewResults>> reply = call.send();
  return with_limit(kj, kQuestionLimit, "the renewal", kj::mv(reply))
      .then([](capnp::Response<wire::Member::RenewResults> response) -> Answer {
        if (response.getOutcome().isOk())
          return value_of(read_wire_text(response.getCertificate(), kMaxPemBytes, "certificate"));
        const auto refused = response.getOutcome().getRefused();
        const auto code = value_of(read_wire_text(refused.getCode(), kMaxCodeBytes, "code"));
        Failure failure{ExitCode::kRefused,
                        value_of(read_wire_text(refused.getDetail(), kMaxDetailBytes, "detail"))};
        if (is_code(code)) failure.code = code;
        return failure;
      });
}

kj::Promise<std::vector<std::string>> ask_denied(UvKj& kj, wire::Member::Client node,
                                                 const std::vector<std::string>& own) {
  auto call = node.denyRequest();
  write_entries(own, call.initEntries(static_cast<kj::uint>(own.size())));
  kj::Promise<capnp::Response<wire::Member::DenyResults>> reply = call.send();
  return with_limit(kj, kQuestionLimit, "the list of removed nodes", kj::mv(reply))
      .then([](capnp::Response<wire::Member::DenyResults> response) {
        return value_of(read_entries(response.getEntries()));
      });
}

kj::Promise<GroupKey> ask_group_key(UvKj& kj, wire::Member::Client node) {
  kj::Promise<capnp::Response<wire::Member::GroupKeyResults>> reply = node.groupKeyRequest().send();
  return with_limit(kj, kQuestionLimit, "the group key", kj::mv(reply))
      .then([](capnp::Response<wire::Member::GroupKeyResults> response) {
        GroupKey key{response.getNumber(),
                     value_of(read_bytes(response.getKey(), kGroupKeyBytes, "key"))};
        KJ_REQUIRE(key.bytes.size() == kGroupKeyBytes, "a group key has 32 bytes");
        return key;
      });
}

kj::Promise<void> say_farewell(UvKj& kj, wire::Member::Client node) {
  kj::Promise<capnp::Response<wire::Member::LeaveResults>> reply = node.leaveRequest().send();
  return with_limit(kj, kQuestionLimit, "the farewell", kj::mv(reply))
      .then([](capnp::Response<wire::Member::LeaveResults>) {});
}

}  // namespace om::migrator
