// SPDX-License-Identifier: Apache-2.0
//
// The control socket: accepts clients of this machine, identifies them (rights.h), reads JSON lines and passes each
// request to one function, which answers it exactly once, now or later. A misbehaving client loses only its own
// connection. No user can keep others out: each user's connections are limited, the user with the most gives way, idle
// connections are closed, and some are reserved for those who administer the node and for deputies.
// docs/ARCHITECTURE.md lists the verbs; migrator/control/verbs.cc answers them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/unique_fd.h"
#include "common/net/control.h"
#include "common/uv/json_stream.h"
#include "common/uv/loop.h"
#include "migrator/control/rights.h"

namespace om::migrator {

struct ControlLimits {
  size_t clients = 256;         // of ordinary users
  size_t clients_of_user = 64;  // of one of them
  size_t reserved = 64;         // in addition, for callers that must get in
  Milliseconds idle{60000};     // without a request and without an answer outstanding
};

class ControlServer {
 public:
  // Call it exactly once. Does nothing if the client is gone.
  using Answerer = std::function<void(Json)>;
  using Handler = std::function<void(const Caller&, const Json& request, Answerer answer)>;
  // Called before the Handler; may take over the connection (deputy.attach). True if it did: it then answers itself.
  using Taker =
      std::function<bool(const Caller&, const Json& request, std::unique_ptr<JsonStream>& stream)>;

  using Limits = ControlLimits;

  // Error if the path is too long, its directory is not ours alone, or another daemon answers there. mode: for the
  // socket file.
  static Result<std::unique_ptr<ControlServer>> listen(Loop& loop, const std::string& path,
                                                       mode_t mode);
  ~ControlServer();

  // must_get_in: who gets a reserved connection; by default nobody.
  void serve(Handler handler, Taker taker, std::function<bool(const Caller&)> must_get_in = {},
             Limits limits = {});

 private:
  struct Client;
  ControlServer(Loop& loop, std::string path, UniqueFd lock, UniqueFd socket);
  void listen_on();
  void accept_some();
  void add_client(UniqueFd socket, const Caller& caller, bool preferred);
  // Whether there is room for another client of this user; if not, `why` is the sentence for the client.
  bool make_room(uid_t uid, bool preferred, std::string& why);
  bool drop_client_of(uid_t uid, bool also_waiting);
  void drop_idle_clients();
  void on_request(uint64_t id, const Json& request);
  void close_if_done(uint64_t id);

  Loop& loop_;
  std::string path_;
  UniqueFd lock_;
  UniqueFd socket_;
  Poller poller_;
  Timer accept_again_;
  Handler handler_;
  Taker taker_;
  std::function<bool(const Caller&)> must_get_in_;
  Limits limits_;
  Timer idle_check_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  // Answerers may outlive the server: they check here first.
  std::shared_ptr<ControlServer*> self_;
};

}  // namespace om::migrator
