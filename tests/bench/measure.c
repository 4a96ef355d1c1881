/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * measure.c - runs a command once and writes down what it took:
 *
 *   measure RESULTS ROW WHO ROUND COMMAND [ARGUMENT...]
 *
 * One line of JSON is appended to RESULTS: seconds by the clock, seconds of processors (user and
 * system, of the command and all its children), peak memory of the largest process among them, what
 * they read from disks, and how many processors others kept busy meanwhile.  The command's exit
 * status is passed on.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

#define BLOCKS_PER_MB 2048.0 /* of getrusage(2), of 512 bytes each */

struct moment {
  double clock;   /* seconds */
  double machine; /* seconds that the machine's processors worked, all together */
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, in ticks. */
static double machine_worked(void)
{
  uint64_t t[8] = {0};
  ST_AUTO_FCLOSE FILE *f = fopen("/proc/stat", "re");
  if (!f || fscanf(f,
                   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64,
                   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
    return 0;
  return (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(const struct timeval *t)
{
  return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static int exit_status(int status)
{
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Fills in what wait4(2) says; -1 where the command could not be started. */
static int run(char **command, int *ret_status, struct rusage *ret_usage)
{
  pid_t child = fork();
  if (child == 0) {
    execvp(command[0], command);
    fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
    _exit(127);
  }
  return child < 0 || wait4(child, ret_status, 0, ret_usage) < 0 ? -1 : 0;
}

static int append(const char *file, json_t *line)
{
  ST_AUTO_FCLOSE FILE *f = fopen(file, "ae");
  if (!f || json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(6)) < 0 || fputc('\n', f) < 0)
    return -1;
  return 0;
}

int main(int argc, char **argv)
{
  if (argc < 6) {
    fputs("usage: measure RESULTS ROW WHO ROUND COMMAND [ARGUMENT...]\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  int status = 0;
  struct rusage usage;
  struct moment before = {now(), machine_worked()};
  if (run(argv + 5, &status, &usage) < 0) {
    perror("measure");
    return ST_EXIT_TROUBLE;
  }
  struct moment after = {now(), machine_worked()};
  double wall = after.clock - before.clock;
  double cpu = seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
  double others = (after.machine - before.machine - cpu) / wall;
  json_t *line =
      json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:i}", "row", argv[2], "who", argv[3],
                "round", argv[4], "wall_s", wall, "cpu_s", cpu, "peak_mb",
                (double)usage.ru_maxrss / 1024, "read_mb", (double)usage.ru_inblock / BLOCKS_PER_MB,
                "others", others > 0 ? others : 0, "status", exit_status(status));
  if (!line || append(argv[1], line) < 0) {
    fprintf(stderr, "measure: cannot write (%s)\n", argv[1]);
    return ST_EXIT_TROUBLE;
  }
  json_decref(line);
  return exit_status(status);
}
