/*
 * TensorBoard scalar files without TensorBoard: framed records of hand-made protocol buffers.
 *
 * One idea: a record is u64 length, masked CRC-32C of it, payload, masked CRC-32C of that; an event
 * is {1: wall time, 2: step, 5: summary {1: value {1: tag, 2: float}}} (event.proto of TensorFlow).
 */
#ifndef RG_TRAIN_TENSORBOARD_H
#define RG_TRAIN_TENSORBOARD_H

#include "base/fs.h"

enum { RG_TENSORBOARD_MAX_RECORD = 512 };

/* Each returns the bytes of one complete record in out; tags are cut at 200 bytes. */
size_t rg_tensorboard_header(double wall_time, uint8_t out[RG_TENSORBOARD_MAX_RECORD]);
size_t rg_tensorboard_scalar(double wall_time, int64_t step, const char *tag, float value,
                             uint8_t out[RG_TENSORBOARD_MAX_RECORD]);

#endif
