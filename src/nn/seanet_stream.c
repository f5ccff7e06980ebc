/*
 * SEANet over pieces (seanet_stream.h): the state of every stage, and the loop that runs them.
 */
#include "nn/seanet_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nn/conv_stream.h"
#include "nn/seanet_internal.h"

enum { LINE = 64 }; /* of the cache: where the memory of a stage begins */

struct rg_seanet_stream {
    const rg_seanet *net;
    rg_conv_stream conv[SEANET_STAGES]; /* of CONV, CONV_TR; RESIDUAL: of the first */
    void *lstm[SEANET_STAGES];          /* NULL but for LSTM */
    rg_dtype real;
    char *memory; /* of all stages */
};

static size_t lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static size_t stage_bytes(const rg_exec *ex, const seanet_stage *s)
{
    if (s->kind == STAGE_LSTM) return rg_lstm_state_bytes(&s->lstm, ex->kernels->real);
    return rg_conv_stream_bytes(ex, &s->conv, s->kind == STAGE_CONV_TR);
}

static rg_status init_stages(rg_exec *ex, rg_seanet_stream *stream)
{
    char *memory = stream->memory;
    for (int32_t i = 0; i < stream->net->n; i++) {
        const seanet_stage *s = &stream->net->stages[i];
        assert(s->kind == STAGE_LSTM || s->conv.spec.norm != RG_CONV_TIME_GROUP_NORM);
        if (s->kind == STAGE_LSTM)
            stream->lstm[i] = memory;
        else
            RG_TRY(rg_conv_stream_init(ex, &s->conv, s->kind == STAGE_CONV_TR, memory,
                                       &stream->conv[i]));
        memory += lines(stage_bytes(ex, s));
    }
    rg_seanet_stream_reset(stream);
    return RG_OK;
}

rg_seanet_stream *rg_seanet_stream_create(rg_exec *ex, const rg_seanet *net, rg_error *err)
{
    rg_seanet_stream *stream = calloc(1, sizeof *stream);
    size_t bytes = LINE;
    for (int32_t i = 0; i < net->n; i++) bytes += lines(stage_bytes(ex, &net->stages[i]));
    if (stream)
        *stream = (rg_seanet_stream){
            .net = net, .real = ex->kernels->real, .memory = aligned_alloc(LINE, bytes)};
    if (!stream || !stream->memory)
        rg_fail(err, RG_ERR_NOMEM, "no memory for the state of a stream");
    else if (init_stages(ex, stream) == RG_OK)
        return stream;
    else
        rg_fail(err, ex->error.code, "%s", ex->error.text);
    rg_seanet_stream_destroy(stream);
    return NULL;
}

void rg_seanet_stream_destroy(rg_seanet_stream *stream)
{
    if (!stream) return;
    free(stream->memory);
    free(stream);
}

void rg_seanet_stream_reset(rg_seanet_stream *stream)
{
    for (int32_t i = 0; i < stream->net->n; i++) {
        rg_conv_stream_reset(&stream->conv[i]);
        const seanet_stage *s = &stream->net->stages[i];
        if (s->kind == STAGE_LSTM)
            memset(stream->lstm[i], 0, rg_lstm_state_bytes(&s->lstm, stream->real));
    }
}

/* The skip waits for the rows that the first convolution holds back. */
static rg_tensor *run_residual(rg_exec *ex, const seanet_stage *s, rg_conv_stream *state,
                               rg_tensor *x, bool last)
{
    rg_tensor *skip;
    rg_tensor *inner = rg_conv_stream_run(ex, state, x, last, &skip);
    if (s->shortcut.weight) skip = rg_conv_run(ex, &s->shortcut, skip);
    return rg_add(ex, skip, rg_conv_run(ex, &s->second, inner), 1, 1);
}

rg_tensor *rg_seanet_stream_run(rg_exec *ex, rg_seanet_stream *stream, rg_tensor *x, bool last)
{
    for (int32_t i = 0; i < stream->net->n; i++) {
        if (!x) return NULL;
        const seanet_stage *s = &stream->net->stages[i];
        if (s->kind == STAGE_RESIDUAL)
            x = run_residual(ex, s, &stream->conv[i], x, last);
        else if (s->kind != STAGE_LSTM)
            x = rg_conv_stream_run(ex, &stream->conv[i], x, last, NULL);
        else if (x->shape.dim[1] > 0)
            x = rg_lstm_run_piece(ex, &s->lstm, x, stream->lstm[i]);
    }
    return x;
}

int64_t rg_seanet_needs(const rg_seanet *net, int64_t outputs)
{
    for (int32_t i = net->n - 1; i >= 0; i--) {
        const seanet_stage *s = &net->stages[i];
        if (s->kind != STAGE_LSTM)
            outputs = rg_conv_stream_needs(&s->conv, s->kind == STAGE_CONV_TR, outputs);
    }
    return outputs;
}
