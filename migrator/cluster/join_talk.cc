// SPDX-License-Identifier: Apache-2.0
#include "migrator/cluster/join_talk.h"

#include <kj/debug.h>

#include <array>
#include <utility>

#include "common/base/version.h"

namespace om::migrator {
namespace {

// The client's hello and certificate take no more than this; the rest of the limit is for the messages.
constexpr Milliseconds kConnectLimit{5000};

[[noreturn]] void fail(const std::string& what) {
  kj::throwFatalException(KJ_EXCEPTION(FAILED, what.c_str()));
}

// Reads a line; nothing may follow it. Keeps what it has read so far.
class LineReader {
 public:
  LineReader(kj::AsyncIoStream& stream, size_t max_bytes) : stream_(stream), max_(max_bytes) {}

  // Fulfilled when line() is there.
  kj::Promise<void> read() {
    return stream_.tryRead(piece_.data(), 1, piece_.size())
        .then([this](size_t count) -> kj::Promise<void> {
          if (count == 0) fail("the other end said nothing");
          line_.append(piece_.data(), count);
          const size_t end = line_.find('\n');
          if (end == line_.npos) {
            if (line_.size() > max_) fail("the message is too long");
            return read();
          }
          if (end + 1 != line_.size()) fail("more than one message");
          line_.pop_back();
          return kj::READY_NOW;
        });
  }
  // Without its '\n'.
  const std::string& line() const { return line_; }

 private:
  kj::AsyncIoStream& stream_;
  size_t max_;
  std::string line_;
  std::array<char, 4096> piece_;
};

JoinAnswer bad_request(std::string text) {
  JoinAnswer answer;
  answer.failure = {ExitCode::kRefused, ReasonCode::kBadRequest, std::move(text)};
  return answer;
}

// One connection, at the server. Lives until everything has been said.
struct Visit {
  Visit(kj::Own<TlsStream> given, JoinJudge judge_with)
      : stream(kj::mv(given)), reader(*stream, kMaxJoinRequest), judge(std::move(judge_with)) {}

  kj::Promise<void> run() {
    return reader.read()
        .then([this] { return answer(); },
              [](kj::Exception&& error) -> kj::Promise<JoinAnswer> {
                if (error.getType() == kj::Exception::Type::DISCONNECTED)
                  kj::throwFatalException(kj::mv(error));
                return bad_request(error.getDescription().cStr());
              })
        .then([this](JoinAnswer answer) { text = to_line(answer); })
        .then([this] { return stream->write(text.data(), text.size()); })
        .then([this] { return stream->end_writes(); });
  }
  kj::Promise<JoinAnswer> answer() {
    const auto request = parse_join_request(reader.line());
    const auto exporter = stream->session().exporter(kProofLabel, kProofInputBytes);
    if (!exporter) fail(exporter.error().text());
    if (!request) return bad_request(request.error().text());
    return judge(*request, *exporter);
  }

  kj::Own<TlsStream> stream;
  LineReader reader;
  JoinJudge judge;
  std::string text;
};

// One attempt, at the client.
struct Attempt {
  Attempt(kj::Own<TlsStream> given, std::string line)
      : stream(kj::mv(given)), reader(*stream, kMaxJoinAnswer), text(std::move(line)) {}

  kj::Promise<JoinReply> run() {
    return stream->write(text.data(), text.size())
        .then([this] { return reader.read(); })
        .then([this] {
          auto answer = parse_join_answer(reader.line());
          if (!answer) fail("its answer makes no sense: " + answer.error().text());
          auto ca = stream->session().ca_pem();
          if (!ca) fail(ca.error().text());
          JoinReply reply;
          reply.answer = std::move(*answer);
          reply.ca_pem = std::move(*ca);
          return reply;
        });
  }

  kj::Own<TlsStream> stream;
  LineReader reader;
  std::string text;
};

}  // namespace

kj::Promise<void> serve_joiner(UvKj& kj, kj::Own<TlsStream> stream, JoinJudge judge) {
  auto visit = kj::heap<Visit>(kj::mv(stream), std::move(judge));
  auto run = kj::evalNow([&] { return visit->run(); });
  return with_limit(kj, kJoinLimit, "a join", run.attach(kj::mv(visit)));
}

kj::Promise<JoinReply> ask_to_join(UvKj& kj, const Address& from, const Address& to,
                                   const Token& token, const std::string& certificate_request,
                                   const std::string& own_address) {
  auto context = TlsContext::joiner(token.ca_hash);
  if (!context) fail(context.error().text());
  auto run =
      connect_tcp(kj, from, to)
          .then([context = *context, &kj](kj::Own<kj::AsyncIoStream> stream) {
            return tls_connect(context, kj::mv(stream), std::nullopt, kj.after(kConnectLimit));
          })
          .then([token, certificate_request,
                 own_address](kj::Own<TlsStream> stream) -> kj::Promise<JoinReply> {
            auto exporter = stream->session().exporter(kProofLabel, kProofInputBytes);
            if (!exporter) fail(exporter.error().text());
            JoinRequest request;
            request.protocol = kProtocol;
            request.token = token.id;
            request.proof = token_proof(token.proof_key(), *exporter);
            request.certificate_request = certificate_request;
            request.address = own_address;
            auto attempt = kj::heap<Attempt>(kj::mv(stream), to_line(request));
            auto reply = attempt->run();
            return reply.attach(kj::mv(attempt));
          });
  return with_limit(kj, kJoinLimit, "the join", kj::mv(run));
}

}  // namespace om::migrator
