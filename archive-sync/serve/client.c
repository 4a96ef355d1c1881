/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BODY_RATE 4096 /* bytes a second, at least */

struct st_client {
  struct st_client *next, *previous;
  int fd;
  bool behind_proxy;
  unsigned seconds;         /* for a head; for a body, besides its rate */
  _Atomic int64_t body;     /* when the body began, seconds of the monotonic clock */
  _Atomic int64_t deadline; /* the same clock; 0: none */
  char address[ST_CLIENT_ADDRESS_SIZE];
};

struct st_clients {
  pthread_mutex_t mutex; /* of the list: who is in it has an open descriptor */
  struct st_client *first;
  bool behind_proxy;
  unsigned seconds;
};

static int64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec;
}

struct st_clients *st_clients_new(bool behind_proxy, unsigned seconds)
{
  struct st_clients *all = st_calloc(1, sizeof(*all));
  pthread_mutex_init(&all->mutex, NULL);
  all->behind_proxy = behind_proxy;
  all->seconds = seconds;
  return all;
}

void st_clients_free(struct st_clients *all)
{
  pthread_mutex_destroy(&all->mutex);
  free(all);
}

void st_clients_sweep(struct st_clients *all)
{
  int64_t time = now();
  pthread_mutex_lock(&all->mutex);
  for (struct st_client *c = all->first; c; c = c->next) {
    int64_t deadline = atomic_load(&c->deadline);
    if (deadline && time > deadline)
      shutdown(c->fd, SHUT_RDWR);
  }
  pthread_mutex_unlock(&all->mutex);
}

/* IPv4 on a socket of IPv6 is written as IPv4. */
static void write_address(char *out, size_t size, const struct sockaddr *from)
{
  const struct sockaddr_in6 *six = (const void *)from;
  const struct sockaddr_in *four = (const void *)from;
  if (from && from->sa_family == AF_INET)
    inet_ntop(AF_INET, &four->sin_addr, out, (socklen_t)size);
  else if (from && from->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
    inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, out, (socklen_t)size);
  else if (from && from->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &six->sin6_addr, out, (socklen_t)size);
}

struct st_client *st_client_open(struct st_clients *all, int fd, const void *sockaddr)
{
  struct st_client *c = st_calloc(1, sizeof(*c));
  c->fd = fd;
  c->behind_proxy = all->behind_proxy;
  c->seconds = all->seconds;
  write_address(c->address, sizeof(c->address), sockaddr);
  st_client_owes_head(c);
  pthread_mutex_lock(&all->mutex);
  c->next = all->first;
  if (c->next)
    c->next->previous = c;
  all->first = c;
  pthread_mutex_unlock(&all->mutex);
  return c;
}

void st_client_close(struct st_clients *all, struct st_client *c)
{
  pthread_mutex_lock(&all->mutex);
  if (c->next)
    c->next->previous = c->previous;
  if (c->previous)
    c->previous->next = c->next;
  else
    all->first = c->next;
  pthread_mutex_unlock(&all->mutex);
  free(c);
}

void st_client_owes_head(struct st_client *c)
{
  atomic_store(&c->deadline, now() + c->seconds);
}

void st_client_owes_body(struct st_client *c, uint64_t received)
{
  if (received == 0)
    atomic_store(&c->body, now());
  atomic_store(&c->deadline, atomic_load(&c->body) + c->seconds + (int64_t)(received / BODY_RATE));
}

void st_client_owes_nothing(struct st_client *c)
{
  atomic_store(&c->deadline, 0);
}

/* The last address of X-Forwarded-For is the one that our proxy saw; what stands before it is the
 * client's own word. */
static void forwarded(const struct st_request *r, char out[ST_CLIENT_ADDRESS_SIZE])
{
  const char *header = st_request_header(r, "X-Forwarded-For");
  const char *comma = header ? strrchr(header, ',') : NULL;
  const char *text = comma ? comma + 1 : header ? header : "";
  unsigned char address[sizeof(struct in6_addr)];
  text += strspn(text, " \t");
  int family = strchr(text, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, address) == 1)
    inet_ntop(family, address, out, ST_CLIENT_ADDRESS_SIZE);
}

void st_client_address(const struct st_client *c, const struct st_request *r,
                       char out[ST_CLIENT_ADDRESS_SIZE])
{
  out[0] = 0;
  if (c->behind_proxy)
    forwarded(r, out);
  else
    memcpy(out, c->address, sizeof(c->address));
}
