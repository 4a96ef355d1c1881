/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.h - how the server is to run, as its command line says. */
#ifndef ARCHIVE_SYNC_SERVE_OPTIONS_H
#define ARCHIVE_SYNC_SERVE_OPTIONS_H

#include <stdbool.h>

#include "systracker/base/buffer.h"

#define ST_SERVE_PORT 7440

struct st_serve_options {
  const char *dir;
  const char *listen; /* "ADDRESS:PORT", "[ADDRESS]:PORT", "PORT"; NULL: all, ST_SERVE_PORT */
  const char *user;   /* to become, where root starts it; NULL: the folder's owner */
  const char *log;    /* of requests: "stderr", "none" or a path */
  bool plain;         /* HTTP behind a proxy on this machine, which does TLS */
  struct st_strings publics; /* addresses of proxies by which hosts know it (names.h) */
  unsigned threads;          /* that answer, and take bodies in */
  unsigned workers;          /* that do what takes its time */
  unsigned waiting;          /* requests for those, at most */
  unsigned connections;      /* at most, and from one address: */
  unsigned per_address;
  unsigned timeout; /* seconds without a byte that end a connection; twice that for a whole head */
  unsigned grace;   /* seconds that what runs may take when the server is to stop */
};

#endif
