/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conf.c - the files, one by one through libconfuse, merged into one configuration. */
#include "conf/conf.h"

#include <confuse.h>
#include <string.h>

#include "conf/check.h"
#include "conf/source.h"
#include "systracker/base/escape.h"
#include "systracker/base/text.h"

const char *const st_conf_universal[] = {"track", "exclude", "secret", NULL};

struct reader {
  struct st_conf *conf;
  const struct st_source *source;
  st_conf_schema_fn *schema;
  void *arg;
  struct st_error *err;
  bool caches; /* package_caches was set */
};

/* What is said of one line of the file at hand. */
#define wrong(r, line, ...) st_source_fail((r)->source->file, (line), (r)->err, __VA_ARGS__)

static struct st_conf_place place_at(const struct reader *r, int line)
{
  return (struct st_conf_place){st_strdup(r->source->file), line};
}

/* ---- libconfuse ---------------------------------------------------------------------------------
 */

/* Its error function has no argument of ours. */
static _Thread_local struct reader *parsing;

static void tell_error(cfg_t *cfg, const char *fmt, va_list ap)
{
  if (parsing->err && parsing->err->message)
    return; /* the first one says it */
  ST_AUTO_FREE char *message = st_vformat(fmt, ap);
  ST_AUTO_FREE char *shown = st_escaped(message, strlen(message));
  wrong(parsing, cfg->line, "%s", shown);
}

/* One list of strings for each name that any plug-in's block sets; check.c saw to it that they
 * belong there. */
static cfg_opt_t *plugin_options(const struct st_source *s)
{
  cfg_opt_t *options = st_calloc(s->nnames + 1, sizeof(*options));
  const cfg_opt_t end = CFG_END();
  size_t n = 0;
  for (size_t i = 0; i < s->nnames; i++) {
    const cfg_opt_t one = CFG_STR_LIST(s->names[i].name, NULL, CFGF_NODEFAULT);
    bool known = strcmp(s->blocks[s->names[i].block].kind, "plugin") != 0;
    for (size_t k = 0; k < n && !known; k++)
      known = strcmp(options[k].name, one.name) == 0;
    if (!known)
      options[n++] = one;
  }
  options[n] = end;
  return options;
}

static int parse_text(struct reader *r, cfg_t *cfg)
{
  ST_AUTO_FCLOSE FILE *f = fmemopen(r->source->text.data, r->source->text.length, "r");
  if (!f)
    return st_fail(r->err, errno, "cannot read the configuration (%s)", r->source->file);
  cfg->filename = strdup(r->source->file); /* freed by libconfuse */
  cfg_set_error_function(cfg, tell_error);
  parsing = r;
  int result = cfg_parse_fp(cfg, f);
  parsing = NULL;
  if (result == CFG_SUCCESS)
    return 0;
  if (r->err && r->err->message)
    return -1;
  return wrong(r, cfg->line, "not a configuration");
}

/* ---- The file's own values
 * ----------------------------------------------------------------------- */

static int set_string(struct reader *r, const char *name, const char *value, int line)
{
  bool is_log = strcmp(name, "log") == 0;
  bool word = is_log && (strcmp(value, "syslog") == 0 || strcmp(value, "none") == 0);
  if (!word && value[0] != '/')
    return wrong(r, line, "option '%s': not %san absolute path: '%s'", name,
                 is_log ? "syslog, none or " : "", st_quote(value));
  char **member = is_log ? &r->conf->log : &r->conf->store;
  free(*member);
  *member = st_strdup(value);
  return 0;
}

static int set_size(struct reader *r, const char *name, const char *value, int line)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint64_t *member = strcmp(name, "min_free") == 0 ? &r->conf->min_free : &r->conf->max_night;
  if (st_parse_size(value, member, &why) < 0)
    return wrong(r, line, "option '%s': %s", name, st_error_text(&why));
  return 0;
}

static int set_after(struct reader *r, const char *name, const char *value, int line)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_parse_bool(value, &r->conf->after_transaction, &why) < 0)
    return wrong(r, line, "option '%s': %s", name, st_error_text(&why));
  return 0;
}

