/*
 * route_words.c - the words of a route, read and written.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/route_words.h"

#include "base/text.h"
#include "cli/terminal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEW_KEYS_SHARE .05 /* smaller shares of keys deserve a word unasked */

/* Copies size bytes of what is called what into text of ROUTE_MAX_TEXT + 1. */
static enum serin_errc copy(const char *what, const char *bytes, size_t size, char *text, struct serin_error *error)
{
    if (size == 0 || size > ROUTE_MAX_TEXT)
        return error_set(error, SERIN_INVALID, "%s has %zu bytes, 1 to %d are possible", what, size, ROUTE_MAX_TEXT);
    memcpy(text, bytes, size);
    text[size] = '\0';
    return SERIN_OK;
}

enum serin_errc route_read_weight(const char *word, struct route_weight *ret, struct serin_error *error)
{
    const char *equals = strrchr(word, '=');
    struct route_weight weight;
    unsigned long value;
    enum serin_errc rc;
    char *end;

    if (!equals)
        return error_set(error, SERIN_INVALID, "'%.150s' is no TAG=WEIGHT", word);
    rc = copy("a version's tag", word, (size_t)(equals - word), weight.tag, error);
    if (rc != SERIN_OK)
        return rc;
    errno = 0;
    value = strtoul(equals + 1, &end, 10);
    if (equals[1] < '0' || equals[1] > '9' || *end || errno || value > ROUTE_MAX_WEIGHT)
        return error_set(error, SERIN_INVALID, "the weight of %s is '%.40s', not a whole number from 0 to %u",
                         weight.tag, equals + 1, ROUTE_MAX_WEIGHT);
    weight.weight = (uint32_t)value;
    *ret = weight;
    return SERIN_OK;
}

enum serin_errc route_read_key(const char *word, struct route *route, struct serin_error *error)
{
    static const struct {
        const char *prefix;
        enum route_key_source source;
    } sources[] = {{"header:", ROUTE_KEY_HEADER}, {"cookie:", ROUTE_KEY_COOKIE}, {"query:", ROUTE_KEY_QUERY}};
    size_t i;

    if (strcmp(word, "address") == 0) {
        route->key_source = ROUTE_KEY_ADDRESS;
        return SERIN_OK;
    }
    for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        size_t length = strlen(sources[i].prefix);

        if (strncmp(word, sources[i].prefix, length) == 0) {
            route->key_source = sources[i].source;
            return copy("the key's name", word + length, strlen(word + length), route->key_name, error);
        }
    }
    return error_set(error, SERIN_INVALID, "'%.150s' is no key: header:NAME, cookie:NAME, query:NAME or address", word);
}

/* The next entry of a list with commas: false at its end. */
static bool next_entry(const char **list, const char **ret, size_t *ret_size)
{
    if (!**list)
        return false;
    *ret = *list;
    *ret_size = strcspn(*list, ",");
    *list += *ret_size + ((*list)[*ret_size] == ',');
    return true;
}

static enum serin_errc read_rule(const char *entry, size_t size, struct route_rule *rule, struct serin_error *error)
{
    const char *colon = memrchr(entry, ':', size), *equals;
    enum serin_errc rc;

    *rule = (struct route_rule){.header = ""};
    if (!colon)
        return error_set(error, SERIN_INVALID, "'%.*s' is no HEADER=VALUE:TAG", (int)(size < 150 ? size : 150), entry);
    equals = memchr(entry, '=', (size_t)(colon - entry));
    rc = copy("a rule's tag", colon + 1, (size_t)(entry + size - colon - 1), rule->tag, error);
    if (rc == SERIN_OK)
        rc = copy("a rule's header", entry, (size_t)((equals ? equals : colon) - entry), rule->header, error);
    if (rc == SERIN_OK && equals)
        rc = copy("a rule's value", equals + 1, (size_t)(colon - equals - 1), rule->value, error);
    return rc;
}

enum serin_errc route_read_rules(const char *list, struct route *route, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    const char *entry;
    size_t size;

    route->rule_count = 0;
    if (strcmp(list, "none") == 0)
        return SERIN_OK;
    while (rc == SERIN_OK && next_entry(&list, &entry, &size)) {
        if (route->rule_count == ROUTE_MAX_RULES)
            return error_set(error, SERIN_LIMIT, "more than %d rules", ROUTE_MAX_RULES);
        rc = read_rule(entry, size, &route->rules[route->rule_count++], error);
    }
    return rc;
}

static enum serin_errc read_mirror(const char *entry, size_t size, struct route_mirror *mirror,
                                   struct serin_error *error)
{
    const char *equals = memrchr(entry, '=', size);
    double percent;
    const char *end;

    if (!equals)
        return error_set(error, SERIN_INVALID, "'%.*s' is no TAG=PERCENT", (int)(size < 150 ? size : 150), entry);
    if (!text_number(equals + 1, &end, &percent) || end != entry + size || percent < 0 || percent > 100)
        return error_set(error, SERIN_INVALID, "'%.*s' is no share from 0 to 100 percent",
                         (int)(size < 150 ? (size_t)(entry + size - equals - 1) : 150), equals + 1);
    mirror->per_million = (uint32_t)lround(percent * 1e4);
    return copy("a mirror's tag", entry, (size_t)(equals - entry), mirror->tag, error);
}

