/*
 * stages.h - the stages of a prediction one by one, for a server that has threads of its own for each.  Depends on
 * engine, image. SPDX-License-Identifier: Apache-2.0
 *
 *     yolo_plan     where a picture lies in the network's input         any thread
 *     yolo_prepare  the letterboxed picture, into the input tensor      any thread
 *     yolo_run      the network, on a batch of one input size           any thread; the engine's threads work
 *     yolo_finish   one picture's share of the outputs, as results      any thread
 *
 * serin_yolo_predict is made of the same four. Options have been checked with yolo_check_options.
 */
#ifndef YOLO_STAGES_H
#define YOLO_STAGES_H

#include "engine/engine.h"
#include "image/letterbox.h"

#include <serin/yolo.h>

/* Says what is wrong with options for this model: SERIN_INVALID. */
MUST_USE enum serin_errc yolo_check_options(const struct serin_yolo *yolo, const struct serin_predict_options *options,
                                            struct serin_error *error);

/* rect: pad to the nearest stride instead of the square; models of dynamic size only. */
MUST_USE enum serin_errc yolo_plan(const struct serin_yolo *yolo, const struct serin_image *image, bool rect,
                                   const struct serin_predict_options *options, struct letterbox *ret,
                                   struct serin_error *error);

/* Bytes of one picture in the input tensor, and their type: the interface's, or bytes where the engine takes them. */
size_t yolo_picture_bytes(const struct serin_yolo *yolo, const struct letterbox *box);
enum tensor_type yolo_picture_type(const struct serin_yolo *yolo);

/* tensor: yolo_picture_bytes, aligned to its element. */
MUST_USE enum serin_errc yolo_prepare(const struct serin_yolo *yolo, const struct serin_image *image,
                                      const struct letterbox *box, void *tensor, struct serin_error *error);

/* tensor: batch pictures one behind the other, all of box's input size; a model of fixed batch needs exactly that.
 * type: yolo_picture_type, or the interface's. conf: the least of the options that yolo_finish will be called with, so
 * that boxes below it need not be made; YOLO_EVERYTHING where the outputs themselves are wanted. threads: as
 * engine_run. The outputs' shapes have been checked when it returns. ret is the caller's: engine_outputs_done. */
#define YOLO_EVERYTHING (-1.0f)
MUST_USE enum serin_errc yolo_run(const struct serin_yolo *yolo, const struct letterbox *box, enum tensor_type type,
                                  void *tensor, size_t batch, float conf, int threads, struct engine_outputs *ret,
                                  struct serin_error *error);

/* index: of the picture in the batch. The result is the caller's: serin_result_free; its speed is left 0. */
MUST_USE enum serin_errc yolo_finish(struct serin_yolo *yolo, const struct engine_outputs *outputs, size_t index,
                                     const struct letterbox *box, const struct serin_predict_options *options,
                                     struct serin_result **ret, struct serin_error *error);

/* For raw tensors: its interface, engine_run, engine_outputs_done. Lives as long as the model. */
const struct engine *yolo_engine(const struct serin_yolo *yolo);

#endif