/* The files' own lists append to one another, and replace what is built in. */
static int take_caches(struct reader *r, cfg_t *cfg, const struct st_source_name *n)
{
  if (!r->caches)
    st_strings_free(&r->conf->caches);
  r->caches = true;
  for (unsigned i = 0; i < cfg_size(cfg, n->name); i++) {
    const char *folder = cfg_getnstr(cfg, n->name, i);
    if (folder[0] != '/')
      return wrong(r, n->line, "option '%s': not an absolute path: '%s'", n->name,
                   st_quote(folder));
    if (!st_strings_has(&r->conf->caches, folder))
      st_strings_add(&r->conf->caches, folder);
  }
  return 0;
}

static int take_value(struct reader *r, cfg_t *cfg, const struct st_source_name *n)
{
  if (strcmp(n->name, "package_caches") == 0)
    return take_caches(r, cfg, n);
  const char *value = cfg_getstr(cfg, n->name);
  bool is_size = strcmp(n->name, "min_free") == 0 || strcmp(n->name, "max_night") == 0;
  bool is_after = strcmp(n->name, "checkpoint_after_transaction") == 0;
  return (is_size    ? set_size
          : is_after ? set_after
                     : set_string)(r, n->name, value ? value : "", n->line);
}

static int take_values(struct reader *r, cfg_t *cfg)
{
  for (size_t i = 0; i < r->source->nnames; i++)
    if (r->source->names[i].block == 0 && take_value(r, cfg, &r->source->names[i]) < 0)
      return -1;
  return 0;
}

/* ---- Blocks
 * ---------------------------------------------------------------------------------------- */

static void option_clear(struct st_conf_option *o)
{
  free(o->name);
  free(o->place.file);
  st_strings_free(&o->values);
}

static void options_clear(struct st_conf_plugin *p)
{
  for (size_t i = 0; i < p->noptions; i++)
    option_clear(&p->options[i]);
  free(p->options);
  p->options = NULL;
  p->noptions = 0;
}

static struct st_conf_plugin *get_plugin(struct reader *r, const struct st_source_block *b)
{
  struct st_conf *conf = r->conf;
  for (size_t i = 0; i < conf->nplugins; i++) {
    if (strcmp(conf->plugins[i].name, b->title) == 0)
      return &conf->plugins[i];
  }
  conf->plugins = st_realloc(conf->plugins, conf->nplugins + 1, sizeof(*conf->plugins));
  struct st_conf_plugin *p = &conf->plugins[conf->nplugins++];
  *p = (struct st_conf_plugin){.name = st_strdup(b->title), .place = place_at(r, b->line)};
  return p;
}

static struct st_conf_option *get_option(struct st_conf_plugin *p, const char *name)
{
  for (size_t i = 0; i < p->noptions; i++) {
    if (strcmp(p->options[i].name, name) == 0)
      return &p->options[i];
  }
  p->options = st_realloc(p->options, p->noptions + 1, sizeof(*p->options));
  p->options[p->noptions] = (struct st_conf_option){.name = st_strdup(name)};
  return &p->options[p->noptions++];
}

static int merge_option(struct reader *r, struct st_conf_plugin *p, cfg_t *section,
                        const struct st_source_name *n)
{
  const struct st_option *schema = r->schema ? r->schema(r->arg, p->name) : NULL;
  int type = st_conf_option_type(schema, n->name);
  struct st_conf_option *o = get_option(p, n->name);
  free(o->place.file);
  o->place = place_at(r, n->line);
  if (type != ST_OPT_LIST)
    st_strings_free(&o->values);
  for (unsigned i = 0; i < cfg_size(section, n->name); i++)
    st_strings_add(&o->values, cfg_getnstr(section, n->name, i));
  if (!schema || type == ST_OPT_LIST)
    return 0;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (o->values.count != 1)
    return wrong(r, n->line, "option '%s' takes one value", n->name);
  if (st_conf_check_value(type, o->values.items[0], &why) < 0)
    return wrong(r, n->line, "option '%s': %s", n->name, st_error_text(&why));
  return 0;
}

static int is_reset(struct reader *r, cfg_t *section, const struct st_source_name *n, bool *ret)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (cfg_size(section, "reset") != 1)
    return wrong(r, n->line, "option 'reset' takes one value");
  if (st_parse_bool(cfg_getnstr(section, "reset", 0), ret, &why) < 0)
    return wrong(r, n->line, "option 'reset': %s", st_error_text(&why));
  return 0;
}

