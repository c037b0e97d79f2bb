/*
 * yaml_literal.c - libyaml's events, one at a time, into literals.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Events instead of libyaml's documents: what is beyond a limit stops the parse before it has been kept. As in
 * literal.c, every literal that was reached is valid at all times, so that the root can always be freed.
 */
#include "yolo/yaml_literal.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    size_t values;
    int depth;
    struct serin_error *error;
};

static size_t line(const struct reader *reader)
{
    return reader->event.start_mark.line + 1;
}

static void drop_event(struct reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = false;
}

/* Makes the next event the current one; refuses what no metadata needs. */
static enum serin_errc next_event(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const yaml_char_t *anchor = NULL, *tag = NULL;

    drop_event(reader);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return error_set(reader->error, SERIN_NOMEM, "no memory to read the YAML");
        return error_set(reader->error, SERIN_CORRUPT, "line %zu: %s", parser->problem_mark.line + 1,
                         parser->problem ? parser->problem : "not YAML");
    }
    reader->has_event = true;
    if (reader->event.type == YAML_SCALAR_EVENT) {
        anchor = reader->event.data.scalar.anchor;
        tag = reader->event.data.scalar.tag;
    } else if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        anchor = reader->event.data.sequence_start.anchor;
        tag = reader->event.data.sequence_start.tag;
    } else if (reader->event.type == YAML_MAPPING_START_EVENT) {
        anchor = reader->event.data.mapping_start.anchor;
        tag = reader->event.data.mapping_start.tag;
    }
    if (anchor || tag || reader->event.type == YAML_ALIAS_EVENT)
        return error_set(reader->error, SERIN_UNSUPPORTED, "line %zu: anchors, aliases and tags are not read here",
                         line(reader));
    return SERIN_OK;
}

static bool is_one_of(const char *text, const char *const words[3])
{
    return strcmp(text, words[0]) == 0 || strcmp(text, words[1]) == 0 || strcmp(text, words[2]) == 0;
}

/* The current scalar. */
static enum serin_errc read_scalar(struct reader *reader, struct literal *ret)
{
    static const char *const null_words[] = {"null", "Null", "NULL"}, *const true_words[] = {"true", "True", "TRUE"},
                             *const false_words[] = {"false", "False", "FALSE"};
    const char *text = (const char *)reader->event.data.scalar.value;
    bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (strlen(text) != reader->event.data.scalar.length)
        return error_set(reader->error, SERIN_CORRUPT, "line %zu: a NUL character in a text", line(reader));
    if (plain && (*text == '\0' || strcmp(text, "~") == 0 || is_one_of(text, null_words))) {
        *ret = (struct literal){.kind = LITERAL_NONE};
        return SERIN_OK;
    }
    if (plain && (is_one_of(text, true_words) || is_one_of(text, false_words))) {
        *ret = (struct literal){.kind = LITERAL_BOOL, .as.boolean = is_one_of(text, true_words)};
        return SERIN_OK;
    }
    /* A number is what the literal parser takes for one. Dates and versions begin with digits too, and are text. */
    if (plain && strchr("+-.0123456789", text[0]) && literal_parse(text, ret, NULL) == SERIN_OK)
        return SERIN_OK;
    ret->as.text = strdup(text);
    if (!ret->as.text)
        return error_set(reader->error, SERIN_NOMEM, "no memory for a text");
    ret->kind = LITERAL_TEXT;
    return SERIN_OK;
}

static enum serin_errc read_node(struct reader *reader, struct literal *ret);

/* Elements up to the end event; the start event is the current one. */
static enum serin_errc read_collection(struct reader *reader, struct literal *ret)
{
    bool mapping = reader->event.type == YAML_MAPPING_START_EVENT;
    yaml_event_type_t end = mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    enum serin_errc rc;

    if (reader->depth == LITERAL_MAX_DEPTH)
        return error_set(reader->error, SERIN_LIMIT, "line %zu: nested deeper than %d", line(reader),
                         LITERAL_MAX_DEPTH);
    reader->depth++;
    *ret = (struct literal){.kind = mapping ? LITERAL_DICT : LITERAL_LIST};
    for (;;) {
        struct literal *element = NULL;

        rc = next_event(reader);
        if (rc)
            return rc;
        if (reader->event.type == end)
            break;
        rc = literal_grow(ret, &element, reader->error);
        if (rc)
            return rc;
        rc = read_node(reader, &element[0]);
        if (rc)
            return rc;
        if (!mapping)
            continue;
        if (element[0].kind == LITERAL_LIST || element[0].kind == LITERAL_DICT)
            return error_set(reader->error, SERIN_CORRUPT, "line %zu: a key that is a list or a dict", line(reader));
        rc = next_event(reader);
        if (rc == SERIN_OK)
            rc = read_node(reader, &element[1]);
        if (rc)
            return rc;
    }
    reader->depth--;
    return SERIN_OK;
}

