// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/emptied.h"

#include <algorithm>

#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

void write_failure(const Failure& failure, wire::Outcome::Builder to) {
  auto refusal = to.initRefused();
  refusal.setCode(failure.code.c_str());
  refusal.setDetail(failure.message.c_str());
}

Result<Failure> read_failure(wire::Outcome::Reader from) {
  if (!from.isRefused()) return plain_error("an unknown outcome");
  const auto refused = from.getRefused();
  const std::string code = OM_TRY(read_wire_text(refused.getCode(), kMaxCodeBytes, "code"));
  Failure failure{ExitCode::kFailure,
                  OM_TRY(read_wire_text(refused.getDetail(), kMaxDetailBytes, "detail"))};
  if (is_code(code)) failure.code = code;
  if (failure.is(ReasonCode::kRemoteControl)) failure.exit = ExitCode::kPermission;
  return failure;
}

}  // namespace

void write_emptied(const EmptyAnswer& answer, wire::Member::DrainResults::Builder to) {
  if (!answer) return write_failure(answer.error(), to.initOutcome());
  to.initOutcome().setOk();
  to.setHome(answer->home);
  to.setGuests(answer->guests);
  const size_t count = std::min(answer->failed.size(), kMaxLeftBehind);
  auto list = to.initFailed(static_cast<kj::uint>(count));
  for (kj::uint i = 0; i < list.size(); ++i) {
    list[i].setPid(answer->failed[i].pid);
    list[i].setCode(answer->failed[i].code.c_str());
    list[i].setMessage(answer->failed[i].message.substr(0, kMaxDetailBytes).c_str());
  }
}

Result<EmptyAnswer> read_emptied(wire::Member::DrainResults::Reader from) {
  if (!from.getOutcome().isOk()) return EmptyAnswer(OM_TRY(read_failure(from.getOutcome())));
  Emptied emptied{from.getHome(), from.getGuests(), {}};
  if (from.getFailed().size() > kMaxLeftBehind) return plain_error("too many processes");
  for (const auto item : from.getFailed()) {
    Emptied::Failed failed{item.getPid(),
                           OM_TRY(read_wire_text(item.getCode(), kMaxCodeBytes, "code")),
                           OM_TRY(read_wire_text(item.getMessage(), kMaxDetailBytes, "message"))};
    if (!is_code(failed.code)) failed.code = code_name(ReasonCode::kInternal);
    emptied.failed.push_back(std::move(failed));
  }
  return EmptyAnswer(std::move(emptied));
}

void write_opened(const OpenAnswer& answer, wire::Member::UndrainResults::Builder to) {
  if (!answer) return write_failure(answer.error(), to.initOutcome());
  to.initOutcome().setOk();
  to.setWasClosed(*answer);
}

Result<OpenAnswer> read_opened(wire::Member::UndrainResults::Reader from) {
  if (!from.getOutcome().isOk()) return OpenAnswer(OM_TRY(read_failure(from.getOutcome())));
  return OpenAnswer(from.getWasClosed());
}

}  // namespace om::migrator
