/*
 * index.c - reading and changing index.json.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The parsed JSON stays the truth and is what is written back; entries[] is a sorted view of it that is made anew after
 * each change. Each entry's digest is checked when the index is read, since it will become part of a path.
 */
#include "version/index.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF_NAME "org.opencontainers.image.ref.name"
#define CREATED  "org.opencontainers.image.created"

static int compare_entries(const void *a, const void *b)
{
    return version_name_compare(&((const struct index_entry *)a)->name, &((const struct index_entry *)b)->name);
}

static const char *ref_name(const json_t *item)
{
    return json_string_value(json_object_get(json_object_get(item, "annotations"), REF_NAME));
}

/* False: an entry that is not ours. */
static bool read_entry(const json_t *item, struct index_entry *entry)
{
    const char *name = ref_name(item);
    const char *created = json_string_value(json_object_get(json_object_get(item, "annotations"), CREATED));

    if (!name || version_name_parse(name, &entry->name, NULL) != SERIN_OK ||
        strcmp(entry->manifest.media_type, MEDIA_TYPE_MANIFEST) != 0)
        return false;
    if (created && strlen(created) < sizeof(entry->created) && strspn(created, "0123456789-:.+TZ") == strlen(created))
        memcpy(entry->created, created, strlen(created) + 1);
    return true;
}

/* entries[] from root. */
static enum serin_errc make_view(struct oci_index *index, struct serin_error *error)
{
    const json_t *manifests = json_object_get(index->root, "manifests"), *item;
    struct index_entry *entries;
    size_t count = 0, i;

    entries = calloc(json_array_size(manifests) + 1, sizeof(*entries));
    if (!entries)
        return error_set(error, SERIN_NOMEM, "no memory for %zu entries of the index", json_array_size(manifests));
    json_array_foreach(manifests, i, item)
    {
        struct index_entry entry = {.created = ""};
        enum serin_errc rc;
        char where[48];

        snprintf(where, sizeof(where), "entry %zu of the index", i);
        rc = oci_descriptor_parse(item, where, &entry.manifest, error);
        if (rc != SERIN_OK) {
            free(entries);
            return rc;
        }
        if (read_entry(item, &entry))
            entries[count++] = entry;
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (i = 1; i < count; i++) {
        if (compare_entries(&entries[i - 1], &entries[i]) == 0) {
            enum serin_errc rc = error_set(error, SERIN_CORRUPT, "the index has '%s:%s' twice", entries[i].name.model,
                                           entries[i].name.tag);

            free(entries);
            return rc;
        }
    }
    free(index->entries);
    index->entries = entries;
    index->count = count;
    return SERIN_OK;
}

enum serin_errc index_init(struct oci_index *index, struct serin_error *error)
{
    *index = (struct oci_index){
        .root = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX, "manifests")};
    return index->root ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for an index");
}

static enum serin_errc check_root(const json_t *root, struct serin_error *error)
{
    const json_t *manifests = json_object_get(root, "manifests");

    if (!json_is_object(root))
        return error_set(error, SERIN_CORRUPT, "the index is no object");
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2)
        return error_set(error, SERIN_CORRUPT, "the index's \"schemaVersion\" is not 2");
    if (!json_is_array(manifests))
        return error_set(error, SERIN_CORRUPT, "the index's \"manifests\" is no list");
    if (json_array_size(manifests) > INDEX_MAX_ENTRIES)
        return error_set(error, SERIN_LIMIT, "the index has %zu entries, the limit is %d", json_array_size(manifests),
                         INDEX_MAX_ENTRIES);
    return SERIN_OK;
}

enum serin_errc index_parse(const void *bytes, size_t size, struct oci_index *index, struct serin_error *error)
{
    struct oci_index read = {.count = 0};
    json_error_t where;
    enum serin_errc rc;

