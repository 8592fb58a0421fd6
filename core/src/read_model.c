/* Read a model file: header, tensors, and the words that describe them.
 *
 *     0   "EDGEBERT"
 *     8   u32 format version, u32 0x01020304 in the byte order of the file
 *     16  u64 size of the file in bytes
 *     24  u32 number of tensors, u32 number of words
 *     32  32 bytes of zeros
 *     64  tensors, 24 bytes each: u32 kind, u32 zero, u64 offset, u64 count
 *     ..  words, u32 each
 *     ..  data of the tensors, each at a multiple of 64
 *
 * Kinds: 0 float32, 1 int8, 2 int32, 3 uint16, 4 uint32. docs/explanation/core.md describes the order of the words.
 */
#include "model.h"
#include "prepare.h"
#include "runs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, ORDER = 0x01020304, HEADER = 64, ENTRY = 24, SLACK = 1024 };
/* Precisions of a matrix: 0 FP32, 1 INT8, 2 (WITH_RUNS) INT8 with runs for AVX2. */
enum { WITH_RUNS = 2 };
enum { FLOAT32, INT8, INT32, UINT16, UINT32, KINDS };
static const uint32_t NOTHING = 0xffffffffu;
static const size_t BYTES[KINDS] = {4, 1, 4, 2, 4};
/* Limits. No encoder is larger. Within these limits, the sizes computed below cannot overflow 64 bits. */
enum { MAX_WIDTH = 1 << 20, MAX_COUNT = 1 << 16, MAX_LAYERS = 1024, MAX_VOCABULARY = 1 << 24 };
/* The sum of this many 8-bit products always fits 32 bits: 65536 * 255 * 128 < 2^31. */
enum { MAX_INPUTS8 = 1 << 16 };
_Static_assert(sizeof(size_t) == 8, "sizes of models and batches are counted in 64 bits");

typedef struct Reader {
    const uint8_t *file;
    size_t size;
    const uint8_t *entries, *words;
    uint32_t tensors, word_count, at;
    char *error;
    size_t error_size;
    int failed;
} Reader;

__attribute__((format(printf, 2, 3))) static void fail(Reader *r, const char *format, ...) {
    if (r->failed) return;
    r->failed = 1;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error, r->error_size, format, arguments);
    va_end(arguments);
}

static uint32_t u32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return value;
}

static uint64_t u64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

static uint32_t word(Reader *r) {
    if (r->at >= r->word_count) {
        fail(r, "the description ends early");
        return 0;
    }
    return u32(r->words + 4 * (size_t)r->at++);
}

/* Read the next word, which must be a number from `least` to `most`. */
static int number(Reader *r, const char *name, uint32_t least, uint32_t most) {
    uint32_t value = word(r);
    if (!r->failed && (value < least || value > most))
        fail(r, "%s is %u, which is not between %u and %u", name, value, least, most);
    return r->failed ? (int)least : (int)value;
}

static float real(Reader *r) {
    uint32_t bits = word(r);
    float value;
    memcpy(&value, &bits, 4);
    if (!(value >= 0.0f && value < 1.0f)) fail(r, "an epsilon is not between 0 and 1");
    return value;
}

/* Get the data of the tensor whose number is the next word. The tensor must have `count` numbers of this kind. */
static const void *tensor(Reader *r, const char *name, uint32_t kind, uint64_t count) {
    uint32_t which = word(r);
    if (r->failed) return NULL;
    if (which >= r->tensors) return fail(r, "%s: there is no tensor %u", name, which), NULL;
    const uint8_t *entry = r->entries + ENTRY * (size_t)which;
    uint64_t offset = u64(entry + 8), has = u64(entry + 16);
    if (u32(entry + 4)) return fail(r, "%s: tensor %u is of a later format", name, which), NULL;
    if (u32(entry) != kind || has != count)
        return fail(r, "%s: tensor %u holds %llu numbers of kind %u, not %llu of kind %u", name, which,
                    (unsigned long long)has, u32(entry), (unsigned long long)count, kind), NULL;
    uint64_t bytes = count * BYTES[kind];
    if (offset % 64 || offset > r->size || bytes > r->size - offset || r->size - offset - bytes < SLACK)
        return fail(r, "%s: tensor %u does not lie in the file", name, which), NULL;
    return r->file + offset;
}