/* The node that the current event begins; its last event is the current one after it. */
static enum serin_errc read_node(struct reader *reader, struct literal *ret)
{
    if (++reader->values > LITERAL_MAX_VALUES)
        return error_set(reader->error, SERIN_LIMIT, "line %zu: more than %d values", line(reader), LITERAL_MAX_VALUES);
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, ret);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return read_collection(reader, ret);
    default:
        return error_set(reader->error, SERIN_CORRUPT, "line %zu: not a value", line(reader));
    }
}

static enum serin_errc keep_text(struct reader *reader, char **ret)
{
    if (reader->event.type != YAML_SCALAR_EVENT)
        return SERIN_OK;
    *ret = strdup((const char *)reader->event.data.scalar.value);
    return *ret ? SERIN_OK : error_set(reader->error, SERIN_NOMEM, "no memory for a text");
}

/* One key and value of the document; the key's event is the current one. */
static enum serin_errc read_entry(struct reader *reader, struct yaml_mapping *mapping)
{
    struct yaml_entry *entry = &mapping->entries[mapping->count];
    enum serin_errc rc;
    size_t i;

    if (mapping->count == YAML_MAX_ENTRIES)
        return error_set(reader->error, SERIN_LIMIT, "line %zu: more than %d keys", line(reader), YAML_MAX_ENTRIES);
    if (reader->event.type != YAML_SCALAR_EVENT)
        return error_set(reader->error, SERIN_CORRUPT, "line %zu: a key that is not text", line(reader));
    *entry = (struct yaml_entry){.line = line(reader)};
    mapping->count++;
    rc = keep_text(reader, &entry->key);
    if (rc)
        return rc;
    for (i = 0; i + 1 < mapping->count; i++)
        if (strcmp(mapping->entries[i].key, entry->key) == 0)
            return error_set(reader->error, SERIN_CORRUPT, "line %zu: '%.40s' is there twice, first in line %zu",
                             entry->line, entry->key, mapping->entries[i].line);
    rc = next_event(reader);
    if (rc == SERIN_OK)
        rc = keep_text(reader, &entry->text);
    if (rc == SERIN_OK)
        rc = read_node(reader, &entry->value);
    return rc;
}

static enum serin_errc read_document(struct reader *reader, struct yaml_mapping *mapping)
{
    enum serin_errc rc;

    rc = next_event(reader); /* the stream's start */
    if (rc == SERIN_OK)
        rc = next_event(reader);
    if (rc)
        return rc;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return error_set(reader->error, SERIN_CORRUPT, "nothing in it");
    rc = next_event(reader);
    if (rc)
        return rc;
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return error_set(reader->error, SERIN_CORRUPT, "line %zu: keys with values were expected", line(reader));
    for (;;) {
        rc = next_event(reader);
        if (rc)
            return rc;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            break;
        rc = read_entry(reader, mapping);
        if (rc)
            return rc;
    }
    rc = next_event(reader); /* the document's end */
    if (rc == SERIN_OK)
        rc = next_event(reader);
    if (rc == SERIN_OK && reader->event.type != YAML_STREAM_END_EVENT)
        rc = error_set(reader->error, SERIN_CORRUPT, "line %zu: a second document", line(reader));
    return rc;
}

enum serin_errc yaml_parse(const char *yaml, size_t size_bytes, struct yaml_mapping *ret, struct serin_error *error)
{
    struct reader reader = {.error = error};
    struct yaml_mapping mapping = {0};
    enum serin_errc rc;

    if (size_bytes > LITERAL_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "%zu bytes, the limit is %u", size_bytes, LITERAL_MAX_BYTES);
    mapping.entries = calloc(YAML_MAX_ENTRIES, sizeof(*mapping.entries));
    if (!mapping.entries || !yaml_parser_initialize(&reader.parser)) {
        free(mapping.entries);
        return error_set(error, SERIN_NOMEM, "no memory to read the YAML");
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)yaml, size_bytes);
    rc = read_document(&reader, &mapping);
    drop_event(&reader);
    yaml_parser_delete(&reader.parser);
    if (rc) {
        yaml_mapping_done(&mapping);
        return rc;
    }
    *ret = mapping;
    return SERIN_OK;
}

void yaml_mapping_done(struct yaml_mapping *mapping)
{
    size_t i;

    for (i = 0; i < mapping->count; i++) {
        free(mapping->entries[i].key);
        free(mapping->entries[i].text);
        literal_done(&mapping->entries[i].value);
    }
    free(mapping->entries);
    *mapping = (struct yaml_mapping){0};
}
