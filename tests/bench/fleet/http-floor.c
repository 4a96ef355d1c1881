/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http-floor.c - the least that a TLS server by libmicrohttpd takes: answers every GET with 1 KiB,
 * from epoll and a pool of two threads, as systracker-archive has them.
 *
 *   http-floor PORT KEY CERTIFICATE   says "ready" and runs until it is ended
 */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <string.h>

#include "systracker/base/file.h"

#define BODY 1024
#define POOL 2

static char body[BODY];

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *length, void **request)
{
  static int seen;
  (void)arg, (void)url, (void)method, (void)version, (void)data, (void)length;
  if (!*request) {
    *request = &seen;
    return MHD_YES;
  }
  struct MHD_Response *r =
      MHD_create_response_from_buffer(sizeof(body), body, MHD_RESPMEM_PERSISTENT);
  enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, r);
  MHD_destroy_response(r);
  return result;
}

int main(int argc, char **argv)
{
  ST_AUTO_BUFFER key = ST_BUFFER_INIT, certificate = ST_BUFFER_INIT;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int signal_number;
  sigset_t ending;
  if (argc != 4 || st_read_file(AT_FDCWD, argv[2], 65536, &key, NULL) < 0 ||
      st_read_file(AT_FDCWD, argv[3], 65536, &certificate, NULL) < 0) {
    fputs("usage: http-floor PORT KEY CERTIFICATE\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  memset(body, 'x', sizeof(body));
  address.sin_port = htons((uint16_t)atoi(argv[1]));
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, NULL);
  struct MHD_Daemon *daemon =
      MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS, 0, NULL, NULL, answer, NULL,
                       MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_HTTPS_MEM_KEY,
                       key.data, MHD_OPTION_HTTPS_MEM_CERT, certificate.data,
                       MHD_OPTION_THREAD_POOL_SIZE, POOL, MHD_OPTION_END);
  if (!daemon) {
    fputs("http-floor: cannot start\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  puts("ready");
  fflush(stdout);
  sigwait(&ending, &signal_number);
  MHD_stop_daemon(daemon);
  return ST_EXIT_OK;
}