/* Like `tensor`, or NULL if the next word says that there is no tensor. */
static const void *optional(Reader *r, const char *name, uint32_t kind, uint64_t count) {
    if (!r->failed && r->at < r->word_count && u32(r->words + 4 * (size_t)r->at) == NOTHING) {
        r->at++;
        return NULL;
    }
    return tensor(r, name, kind, count);
}

static uint64_t filled(int width) { return ((uint64_t)width + BLOCK - 1) / BLOCK * BLOCK; }

/* Read the tables for AVX2, which were made at export. Wrong tables that pass the checks give wrong sums, but no read
 * out of bounds. */
static void read_runs(Reader *r, Matrix *m) {
    Runs *runs = &m->runs;
    runs->most = number(r, "the largest activation of runs", 1, 255);
    runs->entries = (uint32_t)number(r, "the number of runs' entries", 1, INT32_MAX);
    runs->groups = (uint32_t)number(r, "the number of runs", 1, INT32_MAX);
    runs->block = tensor(r, "runs of blocks", UINT32, (uint64_t)m->blocks * (sizeof(RunBlock) / 4));
    runs->order = tensor(r, "order of runs", UINT16, runs->entries);
    runs->offsets = tensor(r, "offsets of runs", INT8, (uint64_t)runs->groups * LANES16);
    runs->start = tensor(r, "start of runs", INT32, filled(m->outputs));
    if (!r->failed && !runs_fit(runs, m->quads, m->blocks)) fail(r, "the runs of a matrix do not sum it");
}

static void read_matrix(Reader *r, Matrix *m) {
    memset(m, 0, sizeof *m);
    m->inputs = number(r, "a matrix's number of inputs", 1, MAX_WIDTH);
    m->outputs = number(r, "a matrix's number of outputs", 1, MAX_WIDTH);
    m->quads = (m->inputs + QUAD - 1) / QUAD;
    m->blocks = (m->outputs + BLOCK - 1) / BLOCK;
    uint64_t columns = filled(m->outputs);
    const int precision = number(r, "a matrix's precision", 0, WITH_RUNS);
    if (precision) {
        if (m->inputs > MAX_INPUTS8) fail(r, "an INT8 matrix has %d inputs, more than %d", m->inputs, MAX_INPUTS8);
        m->weights = tensor(r, "weights", INT8, columns * (uint64_t)m->quads * QUAD);
        m->scale = tensor(r, "scales", FLOAT32, columns);
        m->sums = tensor(r, "sums", INT32, columns);
        m->factors = optional(r, "factors", FLOAT32, filled(m->inputs));
    } else {
        m->weights32 = tensor(r, "weights", FLOAT32, columns * (uint64_t)m->inputs);
    }
    m->bias = tensor(r, "bias", FLOAT32, columns);
    if (precision == WITH_RUNS) read_runs(r, m);
}

static const Matrix *matrix(Reader *r, Model *model, const char *name, int inputs) {
    int which = number(r, name, 0, (uint32_t)model->matrix_count - 1);
    if (r->failed) return NULL;
    const Matrix *m = &model->matrices[which];
    if (m->inputs != inputs) fail(r, "%s takes %d numbers, not %d", name, m->inputs, inputs);
    return m;
}

/* Read a matrix that must be in FP32. Returns NULL if the word says that there is no matrix. */
static const Matrix *optional_matrix(Reader *r, Model *model, const char *name, int inputs) {
    if (!r->failed && r->at < r->word_count && u32(r->words + 4 * (size_t)r->at) == NOTHING) {
        r->at++;
        return NULL;
    }
    const Matrix *m = matrix(r, model, name, inputs);
    if (m && m->weights) fail(r, "%s is not in FP32", name);
    return m;
}

static void check_outputs(Reader *r, const char *name, const Matrix *m, int outputs) {
    if (m && m->outputs != outputs) fail(r, "%s gives %d numbers, not %d", name, m->outputs, outputs);
}

static Norm read_norm(Reader *r, int width) {
    Norm norm;
    norm.weight = tensor(r, "a norm's weight", FLOAT32, filled(width));
    norm.bias = tensor(r, "a norm's bias", FLOAT32, filled(width));
    return norm;
}

