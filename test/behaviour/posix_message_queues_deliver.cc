// SPDX-License-Identifier: Apache-2.0
//
// POSIX message queues: a receiver blocked across the move, priorities, attributes, a time limit.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>

int main() {
  char name[64];
  snprintf(name, sizeof name, "/om-behaviour-%d", getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 5;
  attributes.mq_msgsize = 32;
  mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue < 0) om_test_skip("no POSIX message queues");
  OM_SYS(mq_unlink(name));
  pid_t sender = om_test_helper([=] {
    OM_SYS(mq_send(queue, "urgent", 6, 9));
    OM_SYS(mq_send(queue, "ordinary", 8, 1));
    OM_SYS(mq_send(queue, "important", 9, 5));
  });
  OmGuarded text(32);
  OmGuardedOut<unsigned> priority;
  om_test_ready_blocking("mq_timedreceive");
  OM_CHECK_EQ(mq_receive(queue, text.data(), 32, &priority), 6);
  OM_CHECK_EQ(*priority, 9);
  om_test_join(sender);
  OM_CHECK_EQ(mq_receive(queue, text.data(), 32, &priority), 9);
  OM_CHECK_EQ(*priority, 5);
  OmGuardedOut<mq_attr> now;
  OM_SYS(mq_getattr(queue, &now));
  OM_CHECK_EQ(now->mq_curmsgs, 1);
  OM_CHECK_EQ(now->mq_msgsize, 32);
  OM_CHECK_ERRNO(mq_receive(queue, text.data(), 31, nullptr), EMSGSIZE);
  OM_CHECK_EQ(mq_receive(queue, text.data(), 32, nullptr), 8);
  int64_t until = om_test_ns(CLOCK_REALTIME) + 200 * kMilli;
  timespec when{until / kSecond, until % kSecond};
  OM_CHECK_ERRNO(mq_timedreceive(queue, text.data(), 32, nullptr, &when), ETIMEDOUT);
  OM_CHECK(om_test_ns(CLOCK_REALTIME) >= until);
  attributes.mq_flags = O_NONBLOCK;
  OM_SYS(mq_setattr(queue, &attributes, nullptr));
  OM_CHECK_ERRNO(mq_receive(queue, text.data(), 32, nullptr), EAGAIN);
}
