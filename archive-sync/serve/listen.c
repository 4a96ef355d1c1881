/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "archive-sync/serve/options.h"
#include "systracker/base/escape.h"
#include "systracker/base/text.h"

#define BACKLOG 1024

struct place {
  struct sockaddr_storage address;
  socklen_t length;
};

static struct sockaddr_in6 *six(struct place *p)
{
  return (void *)&p->address;
}

static struct sockaddr_in *four(struct place *p)
{
  return (void *)&p->address;
}

static bool read_address(const char *text, uint16_t port, struct place *ret)
{
  *ret = (struct place){0};
  if (inet_pton(AF_INET, text, &four(ret)->sin_addr) == 1) {
    four(ret)->sin_family = AF_INET;
    four(ret)->sin_port = htons(port);
    ret->length = sizeof(struct sockaddr_in);
    return true;
  }
  six(ret)->sin6_family = AF_INET6;
  six(ret)->sin6_port = htons(port);
  ret->length = sizeof(struct sockaddr_in6);
  return inet_pton(AF_INET6, text, &six(ret)->sin6_addr) == 1;
}

static int parse(const char *where, struct place *ret, struct st_error *err)
{
  const char *colon = strrchr(where, ':'), *port_text = colon ? colon + 1 : where;
  ST_AUTO_FREE char *address = colon ? st_memdup(where, (size_t)(colon - where)) : st_strdup("::");
  size_t n = strlen(address);
  int64_t port;
  if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
    address[n - 1] = 0;
    memmove(address, address + 1, n - 1);
  } else if (colon && strchr(address, ':')) {
    address[0] = 0; /* without brackets nobody knows which colon is the port's */
  }
  if (st_parse_number(port_text, &port, NULL) < 0 || port > 65535 ||
      !read_address(address, (uint16_t)port, ret))
    return st_fail(err, 0, "--listen wants ADDRESS:PORT, [ADDRESS]:PORT or PORT, not %s",
                   st_quote(where));
  return 0;
}

static bool is_loopback(struct place *p)
{
  return p->address.ss_family == AF_INET ? ntohl(four(p)->sin_addr.s_addr) >> 24 == 127
                                         : IN6_IS_ADDR_LOOPBACK(&six(p)->sin6_addr);
}

static int open_socket(struct place *p, struct st_error *err)
{
  const int on = 1, off = 0;
  ST_AUTO_CLOSE int fd =
      socket(p->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return st_fail(err, errno, "cannot open a socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (p->address.ss_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, (struct sockaddr *)&p->address, p->length) < 0 || listen(fd, BACKLOG) < 0)
    return st_fail(err, errno, "cannot listen");
  return st_steal_fd(&fd);
}

static char *name_of(int fd)
{
  struct place p = {.length = sizeof(p.address)};
  char host[INET6_ADDRSTRLEN], port[8];
  if (getsockname(fd, (struct sockaddr *)&p.address, &p.length) < 0 ||
      getnameinfo((struct sockaddr *)&p.address, p.length, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return st_strdup("?");
  return st_format(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int st_listen(const char *where, bool loopback_only, char **ret_name, struct st_error *err)
{
  ST_AUTO_FREE char *usual = st_format("%s%d", loopback_only ? "127.0.0.1:" : "", ST_SERVE_PORT);
  struct place p;
  if (!where)
    where = usual;
  if (parse(where, &p, err) < 0)
    return -1;
  if (loopback_only && !is_loopback(&p))
    return st_refuse(err, "without TLS only an address of this machine is listened on, not %s",
                     st_quote(where));
  int fd = open_socket(&p, err);
  if (fd < 0)
    return st_wrap(err, "--listen %s", st_quote(where));
  *ret_name = name_of(fd);
  return fd;
}