static void read_embeddings(Reader *r, Model *model) {
    Embeddings *e = &model->embeddings;
    e->vocabulary = number(r, "the vocabulary", 1, MAX_VOCABULARY);
    e->word_width = number(r, "the width of the word table", 1, MAX_WIDTH);
    e->width = number(r, "the width of the embeddings", 1, MAX_WIDTH);
    e->positions = number(r, "the number of positions", 1, MAX_WIDTH);
    e->segments = number(r, "the number of segments", 1, MAX_COUNT);
    uint32_t padding = word(r);
    if (padding != NOTHING && padding >= (uint32_t)e->vocabulary)
        fail(r, "the padding id %u is beyond the vocabulary of %d", padding, e->vocabulary);
    e->padding_id = padding == NOTHING ? -1 : (int)padding;
    uint64_t words = (uint64_t)e->vocabulary * filled(e->word_width);
    if (number(r, "the precision of the word table", 0, 1)) {
        e->words8 = tensor(r, "word table", INT8, words);
        e->word_scale = tensor(r, "scales of the word table", FLOAT32, (uint64_t)e->vocabulary);
    } else {
        e->words32 = tensor(r, "word table", FLOAT32, words);
    }
    e->widen = optional_matrix(r, model, "the matrix of the word table", e->word_width);
    check_outputs(r, "the matrix of the word table", e->widen, e->width);
    if (!e->widen && e->word_width != e->width) fail(r, "the word table is not as wide as the embeddings");
    e->position = tensor(r, "position table", FLOAT32, (uint64_t)e->positions * filled(e->width));
    e->segment = optional(r, "segment table", FLOAT32, (uint64_t)e->segments * filled(e->width));
    if (!e->segment && e->segments != 1) fail(r, "there are segments, but no table of them");
    e->norm = read_norm(r, e->width);
    e->project = optional_matrix(r, model, "the projection of the embeddings", e->width);
    check_outputs(r, "the projection of the embeddings", e->project, model->hidden);
    if (!e->project && e->width != model->hidden) fail(r, "the embeddings are not as wide as the layers");
    /* If padding is skipped, the first row of the table is only for padding. */
    int longest = e->positions - (e->padding_id >= 0);
    if (model->max_length > longest) fail(r, "texts of %d tokens, but %d positions", model->max_length, longest);
}

static void read_layer(Reader *r, Model *model, Layer *layer) {
    layer->heads = number(r, "the number of heads", 1, MAX_COUNT);
    layer->head_width = number(r, "the width of a head", 1, MAX_COUNT);
    layer->activation = (Activation)number(r, "an activation", 0, ACTIVATIONS - 1);
    uint64_t width = (uint64_t)layer->heads * (uint64_t)layer->head_width;
    if (width > MAX_WIDTH) return fail(r, "the heads of a layer are wider than any encoder");
    layer->part_width = (int)filled((int)width);
    layer->qkv = matrix(r, model, "queries, keys and values", model->hidden);
    layer->attention_output = matrix(r, model, "the output of attention", (int)width);
    layer->ffn_in = matrix(r, model, "the first matrix of a feed-forward network", model->hidden);
    layer->ffn_out = matrix(r, model, "the second matrix of a feed-forward network",
                            layer->ffn_in ? layer->ffn_in->outputs : 1);
    check_outputs(r, "queries, keys and values", layer->qkv, 3 * layer->part_width);
    check_outputs(r, "the output of attention", layer->attention_output, model->hidden);
    check_outputs(r, "the second matrix of a feed-forward network", layer->ffn_out, model->hidden);
    layer->attention_norm = read_norm(r, model->hidden);
    layer->ffn_norm = read_norm(r, model->hidden);
}

static void read_step(Reader *r, Model *model, Step *step, int width) {
    memset(step, 0, sizeof *step);
    step->kind = (StepKind)number(r, "a head's step", 0, STEPS - 1);
    step->width = width;
    switch (step->kind) {
    case STEP_PRODUCT:
        step->matrix = matrix(r, model, "a head's matrix", width);
        step->activation = (Activation)number(r, "an activation", 0, ACTIVATIONS - 1);
        if (step->matrix) step->width = step->matrix->outputs;
        break;
    case STEP_NORM:
        step->norm = read_norm(r, width);
        step->eps = real(r);
        break;
    case STEP_CUT: step->width = number(r, "the width of a cut row", 1, (uint32_t)width); break;
    case STEP_ACTIVATE: step->activation = (Activation)number(r, "an activation", 0, ACTIVATIONS - 1); break;
    default: break;
    }
}

