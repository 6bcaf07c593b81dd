// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: deny entries (migrator/identity/deny.h) and the file that keeps them (migrator/identity/deny_list.h).
// The corpus has a genuine entry of the CA below, whose key is not kept: whatever else verifies was forged.
#include "migrator/identity/deny.h"

#include "migrator/identity/deny_list.h"
#include "test/fuzz/fuzz.h"

namespace {

constexpr const char* kCa = R"(-----BEGIN CERTIFICATE-----
MIIBhTCCASqgAwIBAgIUDPhvkG/7NVciyrHGQhCweBzCRLMwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDbGFiMB4XDTI2MTIwMTA4NTcxMloXDTM2MTEyODA4NTcxMlow
DjEMMAoGA1UEAwwDbGFiMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEceQeNam9
5DnEnkMnUz66x5sH92N5CQVSwm/ehGDKLyFF2lucnakf70Kuj6UQdkDdQXO8JffU
QjdY9SuiaWHm2aNmMGQwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMC
AgQwHQYDVR0OBBYEFLv3/XkFPa77oSVxFgpxjoUeDskgMB8GA1UdIwQYMBaAFLv3
/XkFPa77oSVxFgpxjoUeDskgMAoGCCqGSM49BAMCA0kAMEYCIQDjY3JR0VeGCVx+
2cjzXBLuDPa7XIoJzitjXeSOcheKVgIhAPrr0sVELnzKPG0s8PDqSVCd/H4BblmN
yKg1dWeL5Dgr
-----END CERTIFICATE-----
)";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace om::migrator;
  using om::fuzz::require;
  const std::string_view text = om::fuzz::text_of(data, size);
  static const auto verifier = DenyVerifier::make(kCa);
  require(verifier.ok());
  const auto entry = parse_deny(text);
  const auto genuine = verifier->verify(text);
  require(entry.ok() || !genuine.ok());
  if (entry) {
    require(entry->bytes == text && size <= kMaxDenyBytes);
    require(entry->reason.size() <= kMaxDenyReason);
  }
  if (genuine) require(genuine->name == "n2" && genuine->reason == "stolen");
  if (auto entries = parse_deny_file(std::string(text)))
    require(entries->size() <= kMaxDenyEntries);
  return 0;
}