enum serin_errc route_read_mirrors(const char *list, struct route *route, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    const char *entry;
    size_t size;

    route->mirror_count = 0;
    if (strcmp(list, "none") == 0)
        return SERIN_OK;
    while (rc == SERIN_OK && next_entry(&list, &entry, &size)) {
        if (route->mirror_count == ROUTE_MAX_MIRRORS)
            return error_set(error, SERIN_LIMIT, "more than %d mirrors", ROUTE_MAX_MIRRORS);
        rc = read_mirror(entry, size, &route->mirrors[route->mirror_count++], error);
    }
    return rc;
}

enum serin_errc route_set_weight(struct route *route, const struct route_weight *weight, struct serin_error *error)
{
    int at = route_find(route, weight->tag), i;
    const char *tags[ROUTE_MAX_VERSIONS], *nearest;

    if (at >= 0) {
        route->versions[at].weight = weight->weight;
        return SERIN_OK;
    }
    for (i = 0; i < route->version_count; i++)
        tags[i] = route->versions[i].tag;
    nearest = text_nearest(weight->tag, tags, (size_t)route->version_count);
    return error_set(error, SERIN_NOT_FOUND, "%s has no version %s among its %d%s%s%s", route->model, weight->tag,
                     route->version_count, nearest ? "; did you mean " : "", nearest ? nearest : "",
                     nearest ? "?" : " ('serin deploy --canary' brings one in)");
}

/* ---- printing ---- */

static uint64_t weight_sum(const struct route *route)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < route->version_count; i++)
        sum += route->versions[i].weight;
    return sum;
}

static void print_head(FILE *out, const struct route *route)
{
    static const char *const sources[] = {"header ", "cookie ", "query ", "the client's address"};
    static const char *const units[] = {"request", "key", "key and block"};

    terminal_text(out, route->model);
    fprintf(out, ": revision %llu, stable ", (unsigned long long)route->revision);
    terminal_text(out, route->stable[0] ? route->stable : "-");
    fprintf(out, ", by %s", units[route->unit]);
    if (route->unit != ROUTE_REQUEST) {
        fprintf(out, " (%s", sources[route->key_source]);
        if (route->key_source != ROUTE_KEY_ADDRESS)
            terminal_text(out, route->key_name);
        if (route->unit == ROUTE_KEY_BLOCK)
            fprintf(out, ", blocks of %u s", route->block_seconds);
        putc(')', out);
    }
    fprintf(out, "\n  time-outs: %u ms, of a canary %u ms\n", route->timeout_ms, route->canary_timeout_ms);
}

void route_print(FILE *out, const struct route *route)
{
    double sum = (double)weight_sum(route);
    int width = 7, i; /* "VERSION" */

    for (i = 0; i < route->version_count; i++)
        if ((int)strlen(route->versions[i].tag) > width)
            width = (int)strlen(route->versions[i].tag);
    print_head(out, route);
    fprintf(out, "  %-*s   WEIGHT       SHARE\n", width, "VERSION");
    for (i = 0; i < route->version_count; i++) {
        const struct route_version *version = &route->versions[i];

        fputs("  ", out);
        terminal_text(out, version->tag);
        fprintf(out, "%*s  %7u  %8.4f %%%s\n", width - (int)strlen(version->tag), "", version->weight,
                sum > 0 ? 100 * version->weight / sum : 0.0,
                version->weight == 0 && version->drain_weight > 0 ? "  draining" : "");
    }
    for (i = 0; i < route->rule_count; i++) {
        const struct route_rule *rule = &route->rules[i];

        fputs("  rule: ", out);
        terminal_text(out, rule->header);
        fputs(rule->value[0] ? " is " : " of any value", out);
        terminal_text(out, rule->value);
        fputs(" -> ", out);
        terminal_text(out, rule->tag);
        putc('\n', out);
    }
    if (route->needs_key)
        fputs("  needs an API key\n", out);
    for (i = 0; i < route->mirror_count; i++) {
        fputs("  mirror: ", out);
        terminal_text(out, route->mirrors[i].tag);
        fprintf(out, " gets copies of %g %% of the requests\n", route->mirrors[i].per_million / 1e4);
    }
}

bool route_hint(const struct route *route, int cameras, char *text, size_t size)
{
    double sum = (double)weight_sum(route), share;
    const struct route_version *least = NULL;
    int i;

    if (route->unit != ROUTE_KEY)
        return false;
    for (i = 0; i < route->version_count; i++)
        if (route->versions[i].weight > 0 && (!least || route->versions[i].weight < least->weight))
            least = &route->versions[i];
    if (!least)
        return false;
    share = least->weight / sum;
    if (cameras > 0 && share * cameras < 1) {
        snprintf(text, size,
                 "%d cameras cannot give %s %g %%: each of them is %.3g %%, and chance may bring it none or more than "
                 "one; --unit key_block gives any share to any number",
                 cameras, least->tag, 100 * share, 100.0 / cameras);
        return true;
    }
    if (cameras == 0 && share < FEW_KEYS_SHARE) {
        snprintf(text, size,
                 "a key keeps its version, so %g %% for %s takes %.0f cameras to mean one of them; "
                 "with fewer, --unit key_block gives any share",
                 100 * share, least->tag, ceil(1 / share));
        return true;
    }
    return false;
}