static void read_output(Reader *r, Model *model, Output *output) {
    output->poolings = number(r, "a head's number of poolings", 0, MAX_POOLINGS);
    for (int i = 0; i < output->poolings; i++) output->pooling[i] = (Pooling)number(r, "a pooling", 0, POOLINGS - 1);
    if (model->first_row_only)
        for (int i = 0; i < output->poolings || i == 0; i++)
            if (!output->poolings || output->pooling[i] != POOL_FIRST)
                fail(r, "a head reads rows that the last layer does not compute");
    output->scalar = number(r, "whether a head gives one number", 0, 1);
    output->steps = number(r, "a head's number of steps", 0, MAX_STEPS);
    output->width = model->hidden * (output->poolings ? output->poolings : 1);
    for (int i = 0; i < output->steps && !r->failed; i++) {
        read_step(r, model, &output->step[i], output->width);
        output->width = output->step[i].width;
    }
    if (output->scalar && output->width != 1) fail(r, "a head of one number gives %d", output->width);
}

static int widest(const Model *model) {
    int most = model->hidden * MAX_POOLINGS;
    if (model->embeddings.width > most) most = model->embeddings.width;
    if (model->embeddings.word_width > most) most = model->embeddings.word_width;
    for (int i = 0; i < model->matrix_count; i++) {
        if (model->matrices[i].inputs > most) most = model->matrices[i].inputs;
        if (model->matrices[i].outputs > most) most = model->matrices[i].outputs;
    }
    return most;
}

static void read_words(Reader *r, Model *model) {
    model->matrix_count = number(r, "the number of matrices", 1, MAX_COUNT);
    if (r->failed) return;
    model->matrices = calloc((size_t)model->matrix_count, sizeof(Matrix));
    if (!model->matrices) return fail(r, "too little memory");
    for (int i = 0; i < model->matrix_count && !r->failed; i++) read_matrix(r, &model->matrices[i]);
    model->hidden = number(r, "the width of the layers", 1, MAX_WIDTH / MAX_POOLINGS);
    model->max_length = number(r, "the longest text", 1, MAX_WIDTH);
    model->eps = real(r);
    if (!r->failed) read_embeddings(r, model);
    model->layers = number(r, "the number of layers", 1, MAX_LAYERS);
    model->first_row_only = number(r, "whether the last layer has one row", 0, 1);
    if (r->failed) return;
    model->layer = calloc((size_t)model->layers, sizeof(Layer));
    if (!model->layer) return fail(r, "too little memory");
    for (int i = 0; i < model->layers && !r->failed; i++) read_layer(r, model, &model->layer[i]);
    model->outputs = number(r, "the number of outputs", 1, MAX_OUTPUTS);
    for (int i = 0; i < model->outputs && !r->failed; i++) read_output(r, model, &model->output[i]);
    if (!r->failed && r->at != r->word_count) fail(r, "the description goes on after its end");
    model->widest = widest(model);
}

static int all_zero(const uint8_t *p, size_t count) {
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) any |= p[i];
    return !any;
}

int read_model(const uint8_t *file, size_t size, Model *model, char *error, size_t error_size) {
    Reader r = {.file = file, .size = size, .error = error, .error_size = error_size};
    memset(model, 0, sizeof *model);
    if (size < HEADER || memcmp(file, "EDGEBERT", 8)) fail(&r, "this is no EdgeBERT model file");
    else if (u32(file + 12) != ORDER) fail(&r, "the file has another byte order than this processor");
    else if (u32(file + 8) != FORMAT) fail(&r, "the file has format %u; this library reads %d", u32(file + 8), FORMAT);
    else if (u64(file + 16) != size)
        fail(&r, "the file has %zu bytes, but its header says %llu", size, (unsigned long long)u64(file + 16));
    else if (!all_zero(file + 32, HEADER - 32)) fail(&r, "the header has fields of a later format");
    if (!r.failed) {
        r.tensors = u32(file + 24);
        r.word_count = u32(file + 28);
        uint64_t end = HEADER + ENTRY * (uint64_t)r.tensors + 4 * (uint64_t)r.word_count;
        r.entries = file + HEADER;
        r.words = r.entries + ENTRY * (size_t)r.tensors;
        if (end > size) fail(&r, "the file ends within its description");
    }
    if (!r.failed) read_words(&r, model);
    if (r.failed) free_model(model);
    return r.failed ? -1 : 0;
}

void free_model(Model *model) {
    for (int i = 0; i < model->matrix_count && model->matrices; i++) release_matrix(&model->matrices[i]);
    free(model->matrices);
    free(model->layer);
    memset(model, 0, sizeof *model);
}
