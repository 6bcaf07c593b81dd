// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/lookups.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <memory>

namespace om::members {
namespace {

constexpr const char* kService = "_openmosix._tcp";

}  // namespace

std::vector<Address> addresses_of(const std::string& text, uint16_t default_port) {
  std::vector<Address> found;
  if (auto numeric = Address::parse(text, default_port)) return {*numeric};
  // The first address says whether the text is a name, and with which port.
  const auto first = Address::look_up(text, default_port);
  if (!first) return {};
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(text.substr(0, text.find(':')).c_str(), nullptr, &hints, &list) != 0)
    return {*first};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  for (const addrinfo* item = list; item != nullptr && found.size() < kMostOfName;
       item = item->ai_next) {
    sockaddr_storage storage{};
    if (item->ai_addrlen > sizeof storage) continue;
    ::memcpy(&storage, item->ai_addr, item->ai_addrlen);
    auto address = Address::from_sockaddr(storage);
    if (!address) continue;
    address->set_port(first->port());
    found.push_back(*address);
  }
  return found;
}

Result<std::vector<Target>> parse_service_answer(std::string_view answer) {
  ns_msg message;
  if (answer.size() > 65535 || ::ns_initparse(reinterpret_cast<const unsigned char*>(answer.data()),
                                              static_cast<int>(answer.size()), &message) != 0)
    return plain_error("a name server's answer that is malformed");
  std::vector<Target> targets;
  const int count = ns_msg_count(message, ns_s_an);
  for (int i = 0; i < count && targets.size() < kMostOfService; ++i) {
    ns_rr record;
    if (::ns_parserr(&message, ns_s_an, i, &record) != 0)
      return plain_error("a name server's answer that is malformed");
    if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) < 7) continue;
    const unsigned char* data = ns_rr_rdata(record);
    std::array<char, NS_MAXDNAME> name{};
    if (::ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + 6, name.data(),
                             name.size()) < 0)
      continue;
    const auto port = static_cast<uint16_t>(::ns_get16(data + 4));
    // A dot alone: there is no such service. Names that the resolver would not take are dropped there.
    if (port == 0 || name[0] == '\0' || ::strcmp(name.data(), ".") == 0) continue;
    targets.push_back({name.data(), port, static_cast<uint16_t>(::ns_get16(data))});
  }
  std::stable_sort(targets.begin(), targets.end(),
                   [](const Target& a, const Target& b) { return a.priority < b.priority; });
  return targets;
}

Result<std::vector<Target>> look_up_service(const std::string& domain,
                                            const std::optional<Address>& server) {
  struct __res_state state {};
  if (::res_ninit(&state) != 0) return plain_error("the resolver cannot be used");
  const std::unique_ptr<struct __res_state, void (*)(struct __res_state*)> owner(
      &state, [](struct __res_state* used) { ::res_nclose(used); });
  state.retrans = 1;
  state.retry = 2;
  if (server && server->family() == AF_INET) {
    state.nscount = 1;
    ::memcpy(&state.nsaddr_list[0], server->raw(), sizeof state.nsaddr_list[0]);
  }
  std::array<unsigned char, 8192> answer;
  const int size =
      domain.empty()
          ? ::res_nsearch(&state, kService, ns_c_in, ns_t_srv, answer.data(), answer.size())
          : ::res_nquery(&state, (std::string(kService) + "." + domain).c_str(), ns_c_in, ns_t_srv,
                         answer.data(), answer.size());
  if (size < 0) return plain_error("no service record of openMosix in this domain");
  const auto got = std::min(static_cast<size_t>(size), answer.size());
  return parse_service_answer({reinterpret_cast<const char*>(answer.data()), got});
}

}  // namespace om::members
