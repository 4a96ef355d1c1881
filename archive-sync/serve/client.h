/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - the connections that are open: where from, and until when they must have sent what
 * they owe us.  libmicrohttpd ends those that send nothing for a while; those that send a byte now
 * and then are ended here.
 */
#ifndef ARCHIVE_SYNC_SERVE_CLIENT_H
#define ARCHIVE_SYNC_SERVE_CLIENT_H

#include "archive-sync/serve/request.h"

struct st_client;
struct st_clients;

/* `behind_proxy`: all come from a proxy on this machine, which says the address of each.
 * `seconds`: what a head may take, from the connection or the answer before; and a body, besides
 * one for each 4 KiB. */
struct st_clients *st_clients_new(bool behind_proxy, unsigned seconds);
/* All connections are gone. */
void st_clients_free(struct st_clients *all);
/* Ends those that are too slow; called every few seconds. */
void st_clients_sweep(struct st_clients *all);

/* A connection opens (`fd` stays libmicrohttpd's), closes. */
struct st_client *st_client_open(struct st_clients *all, int fd, const void *sockaddr);
void st_client_close(struct st_clients *all, struct st_client *c);

/* It owes us a head; the rest of a body, of which it has sent so many bytes; nothing. */
void st_client_owes_head(struct st_client *c);
void st_client_owes_body(struct st_client *c, uint64_t received);
void st_client_owes_nothing(struct st_client *c);

/* In text: the connection's, or what the proxy says of the request; "" where that says nothing
 * sensible. */
#define ST_CLIENT_ADDRESS_SIZE 46
void st_client_address(const struct st_client *c, const struct st_request *r,
                       char out[ST_CLIENT_ADDRESS_SIZE]);

#endif
