// SPDX-License-Identifier: Apache-2.0
//
// The control socket: accepts clients of this machine, learns who they are (SO_PEERCRED), reads JSON lines
// and hands each request to one function, which answers it at once or later, once. What a client does wrong
// costs it its own connection only. docs/ARCHITECTURE.md lists the verbs; migrator/verbs.cc is the function.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/control.h"
#include "common/json_stream.h"
#include "common/loop.h"

namespace om::migrator {

struct Caller {
  uid_t uid = 0;
  pid_t pid = 0;
};

class ControlServer {
 public:
  // Call it exactly once. After the client has gone it does nothing.
  using Answerer = std::function<void(Json)>;
  using Handler = std::function<void(const Caller&, const Json& request, Answerer answer)>;
  // Asked before the Handler: may take the connection away (deputy.attach). True if it did; it then answers
  // by itself.
  using Adopter =
      std::function<bool(const Caller&, const Json& request, std::unique_ptr<JsonStream>& stream)>;

  // Error if the path is too long, its directory is not ours alone, or another daemon answers there.
  // mode: of the socket file.
  static Result<std::unique_ptr<ControlServer>> listen(Loop& loop, const std::string& path,
                                                       mode_t mode);
  ~ControlServer();

  void serve(Handler handler, Adopter adopter);

 private:
  struct Client;
  ControlServer(Loop& loop, std::string path, UniqueFd lock, UniqueFd socket);
  void listen_on();
  void accept_some();
  void on_request(uint64_t id, const Json& request);
  void close_if_done(uint64_t id);

  Loop& loop_;
  std::string path_;
  UniqueFd lock_;
  UniqueFd socket_;
  Poller poller_;
  Timer accept_again_;
  Handler handler_;
  Adopter adopter_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  // Answerers may outlive the server: they look here first.
  std::shared_ptr<ControlServer*> self_;
};

}  // namespace om::migrator