static int take_plugin(struct reader *r, cfg_t *section, size_t block)
{
  struct st_conf_plugin *p = get_plugin(r, &r->source->blocks[block]);
  const struct st_source *s = r->source;
  for (size_t i = 0; i < s->nnames; i++) {
    bool reset = false;
    if (s->names[i].block != block || strcmp(s->names[i].name, "reset") != 0)
      continue;
    if (is_reset(r, section, &s->names[i], &reset) < 0)
      return -1;
    if (reset)
      options_clear(p);
  }
  for (size_t i = 0; i < s->nnames; i++) {
    if (s->names[i].block == block && strcmp(s->names[i].name, "reset") != 0 &&
        merge_option(r, p, section, &s->names[i]) < 0)
      return -1;
  }
  return 0;
}

static int take_archive(struct reader *r, cfg_t *section, size_t block)
{
  const char *url = cfg_getstr(section, "url");
  if (!url || !*url)
    return wrong(r, r->source->blocks[block].line, "an archive needs a url");
  if (st_strings_has(&r->conf->archives, url))
    return 0;
  st_strings_add(&r->conf->archives, url);
  st_strings_add(&r->conf->archive_files, r->source->file);
  return 0;
}

static int64_t *prune_count(struct st_conf_prune *p, const char *name)
{
  const struct {
    const char *name;
    int64_t *member;
  } counts[] = {{"keep_last", &p->last},
                {"keep_daily", &p->daily},
                {"keep_weekly", &p->weekly},
                {"keep_monthly", &p->monthly},
                {"keep_yearly", &p->yearly}};
  for (size_t i = 0; i < ST_COUNT(counts); i++)
    if (strcmp(counts[i].name, name) == 0)
      return counts[i].member;
  return NULL;
}

static int set_keep_packages(struct reader *r, const char *value, int line)
{
  bool all = value && strcmp(value, "all") == 0;
  if (!all && (!value || strcmp(value, "installed") != 0))
    return wrong(r, line, "option 'keep_packages': neither installed nor all");
  r->conf->prune.all_packages = all;
  return 0;
}

/* Counts replace, tags append. */
static int take_prune(struct reader *r, cfg_t *section, size_t block)
{
  struct st_conf_prune *p = &r->conf->prune;
  for (size_t i = 0; i < r->source->nnames; i++) {
    const struct st_source_name *n = &r->source->names[i];
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    if (n->block != block)
      continue;
    int64_t *count = prune_count(p, n->name);
    const char *value = count ? cfg_getstr(section, n->name) : NULL;
    if (count && st_parse_number(value ? value : "", count, &why) < 0)
      return wrong(r, n->line, "option '%s': %s", n->name, st_error_text(&why));
    if (strcmp(n->name, "keep_packages") == 0 &&
        set_keep_packages(r, cfg_getstr(section, n->name), n->line) < 0)
      return -1;
    bool is_tags = strcmp(n->name, "keep_tag") == 0;
    for (unsigned k = 0; is_tags && k < cfg_size(section, n->name); k++)
      if (!st_strings_has(&p->tags, cfg_getnstr(section, n->name, k)))
        st_strings_add(&p->tags, cfg_getnstr(section, n->name, k));
  }
  return 0;
}

static void entry_clear(struct st_conf_entry *e)
{
  free(e->pattern);
  free(e->reason);
  free(e->place.file);
}

/* The same pattern again replaces: another reason, another place. */
static int take_entry(struct reader *r, cfg_t *section, size_t block, enum st_conf_list list)
{
  struct st_conf *conf = r->conf;
  int line = r->source->blocks[block].line;
  const char *pattern = cfg_title(section), *reason = cfg_getstr(section, "reason");
  if (!*pattern)
    return wrong(r, line, "%s needs a pattern", cfg_name(section));
  if (!reason || !reason[strspn(reason, " \t\n")])
    return wrong(r, line, "%s '%s' needs a reason", cfg_name(section), st_quote(pattern));
  size_t i = 0, n = conf->nlists[list];
  while (i < n && strcmp(conf->lists[list][i].pattern, pattern) != 0)
    i++;
  if (i == n)
    conf->lists[list] =
        st_realloc(conf->lists[list], ++conf->nlists[list], sizeof(struct st_conf_entry));
  else
    entry_clear(&conf->lists[list][i]);
  conf->lists[list][i] =
      (struct st_conf_entry){st_strdup(pattern), st_strdup(reason), place_at(r, line)};
  return 0;
}

