/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route.h - finds the route of a request in the tables of request.h. */
#ifndef ARCHIVE_SYNC_SERVE_ROUTE_H
#define ARCHIVE_SYNC_SERVE_ROUTE_H

#include "archive-sync/serve/request.h"

enum st_route_result {
  ST_ROUTE_FOUND,
  ST_ROUTE_NONE,      /* no pattern fits: 404 */
  ST_ROUTE_METHOD,    /* one does, for other methods: 405 */
  ST_ROUTE_MALFORMED, /* an escape of the path is malformed: 400 */
};

/* Sets route, parts, nparts and page of the request by its method and path.  Where several patterns
 * fit, the one with more words of its own is taken.  A "*" takes no empty segment, and none that
 * has "/" once decoded.  The first part of a route with ST_ROUTE_HOST becomes "ID" or "ID/epoch-N";
 * anything else there is ST_ROUTE_NONE.  `*ret_allow` (malloc'ed): the methods there are, for
 * ST_ROUTE_METHOD.
 * `tables`: each ended by {0}, NULL behind the last. */
enum st_route_result st_route_find(const struct st_route *const *tables, struct st_request *r,
                                   char **ret_allow);
/* Frees the parts. */
void st_route_clear(struct st_request *r);

#endif
