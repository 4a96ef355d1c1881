/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/fleet/link.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "systracker/base/base64.h"
#include "systracker/base/escape.h"
#include "systracker/base/text.h"

#define HEAD_MOST ((size_t)64 << 10)
#define BODY_MOST ((size_t)64 << 20)
#define READ_SIZE 16384
#define TIMEOUT 120 /* seconds */

static int tls_fail(struct st_error *err, const char *what, ssize_t code)
{
  return st_fail(err, 0, "%s: %s", what, gnutls_strerror((int)code));
}

/* ---- The server --------------------------------------------------------------------------------
 */

static int read_fragment(struct fleet_server *server, const char *fragment, struct st_error *err)
{
  ST_AUTO_BUFFER pin = ST_BUFFER_INIT;
  const char *dot = strchr(fragment, '.');
  size_t length = dot ? (size_t)(dot - fragment) : strlen(fragment);
  if (dot)
    server->token = st_strdup(dot + 1);
  if (length == 0)
    return 0;
  if (!st_unbase64url(&pin, fragment, length) || pin.length != ST_DIGEST_SIZE)
    return st_fail(err, 0, "the join string's digest is malformed");
  memcpy(server->pin, pin.data, ST_DIGEST_SIZE);
  server->pinned = true;
  return 0;
}

int fleet_server_open(struct fleet_server *server, const char *url, struct st_error *err)
{
  const char *scheme = "https://";
  const char *name = strncmp(url, scheme, strlen(scheme)) == 0 ? url + strlen(scheme) : "";
  size_t length = strcspn(name, "/#");
  const char *fragment = strchr(name, '#');
  *server = (struct fleet_server){.name = st_memdup(name, length)};
  char *colon = strchr(server->name, ':');
  int64_t port = 0;
  if (!colon || st_parse_number(colon + 1, &port, err) < 0 || port < 1 || port > 65535)
    return st_fail(err, 0, "no https://ADDRESS:PORT/");
  ST_AUTO_FREE char *host = st_memdup(server->name, (size_t)(colon - server->name));
  server->address.sin_family = AF_INET;
  server->address.sin_port = htons((uint16_t)port);
  if (inet_pton(AF_INET, host, &server->address.sin_addr) != 1)
    return st_fail(err, 0, "the server's address has to be a number of IPv4");
  int r = gnutls_certificate_allocate_credentials(&server->credentials);
  if (r < 0)
    return tls_fail(err, "TLS", r);
  return fragment ? read_fragment(server, fragment + 1, err) : 0;
}

void fleet_server_close(struct fleet_server *server)
{
  if (server->credentials)
    gnutls_certificate_free_credentials(server->credentials);
  free(server->name);
  free(server->token);
}

/* ---- Connections -------------------------------------------------------------------------------
 */

static int connect_from(struct fleet_link *link, uint64_t n, struct st_error *err)
{
  static const int yes = 1;
  static const struct timeval patience = {.tv_sec = TIMEOUT};
  uint32_t own = 0x7f010000u + (uint32_t)(n % 0xfe0000u) + 1;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(own)};
  link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (link->fd < 0)
    return st_fail(err, errno, "cannot make a socket");
  setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  setsockopt(link->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
  setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if ((ntohl(link->server->address.sin_addr.s_addr) >> 24 == 127 &&
       bind(link->fd, (struct sockaddr *)&from, sizeof(from)) < 0) ||
      connect(link->fd, (const struct sockaddr *)&link->server->address,
              sizeof(link->server->address)) < 0)
    return st_fail(err, errno, "cannot connect to %s", link->server->name);
  return 0;
}

static int check_pin(struct fleet_link *link, struct st_error *err)
{
  unsigned count = 0;
  uint8_t digest[ST_DIGEST_SIZE];
  size_t length = sizeof(digest);
  gnutls_x509_crt_t crt = NULL;
  const gnutls_datum_t *peers = gnutls_certificate_get_peers(link->tls, &count);
  if (!peers || count == 0 || gnutls_x509_crt_init(&crt) < 0)
    return st_fail(err, 0, "the server has no certificate");
  int r = gnutls_x509_crt_import(crt, &peers[0], GNUTLS_X509_FMT_DER);
  if (r >= 0)
    r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, digest, &length);
  gnutls_x509_crt_deinit(crt);
  if (r < 0 || length != sizeof(digest) || memcmp(digest, link->server->pin, sizeof(digest)) != 0)
    return st_fail(err, 0, "the server has another key than the join string says");
  return 0;
}

static int shake_hands(struct fleet_link *link, struct st_error *err)
{
  int r = gnutls_init(&link->tls, GNUTLS_CLIENT | GNUTLS_NO_TICKETS);
  if (r < 0)
    return tls_fail(err, "TLS", r);
  gnutls_transport_set_int(link->tls, link->fd);
  if ((r = gnutls_set_default_priority(link->tls)) < 0 ||
      (r = gnutls_credentials_set(link->tls, GNUTLS_CRD_CERTIFICATE, link->server->credentials)) <
          0)
    return tls_fail(err, "TLS", r);
  do
    r = gnutls_handshake(link->tls);
  while (r < 0 && gnutls_error_is_fatal(r) == 0);
  if (r < 0)
    return tls_fail(err, "TLS handshake", r);
  return link->server->pinned ? check_pin(link, err) : 0;
}

