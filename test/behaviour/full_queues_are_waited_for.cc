// SPDX-License-Identifier: Apache-2.0
//
// Senders to full queues are blocked across the move: msgsnd() until there is room and until the queue is removed,
// mq_send() until there is room and until a handler runs. All commands and flags of System V queues.
// om-points: 4
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct Message {
  long type;
  char text[100];
};
static int g_queue;

static void fill(long type) {
  Message out{};
  out.type = type;
  while (msgsnd(g_queue, &out, sizeof out.text, IPC_NOWAIT) == 0) out.type = type;
  OM_CHECK_EQ(errno, EAGAIN);
}

static void commands() {
  OmGuardedOut<msqid_ds> facts;
  OM_SYS(msgctl(g_queue, IPC_STAT, &facts));
  OM_CHECK(facts->msg_qnum > 3);
  facts->msg_perm.mode = 0640;
  facts->msg_qbytes = 600;
  OM_SYS(msgctl(g_queue, IPC_SET, &facts));
  OM_SYS(msgctl(g_queue, IPC_STAT, &facts));
  OM_CHECK_EQ(facts->msg_perm.mode & 0777, 0640);
  OM_CHECK_EQ(facts->msg_qbytes, 600);
  OmGuardedOut<msginfo> limits;
  const int last =
      OM_SYS(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(reinterpret_cast<char*>(&limits))));
  OM_CHECK(limits->msgmnb > 0);
  OM_SYS(msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(reinterpret_cast<char*>(&limits))));
  OM_CHECK(limits->msgpool >= 1);
  bool found = false;
  for (int i = 0; i <= last && !found; ++i) found = msgctl(i, MSG_STAT, &facts) == g_queue;
  OM_CHECK(found);
  for (int i = 0; i <= last; ++i) {
    constexpr int kMsgStatAny = 13;
    if (msgctl(i, kMsgStatAny, &facts) == g_queue) OM_CHECK_EQ(facts->msg_qbytes, 600);
  }
  OmGuardedOut<Message> in;
  OM_CHECK_EQ(msgrcv(g_queue, &in, 100, 5, MSG_EXCEPT), 100);
  OM_CHECK_EQ(in->type, 7);
  OM_CHECK_EQ(msgrcv(g_queue, &in, 100, -6, 0), 100);
  OM_CHECK_EQ(in->type, 5);
  constexpr int kMsgCopy = 040000;
  if (msgrcv(g_queue, &in, 100, 0, kMsgCopy | IPC_NOWAIT) >= 0) OM_CHECK_EQ(in->type, 5);
  OM_CHECK_ERRNO(msgrcv(g_queue, &in, 99, 0, 0), E2BIG);
  OM_CHECK_ERRNO(msgrcv(g_queue, &in, 100, 99, IPC_NOWAIT), ENOMSG);
}

static void posix_queue(pid_t parent) {
  char name[64];
  snprintf(name, sizeof name, "/om-full-%d", getpid());
  mq_attr limits{};
  limits.mq_maxmsg = 1;
  limits.mq_msgsize = 8;
  const mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &limits);
  if (queue < 0) return;
  OM_SYS(mq_unlink(name));
  const pid_t receiver = om_test_helper(
                  [=] {
                    char text[8];
                    OM_CHECK_EQ(mq_receive(queue, text, 8, nullptr), 5);
                    OM_CHECK_EQ(mq_receive(queue, text, 8, nullptr), 6);
                    OM_SYS(mq_send(queue, "third", 5, 1));
                  },
                  3),
              killer = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); }, 4);
  OM_SYS(mq_send(queue, "first", 5, 3));
  om_test_ready_blocking("mq_timedsend");
  OM_CHECK_EQ(mq_send(queue, "second", 6, 2), 0);
  om_test_wait_moved();
  om_test_join(receiver);
  om_test_ready_blocking("mq_timedsend");
  OM_CHECK_ERRNO(mq_send(queue, "fourth", 6, 2), EINTR);
  om_test_join(killer);
  timespec soon{};
  clock_gettime(CLOCK_REALTIME, &soon);
  OM_CHECK_ERRNO(mq_timedsend(queue, "fourth", 6, 2, &soon), ETIMEDOUT);
}

int main() {
  g_queue = msgget(IPC_PRIVATE, 0600);
  if (g_queue < 0) om_test_skip("no System V message queues");
  struct sigaction action {};
  action.sa_handler = [](int) {};
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  fill(5);
  const pid_t receiver = om_test_helper(
                  [] {
                    Message in;
                    OM_CHECK_EQ(msgrcv(g_queue, &in, 100, 0, 0), 100);
                  },
                  1),
              removal = om_test_helper([] { OM_SYS(msgctl(g_queue, IPC_RMID, nullptr)); }, 2);
  Message out{7, "last"};
  om_test_ready_blocking("msgsnd");
  const int sent = msgsnd(g_queue, &out, sizeof out.text, 0);
  om_test_wait_moved();
  om_test_join(receiver);
  commands();
  om_test_ready_blocking("msgsnd");
  OM_CHECK_ERRNO(msgsnd(g_queue, &out, sizeof out.text, 0), EIDRM);
  om_test_wait_moved();
  om_test_join(removal);
  OM_CHECK_EQ(sent, 0);
  posix_queue(getpid());
}
