/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h - one TLS connection of a made-up host to the server, and requests over it, one after the
 * other: HTTP/1.1 as far as the server speaks it to hosts, by GnuTLS alone, so that the simulator
 * takes as little of the machine as can be.  It blocks; a thread has one.
 */
#ifndef TESTS_BENCH_FLEET_LINK_H
#define TESTS_BENCH_FLEET_LINK_H

#include <gnutls/gnutls.h>
#include <netinet/in.h>

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"

struct fleet_server {
  struct sockaddr_in address;
  char *name; /* HOST:PORT */
  gnutls_certificate_credentials_t credentials;
  bool pinned; /* `pin` is the SHA-256 of the key that it has to have */
  uint8_t pin[ST_DIGEST_SIZE];
  char archive[33]; /* its id, "" until it was asked */
  char *token;      /* join token, NULL: none */
};
/* "https://A.B.C.D:PORT/#DIGEST.TOKEN" */
int fleet_server_open(struct fleet_server *server, const char *url, struct st_error *err);
void fleet_server_close(struct fleet_server *server);

struct fleet_link {
  const struct fleet_server *server;
  int fd;
  gnutls_session_t tls;
  struct st_buffer in; /* what came and was not read yet */
  bool ended;          /* the server closes it behind the last answer */
};
/* From an address of 127.0.0.0/8 that is host `n`'s own. */
int fleet_link_open(struct fleet_link *link, const struct fleet_server *server, uint64_t n,
                    struct st_error *err);
void fleet_link_close(struct fleet_link *link);

struct fleet_request {
  const char *method, *target;
  const char *headers; /* whole lines, "" */
  const void *body;
  size_t length;
};
struct fleet_answer {
  unsigned status;
  char session[65]; /* a new one, "" */
  struct st_buffer body;
  size_t sent, received; /* bytes of the request and of the answer */
};
void fleet_answer_clear(struct fleet_answer *answer);
#define ST_AUTO_ANSWER ST_CLEANUP(fleet_answer_clear) struct fleet_answer
int fleet_link_call(struct fleet_link *link, const struct fleet_request *request,
                    struct fleet_answer *ret, struct st_error *err);

#endif
