/*
 * data_yaml.h - reads a data.yaml: where a data set's pictures are and what its classes are called.  Depends on base,
 * libyaml. SPDX-License-Identifier: Apache-2.0
 */
#ifndef YOLO_DATA_YAML_H
#define YOLO_DATA_YAML_H

#include "base/error.h"

#include <stddef.h>

#define DATA_YAML_MAX_BYTES   (4u << 20)
#define DATA_YAML_MAX_CLASSES 65536
#define DATA_YAML_MAX_SOURCES 1000
#define DATA_YAML_MAX_TEXT    4000 /* bytes of one value */

/* All paths are as they can be opened: joined to the file's folder and to its key `path`. */
struct data_yaml {
    char *root;     /* what `path` says, or the file's own folder */
    char **sources; /* [source_count]: folders of pictures, lists (.txt) or pictures of the split */
    size_t source_count;
    char **names; /* [name_count], by class number; NULL where there are none */
    size_t name_count;
    int names_line;
    char *annotations, *images; /* COCO JSON and its folder of pictures; NULL where the file does not name them */
    int keypoint_count, keypoint_dims; /* of kpt_shape; 0 where it is not there */
};

/* Keys: path, names, nc, kpt_shape, split (default val), the key that split names (text or a list), annotations,
 * images. Others are left alone: they are for training. Errors begin with file:line. SERIN_NOT_FOUND, SERIN_IO,
 * SERIN_CORRUPT, SERIN_LIMIT. ret is the caller's: data_yaml_done. */
MUST_USE enum serin_errc data_yaml_read(const char *path, struct data_yaml *ret, struct serin_error *error);
void data_yaml_done(struct data_yaml *data);

/* "folder/path", or path alone where it is absolute; malloc'ed, NULL without memory. */
char *data_path_join(const char *folder, const char *path);

#endif
