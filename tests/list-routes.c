/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list-routes - what the archive's server answers: METHOD PATTERN a line, pages left out; for the
 * test that holds its description (doc/openapi.yaml) against it. */
#include <stdio.h>

#include "archive-sync/serve/request.h"

int main(void)
{
  const struct st_route *const tables[] = {st_api_routes, st_fetch_routes, st_operation_routes,
                                           st_sync_routes};
  for (size_t i = 0; i < ST_COUNT(tables); i++)
    for (const struct st_route *route = tables[i]; route->method; route++)
      printf("%s %s\n", route->method, route->pattern);
  return 0;
}
