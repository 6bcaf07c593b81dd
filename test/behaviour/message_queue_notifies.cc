// SPDX-License-Identifier: Apache-2.0
//
// mq_notify() from before the move tells of a message that comes after it: by a signal with its value, by a thread,
// or not at all. So does one that is made after the move.
// om-points: 2
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

static sem_t g_told;
static volatile int g_value;

static mqd_t make(const char* which) {
  char name[64];
  snprintf(name, sizeof name, "/om-notify-%s-%d", which, getpid());
  mq_attr limits{};
  limits.mq_maxmsg = 4;
  limits.mq_msgsize = 8;
  const mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &limits);
  if (queue < 0) om_test_skip("no POSIX message queues");
  OM_SYS(mq_unlink(name));
  return queue;
}

static sigevent event_of(int how, int value) {
  sigevent event{};
  event.sigev_notify = how;
  event.sigev_signo = SIGRTMIN + 1;
  event.sigev_value.sival_int = value;
  event.sigev_notify_function = [](sigval v) {
    g_value = v.sival_int;
    sem_post(&g_told);
  };
  return event;
}

static void await(int value) {
  while (sem_wait(&g_told) != 0) OM_CHECK_EQ(errno, EINTR);
  OM_CHECK_EQ(g_value, value);
}

int main() {
  OM_SYS(sem_init(&g_told, 0, 0));
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    OM_CHECK_EQ(info->si_code, SI_MESGQ);
    g_value = info->si_value.sival_int;
    sem_post(&g_told);
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGRTMIN + 1, &action, nullptr));
  const mqd_t by_signal = make("signal"), by_thread = make("thread"), silent = make("silent");
  sigevent first = event_of(SIGEV_SIGNAL, 11), second = event_of(SIGEV_THREAD, 22),
           third = event_of(SIGEV_NONE, 33);
  OM_SYS(mq_notify(by_signal, &first));
  OM_SYS(mq_notify(by_thread, &second));
  OM_SYS(mq_notify(silent, &third));
  const pid_t one = om_test_helper([=] { OM_SYS(mq_send(by_signal, "text", 4, 1)); }, 1);
  const pid_t two = om_test_helper([=] { OM_SYS(mq_send(by_thread, "text", 4, 1)); }, 2);
  om_test_ready();
  await(11);
  om_test_wait_moved();
  OM_CHECK_ERRNO(mq_notify(silent, &third), EBUSY);
  OM_SYS(mq_notify(silent, nullptr));
  om_test_ready();
  await(22);
  om_test_wait_moved();
  om_test_join(one);
  om_test_join(two);
  char text[8];
  OM_CHECK_EQ(mq_receive(by_signal, text, 8, nullptr), 4);
  OM_CHECK_EQ(mq_receive(by_thread, text, 8, nullptr), 4);
  first = event_of(SIGEV_SIGNAL, 44);
  second = event_of(SIGEV_THREAD, 55);
  OM_SYS(mq_notify(by_signal, &first));
  OM_SYS(mq_send(by_signal, "more", 4, 1));
  await(44);
  OM_SYS(mq_notify(by_thread, &second));
  OM_SYS(mq_send(by_thread, "more", 4, 1));
  await(55);
}