static int take_block(struct reader *r, cfg_t *section, size_t block)
{
  const char *kind = cfg_name(section);
  if (strcmp(kind, "plugin") == 0)
    return take_plugin(r, section, block);
  if (strcmp(kind, "archive") == 0)
    return take_archive(r, section, block);
  if (strcmp(kind, "prune") == 0)
    return take_prune(r, section, block);
  enum st_conf_list list = ST_CONF_EXCLUDED;
  while (strcmp(st_conf_list_names[list], kind) != 0)
    list++;
  return take_entry(r, section, block, list);
}

/* The n-th section of a kind is the n-th block of it. */
static int take_blocks(struct reader *r, cfg_t *cfg)
{
  const struct st_source *s = r->source;
  for (size_t i = 1; i < s->nblocks; i++) {
    unsigned n = 0;
    for (size_t k = 1; k < i; k++)
      n += strcmp(s->blocks[k].kind, s->blocks[i].kind) == 0;
    cfg_t *section = cfg_getnsec(cfg, s->blocks[i].kind, n);
    if (!section)
      return wrong(r, s->blocks[i].line, "not a block");
    if (take_block(r, section, i) < 0)
      return -1;
  }
  return 0;
}

/* ---- Files
 * --------------------------------------------------------------------------------------- */

static int merge_text(struct reader *r)
{
  const cfg_flag_t titled = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
  ST_AUTO_FREE cfg_opt_t *plugin = plugin_options(r->source);
  cfg_opt_t archive[] = {CFG_STR("url", NULL, CFGF_NODEFAULT), CFG_END()};
  cfg_opt_t prune[] = {
      CFG_STR("keep_last", NULL, CFGF_NODEFAULT),
      CFG_STR("keep_daily", NULL, CFGF_NODEFAULT),
      CFG_STR("keep_weekly", NULL, CFGF_NODEFAULT),
      CFG_STR("keep_monthly", NULL, CFGF_NODEFAULT),
      CFG_STR("keep_yearly", NULL, CFGF_NODEFAULT),
      CFG_STR_LIST("keep_tag", NULL, CFGF_NODEFAULT),
      CFG_STR("keep_packages", NULL, CFGF_NODEFAULT),
      CFG_END(),
  };
  cfg_opt_t entry[] = {CFG_STR("reason", NULL, CFGF_NODEFAULT), CFG_END()};
  cfg_opt_t file[] = {
      CFG_STR("store", NULL, CFGF_NODEFAULT),
      CFG_STR("log", NULL, CFGF_NODEFAULT),
      CFG_STR("min_free", NULL, CFGF_NODEFAULT),
      CFG_STR("max_night", NULL, CFGF_NODEFAULT),
      CFG_STR_LIST("package_caches", NULL, CFGF_NODEFAULT),
      CFG_STR("checkpoint_after_transaction", NULL, CFGF_NODEFAULT),
      CFG_SEC("plugin", plugin, titled),
      CFG_SEC("archive", archive, CFGF_MULTI),
      CFG_SEC("prune", prune, CFGF_MULTI),
      CFG_SEC("excluded", entry, titled),
      CFG_SEC("generated", entry, titled),
      CFG_SEC("secret", entry, titled),
      CFG_SEC("identity", entry, titled),
      CFG_END(),
  };
  cfg_t *cfg = cfg_init(file, CFGF_NONE);
  if (!cfg)
    return st_fail(r->err, ENOMEM, "cannot read the configuration");
  int result = parse_text(r, cfg);
  if (result == 0)
    result = take_values(r, cfg);
  if (result == 0)
    result = take_blocks(r, cfg);
  cfg_free(cfg);
  return result;
}