    if (size > INDEX_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "an index of %zu bytes, the limit is %u", size, INDEX_MAX_BYTES);
    read.root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    if (!read.root)
        return error_set(error, SERIN_CORRUPT, "the index is no JSON: line %d: %s", where.line, where.text);
    rc = check_root(read.root, error);
    if (rc == SERIN_OK)
        rc = make_view(&read, error);
    if (rc == SERIN_OK)
        *index = read;
    else
        index_done(&read);
    return rc;
}

void index_done(struct oci_index *index)
{
    json_decref(index->root);
    free(index->entries);
    *index = (struct oci_index){.count = 0};
}

const struct index_entry *index_find(const struct oci_index *index, const struct version_name *name)
{
    struct index_entry key = {.name = *name};

    return index->count ? bsearch(&key, index->entries, index->count, sizeof(key), compare_entries) : NULL;
}

enum serin_errc index_add(struct oci_index *index, const struct index_entry *entry, struct serin_error *error)
{
    json_t *manifests = json_object_get(index->root, "manifests"), *item;
    char name[VERSION_MAX_NAME];

    BUG_ON(index_find(index, &entry->name));
    if (json_array_size(manifests) >= INDEX_MAX_ENTRIES)
        return error_set(error, SERIN_LIMIT, "the index has %zu entries, the limit is %d", json_array_size(manifests),
                         INDEX_MAX_ENTRIES);
    item = json_pack("{s:s, s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", MEDIA_TYPE_MANIFEST, "artifactType",
                     MEDIA_TYPE_MODEL, "digest", entry->manifest.digest, "size", (json_int_t)entry->manifest.size,
                     "annotations", REF_NAME, version_name_text(&entry->name, name), CREATED, entry->created);
    if (!item || json_array_append_new(manifests, item) != 0)
        return error_set(error, SERIN_NOMEM, "no memory for another entry of the index");
    return make_view(index, error);
}

void index_remove(struct oci_index *index, const struct version_name *name)
{
    json_t *manifests = json_object_get(index->root, "manifests");
    const struct index_entry *entry = index_find(index, name);
    char text[VERSION_MAX_NAME];
    size_t i = 0, at;

    BUG_ON(!entry);
    version_name_text(name, text);
    while (i < json_array_size(manifests)) {
        const json_t *item = json_array_get(manifests, i);
        const char *ref = ref_name(item), *type = json_string_value(json_object_get(item, "mediaType"));

        if (ref && strcmp(ref, text) == 0 && type && strcmp(type, MEDIA_TYPE_MANIFEST) == 0)
            json_array_remove(manifests, i);
        else
            i++;
    }
    at = (size_t)(entry - index->entries);
    memmove(&index->entries[at], &index->entries[at + 1], (index->count - at - 1) * sizeof(*entry));
    index->count--;
}

bool index_manifest(const struct oci_index *index, size_t i, struct oci_descriptor *ret)
{
    const json_t *item = json_array_get(json_object_get(index->root, "manifests"), i);

    return item && oci_descriptor_parse(item, "an entry of the index", ret, NULL) == SERIN_OK;
}

enum serin_errc index_check_layout(const void *bytes, size_t size, struct serin_error *error)
{
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
    const char *version = json_string_value(json_object_get(root, "imageLayoutVersion"));
    enum serin_errc rc = SERIN_OK;

    if (!version || strncmp(version, "1.", 2) != 0)
        rc = error_set(error, SERIN_CORRUPT, "oci-layout has no \"imageLayoutVersion\" of 1.0.0 but '%.40s'",
                       version ? version : "");
    json_decref(root);
    return rc;
}

enum serin_errc index_write(const struct oci_index *index, struct buffer *out, struct serin_error *error)
{
    char *text = json_dumps(index->root, JSON_INDENT(1));

    if (!text)
        return error_set(error, SERIN_NOMEM, "no memory for the text of the index");
    buffer_append_text(out, text);
    buffer_append(out, "\n", 1);
    free(text);
    return buffer_check(out, "the index", error);
}
