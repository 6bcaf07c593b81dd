// SPDX-License-Identifier: Apache-2.0
//
// The job of bash_job.py: an interactive program on a terminal. It writes its process id into
// "job.pid", answers every line with the line reversed, counts Ctrl-C, tells new window sizes,
// computes on request in the background until a file appears, and asks for a secret with echo off.
//
//   typed_job
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace {

volatile sig_atomic_t g_interrupts = 0;

void on_interrupt(int) {
  g_interrupts = g_interrupts + 1;
  char line[32];
  int bytes = snprintf(line, sizeof line, "[interrupt %d]\n", static_cast<int>(g_interrupts));
  if (write(STDOUT_FILENO, line, static_cast<size_t>(bytes)) != bytes) abort();
}

void on_resize(int) {
  winsize size{};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) abort();
  char line[48];
  int bytes = snprintf(line, sizeof line, "[size %d x %d]\n", size.ws_row, size.ws_col);
  if (write(STDOUT_FILENO, line, static_cast<size_t>(bytes)) != bytes) abort();
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  if (sigaction(number, &action, nullptr) != 0) abort();
}

void compute() {
  puts("computing");
  uint64_t x = 1;
  while (access("enough", F_OK) != 0) {
    for (int i = 0; i < 5000000; ++i) x = x * 6364136223846793005ull + 1;
  }
  asm volatile("" : : "r"(x));
  puts("computed");
}

void ask_secret() {
  termios normal{}, quiet{};
  if (tcgetattr(STDIN_FILENO, &normal) != 0) abort();
  quiet = normal;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) abort();
  printf("secret? ");
  char line[256];
  if (fgets(line, sizeof line, stdin) == nullptr) abort();
  if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &normal) != 0) abort();
  printf("%zu characters\n", strlen(line) - 1);
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  handle(SIGINT, on_interrupt);
  handle(SIGWINCH, on_resize);
  FILE* out = fopen("job.new", "w");
  if (out == nullptr || fprintf(out, "%d", getpid()) < 0 || fclose(out) != 0) return 1;
  if (rename("job.new", "job.pid") != 0) return 1;
  printf("ready on %s\n", isatty(STDIN_FILENO) ? "a terminal" : "no terminal");
  char line[256];
  for (int number = 1; fgets(line, sizeof line, stdin) != nullptr; ++number) {
    std::string text(line, strcspn(line, "\n"));
    if (text == "compute") {
      compute();
    } else if (text == "secret") {
      ask_secret();
    } else if (text == "default") {
      signal(SIGINT, SIG_DFL);
      puts("default now");
    } else {
      std::reverse(text.begin(), text.end());
      printf("%d: %s\n", number, text.c_str());
    }
  }
  puts("end of input");
  return 0;
}
