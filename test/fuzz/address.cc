// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: addresses and subnets as in peers' messages and files (common/net/address.h). What is accepted prints as
// text that means the same.
#include "common/net/address.h"

#include <string.h>

#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::fuzz::Bytes input(data, size);
  const auto default_port = input.take<uint16_t>();
  auto address = om::Address::parse(input.rest_text(), default_port);
  if (address) {
    auto again = om::Address::parse(address->text());
    require(again && again->port() == address->port() && again->same_host(*address));
    require(again->is_loopback() == address->is_loopback() && again->is_any() == address->is_any());
    auto bare = om::Address::parse(address->host(), address->port());
    require(bare && bare->text() == address->text());
    sockaddr_storage storage{};
    memcpy(&storage, address->raw(), address->raw_size());
    auto kernel = om::Address::from_sockaddr(storage);
    require(kernel && kernel->text() == address->text());
  }
  auto subnet = om::Subnet::parse(input.rest_text());
  if (subnet) {
    require(subnet->bits <= 32);
    auto again = om::Subnet::parse(subnet->text());
    require(again && again->network == subnet->network && again->bits == subnet->bits);
    if (address) static_cast<void>(subnet->contains(*address));
  }
  return 0;
}