int fleet_link_open(struct fleet_link *link, const struct fleet_server *server, uint64_t n,
                    struct st_error *err)
{
  *link = (struct fleet_link){.server = server, .fd = -1};
  if (connect_from(link, n, err) == 0 && shake_hands(link, err) == 0)
    return 0;
  fleet_link_close(link);
  return -1;
}

void fleet_link_close(struct fleet_link *link)
{
  if (link->tls) {
    gnutls_bye(link->tls, GNUTLS_SHUT_WR);
    gnutls_deinit(link->tls);
  }
  if (link->fd >= 0)
    close(link->fd);
  st_buffer_free(&link->in);
  *link = (struct fleet_link){.fd = -1};
}

/* ---- Requests ----------------------------------------------------------------------------------
 */

void fleet_answer_clear(struct fleet_answer *answer)
{
  st_buffer_free(&answer->body);
}

static int send_all(struct fleet_link *link, const void *data, size_t length, struct st_error *err)
{
  const char *at = data;
  while (length > 0) {
    ssize_t n = gnutls_record_send(link->tls, at, length);
    if (n < 0 && gnutls_error_is_fatal((int)n) == 0)
      continue;
    if (n < 0)
      return tls_fail(err, "cannot send", n);
    at += n;
    length -= (size_t)n;
  }
  return 0;
}

static int receive(struct fleet_link *link, struct st_error *err)
{
  ssize_t n;
  st_buffer_reserve(&link->in, READ_SIZE);
  do
    n = gnutls_record_recv(link->tls, link->in.data + link->in.length, READ_SIZE);
  while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_REHANDSHAKE ||
         (n == GNUTLS_E_AGAIN && errno != EAGAIN));
  if (n == 0)
    return st_fail(err, 0, "the server closed the connection");
  if (n < 0)
    return tls_fail(err, "cannot receive", n);
  link->in.length += (size_t)n;
  link->in.data[link->in.length] = 0;
  return 0;
}

static int receive_head(struct fleet_link *link, size_t *ret, struct st_error *err)
{
  for (;;) {
    const char *end =
        link->in.length ? memmem(link->in.data, link->in.length, "\r\n\r\n", 4) : NULL;
    if (end) {
      *ret = (size_t)(end - link->in.data) + 4;
      return 0;
    }
    if (link->in.length > HEAD_MOST)
      return st_fail(err, 0, "the answer's head does not end");
    if (receive(link, err) < 0)
      return -1;
  }
}

/* The value of a header, up to its line's end; NULL: there is none. */
static const char *header(const char *head, const char *name)
{
  size_t n = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r';
       line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
      return line + 3 + n + strspn(line + 3 + n, " ");
  return NULL;
}

static int read_head(struct fleet_link *link, const char *head, struct fleet_answer *ret,
                     size_t *ret_length, struct st_error *err)
{
  const char *length = header(head, "Content-Length");
  const char *session = header(head, "Systracker-Session");
  const char *connection = header(head, "Connection");
  if (strncmp(head, "HTTP/1.", 7) != 0 || !strchr(head, ' '))
    return st_fail(err, 0, "the answer is not HTTP");
  ret->status = (unsigned)strtoul(strchr(head, ' '), NULL, 10);
  if (!length && ret->status != 204 && ret->status != 304)
    return st_fail(err, 0, "the answer's length is not said");
  *ret_length = length ? strtoul(length, NULL, 10) : 0;
  if (*ret_length > BODY_MOST)
    return st_fail(err, 0, "the answer is too large");
  if (session)
    snprintf(ret->session, sizeof(ret->session), "%.*s", (int)strcspn(session, "\r"), session);
  link->ended = connection && strncasecmp(connection, "close", 5) == 0;
  return 0;
}

static int receive_answer(struct fleet_link *link, struct fleet_answer *ret, struct st_error *err)
{
  size_t head_length = 0, length = 0;
  if (receive_head(link, &head_length, err) < 0)
    return -1;
  ST_AUTO_FREE char *head = st_memdup(link->in.data, head_length);
  if (read_head(link, head, ret, &length, err) < 0)
    return -1;
  while (link->in.length < head_length + length)
    if (receive(link, err) < 0)
      return -1;
  st_buffer_append(&ret->body, link->in.data + head_length, length);
  ret->received = head_length + length;
  link->in.length -= ret->received;
  memmove(link->in.data, link->in.data + ret->received, link->in.length);
  link->in.data[link->in.length] = 0;
  return 0;
}

int fleet_link_call(struct fleet_link *link, const struct fleet_request *request,
                    struct fleet_answer *ret, struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_buffer_clear(&ret->body);
  ret->session[0] = 0;
  st_buffer_printf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", request->method, request->target,
                   link->server->name, request->headers);
  if (request->length > 0 || strcmp(request->method, "GET") != 0)
    st_buffer_printf(&out, "Content-Length: %zu\r\n", request->length);
  st_buffer_append_string(&out, "\r\n");
  if (request->length > 0)
    st_buffer_append(&out, request->body, request->length);
  ret->sent = out.length;
  if (send_all(link, out.data, out.length, err) < 0 || receive_answer(link, ret, err) < 0)
    return st_wrap(err, "%s %s", request->method, request->target);
  return 0;
}
