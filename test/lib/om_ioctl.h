// SPDX-License-Identifier: Apache-2.0
//
// Commands of ioctl() by name, for behaviours that print the result of each.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "test/lib/om_test.h"

// Makes the command and prints its result; the argument is `bytes` bytes against a guard page, filled with `with`.
// Returns the first bytes of the buffer afterwards.
inline long om_ask(const char* name, int fd, unsigned long command, size_t bytes, int with = 0) {
  OmGuarded argument(bytes);
  memset(argument.data(), with, bytes);
  errno = 0;
  const int result = ioctl(fd, command, argument.data());
  printf("%s %d %d\n", name, result, errno);
  long value = 0;
  memcpy(&value, argument.data(), bytes < sizeof value ? bytes : sizeof value);
  return value;
}

// The same for a command whose argument is a number. Returns the result.
inline long om_give(const char* name, int fd, unsigned long command, long value) {
  errno = 0;
  const int result = ioctl(fd, command, value);
  printf("%s %d %d\n", name, result, errno);
  return result;
}

#define OM_ASK(fd, command, ...) om_ask(#command, fd, command, __VA_ARGS__)
#define OM_GIVE(fd, command, value) om_give(#command, fd, command, value)
