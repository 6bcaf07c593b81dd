// SPDX-License-Identifier: Apache-2.0
//
// System V message queues: a receiver blocked across the move, message types, sizes, non-blocking
// errors.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct Message {
  long type;
  char text[16];
};

int main() {
  int queue = msgget(IPC_PRIVATE, 0600);
  if (queue < 0) om_test_skip("no System V message queues");
  pid_t sender = om_test_helper([=] {
    Message out{3, "third"};
    OM_SYS(msgsnd(queue, &out, 5, 0));
    out = {2, "second"};
    OM_SYS(msgsnd(queue, &out, 6, 0));
  });
  OmGuardedOut<Message> in;
  om_test_ready_blocking("msgrcv");
  ssize_t got = msgrcv(queue, &in, 16, 2, 0);
  om_test_join(sender);
  OmGuardedOut<msqid_ds> facts;
  int facts_result = msgctl(queue, IPC_STAT, &facts);
  ssize_t third = msgrcv(queue, &in, 16, 0, 0);
  Message out{1, "longer than 4 c"};
  OM_SYS(msgsnd(queue, &out, 16, IPC_NOWAIT));
  ssize_t cut = msgrcv(queue, &in, 4, 1, MSG_NOERROR);
  errno = 0;
  ssize_t none = msgrcv(queue, &in, 16, 0, IPC_NOWAIT);
  int why = errno;
  OM_SYS(msgctl(queue, IPC_RMID, nullptr));
  OM_CHECK_EQ(got, 6);
  OM_CHECK_EQ(facts_result, 0);
  OM_CHECK_EQ(facts->msg_qnum, 1);
  OM_CHECK_EQ(facts->msg_lspid, sender);
  OM_CHECK_EQ(third, 5);
  OM_CHECK_EQ(cut, 4);
  OM_CHECK(memcmp(in->text, "long", 4) == 0);
  OM_CHECK(none == -1 && why == ENOMSG);
  OM_CHECK_ERRNO(msgsnd(queue, &out, 1, 0), EINVAL);
}