static int merge_file(struct reader *r, const char *file)
{
  struct st_source source = {0};
  r->source = &source;
  st_strings_add(&r->conf->files, file);
  int result = st_source_read(&source, file, r->err);
  if (result == 0)
    result = st_conf_check_names(&source, r->schema, r->arg, r->err);
  if (result == 0 && source.text.length > 0)
    result = merge_text(r);
  st_source_clear(&source);
  r->source = NULL;
  return result;
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_conf_name(const char *name)
{
  size_t n = strlen(name);
  return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".conf") == 0;
}

/* conf.d beside the file; it need not be there. */
static int list_folder(const char *file, struct st_strings *out, struct st_error *err)
{
  const char *slash = strrchr(file, '/');
  ST_AUTO_FREE char *folder = st_format("%.*sconf.d", slash ? (int)(slash + 1 - file) : 0, file);
  ST_AUTO_CLOSEDIR DIR *d = opendir(folder);
  if (!d)
    return errno == ENOENT ? 0 : st_fail(err, errno, "cannot list (%s)", st_quote(folder));
  for (;;) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e)
      break;
    if (is_conf_name(e->d_name))
      st_strings_take(out, st_format("%s/%s", folder, e->d_name));
  }
  if (errno)
    return st_fail(err, errno, "cannot list (%s)", st_quote(folder));
  if (out->count > 1)
    qsort(out->items, out->count, sizeof(*out->items), by_bytes);
  return 0;
}

/* Where package managers leave what they have downloaded: apt, dnf 4 and 5, yum, zypper,
 * PackageKit. */
static const char *const default_caches[] = {
    "/var/cache/apt/archives", "/var/cache/dnf",           "/var/cache/libdnf5",
    "/var/cache/yum",          "/var/cache/zypp/packages", "/var/cache/PackageKit",
};

int st_conf_read(struct st_conf **ret, const char *path, st_conf_schema_fn *schema, void *arg,
                 struct st_error *err)
{
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = st_calloc(1, sizeof(*conf));
  ST_AUTO_STRINGS files = {0};
  /* libconfuse tells of its errors through ours: there has to be one. */
  ST_AUTO_ERROR own = ST_ERROR_INIT;
  struct reader r = {.conf = conf, .schema = schema, .arg = arg, .err = err ? err : &own};
  conf->store = st_strdup("/var/lib/systracker");
  conf->log = st_strdup("syslog");
  conf->min_free = (uint64_t)256 << 20;
  for (size_t i = 0; i < ST_COUNT(default_caches); i++)
    st_strings_add(&conf->caches, default_caches[i]);
  conf->max_night = (uint64_t)4 << 30;
  if (merge_file(&r, path) < 0 || list_folder(path, &files, r.err) < 0)
    return -1;
  for (size_t i = 0; i < files.count; i++) {
    if (merge_file(&r, files.items[i]) < 0)
      return -1;
  }
  *ret = st_steal(&conf);
  return 0;
}

void st_conf_free(struct st_conf *conf)
{
  if (!conf)
    return;
  for (size_t i = 0; i < conf->nplugins; i++) {
    options_clear(&conf->plugins[i]);
    free(conf->plugins[i].name);
    free(conf->plugins[i].place.file);
  }
  for (int list = 0; list < ST_CONF_NLISTS; list++) {
    for (size_t i = 0; i < conf->nlists[list]; i++)
      entry_clear(&conf->lists[list][i]);
    free(conf->lists[list]);
  }
  free(conf->plugins);
  free(conf->store);
  free(conf->log);
  st_strings_free(&conf->archives);
  st_strings_free(&conf->archive_files);
  st_strings_free(&conf->caches);
  st_strings_free(&conf->files);
  st_strings_free(&conf->prune.tags);
  free(conf);
}

const struct st_conf_plugin *st_conf_plugin(const struct st_conf *conf, const char *name)
{
  for (size_t i = 0; i < conf->nplugins; i++) {
    if (strcmp(conf->plugins[i].name, name) == 0)
      return &conf->plugins[i];
  }
  return NULL;
}

const struct st_conf_option *st_conf_option(const struct st_conf_plugin *plugin, const char *name)
{
  for (size_t i = 0; i < plugin->noptions; i++) {
    if (strcmp(plugin->options[i].name, name) == 0)
      return &plugin->options[i];
  }
  return NULL;
}
