/* The forward pass, from the token ids of a batch of texts to the outputs of the heads. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens per thread that go through the layers together, unless one text has more. They fit a second-level cache. */
enum { MAX_TOKENS = 256 };
/* Rows of the feed-forward network that are computed together, so that they fit a second-level cache. */
enum { PANEL_ROWS = 32 };
/* Rows that go through a head together. */
enum { HEAD_ROWS = 32 };
/* Largest number of threads in one run, and smallest number of rows per thread. */
enum { MAX_PARTS = 64, ROWS_A_PART = 8 };

static size_t padded(int width) { return ((size_t)width + BLOCK - 1) / BLOCK * BLOCK; }

/* Memory of one thread: a panel of rows between the two matmuls of a feed-forward network, with their ranges and their
 * quantized copy; scratch memory of attention; and two buffers for the rows of an output head. */
typedef struct Scratch {
    float *middle, *range, *attention, *head_a, *head_b;
    Quantized inner;
} Scratch;

struct Workspace {
    char *memory;
    size_t size;
    /* Rows of the layers; of the residual sums; of queries, keys and values; of the results of attention; and of a
     * low-rank word table. */
    float *hidden, *sum, *qkv, *context, *words;
    Quantized input, first;
    Scratch scratch[MAX_PARTS];
};

Workspace *new_workspace(void) { return calloc(1, sizeof(Workspace)); }

void free_workspace(Workspace *w) {
    if (w) free(w->memory);
    free(w);
}

/* Allocates parts of a block of memory one after another. If `base` is NULL, it only counts the bytes. */
typedef struct Arena { char *base; size_t used; } Arena;

static void *take(Arena *arena, size_t count, size_t bytes) {
    char *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * bytes + 127) / 64 * 64;
    return part;
}

static Quantized take_quantized(Arena *arena, size_t rows, int width) {
    Quantized q = {.stride = row_bytes(width)};
    q.rows = take(arena, rows, q.stride);
    q.scale = take(arena, rows, sizeof(float));
    q.zero = take(arena, rows, sizeof(int32_t));
    return q;
}

/* Stride that is an odd multiple of 64 bytes. Rows at a distance that is a multiple of 4096 or 2048 bytes would use the
 * same cache sets. */
static size_t spread(int width) { return padded(width) | BLOCK; }

static size_t qkv_stride(const Layer *layer) { return spread(3 * layer->part_width); }

/* Sizes of the buffers that a model needs while it runs. */
typedef struct Sizes {
    size_t rows, qkv, attention;
    int width, part, ffn, longest;
} Sizes;

static Sizes sizes_of(const Model *m, const Kernel *kernel, size_t rows, int longest) {
    Sizes s = {.rows = rows, .part = 1, .ffn = 1, .longest = longest};
    for (int i = 0; i < m->layers; i++) {
        const Layer *layer = &m->layer[i];
        size_t need = kernel->arithmetic->attention_scratch(longest, layer->head_width);
        if (qkv_stride(layer) > s.qkv) s.qkv = qkv_stride(layer);
        if (layer->part_width > s.part) s.part = layer->part_width;
        if (layer->ffn_in->outputs > s.ffn) s.ffn = layer->ffn_in->outputs;
        if (need > s.attention) s.attention = need;
    }
    s.width = m->embeddings.width > m->hidden ? m->embeddings.width : m->hidden;
    return s;
}

static void lay_out_scratch(Scratch *s, Arena *arena, const Model *m, const Sizes *sizes) {
    size_t panel = sizes->rows < PANEL_ROWS ? sizes->rows : PANEL_ROWS;
    size_t head = sizes->rows < HEAD_ROWS ? sizes->rows : HEAD_ROWS;
    s->middle = take(arena, panel * spread(sizes->ffn), sizeof(float));
    s->range = take(arena, panel * 2 * BLOCK, sizeof(float));
    s->attention = take(arena, sizes->attention, sizeof(float));
    s->head_a = take(arena, head * padded(m->widest), sizeof(float));
    s->head_b = take(arena, head * padded(m->widest), sizeof(float));
    s->inner = take_quantized(arena, panel, m->widest);
}

static void lay_out(Workspace *w, Arena *arena, const Model *m, const Sizes *sizes, int parts) {
    const Embeddings *e = &m->embeddings;
    size_t rows = sizes->rows;
    w->hidden = take(arena, rows * padded(sizes->width), sizeof(float));
    w->sum = take(arena, rows * padded(sizes->width), sizeof(float));
    w->qkv = take(arena, rows * sizes->qkv, sizeof(float));
    w->context = take(arena, rows * padded(sizes->part), sizeof(float));
    w->words = take(arena, e->widen ? rows * padded(e->word_width) : 0, sizeof(float));
    w->input = take_quantized(arena, rows, sizes->width);
    w->first = take_quantized(arena, rows, sizes->width);
    for (int part = 0; part < parts; part++) lay_out_scratch(&w->scratch[part], arena, m, sizes);
}

static int reserve(Workspace *w, const Model *m, const Sizes *sizes, int parts) {
    Arena count = {NULL, 0};
    lay_out(w, &count, m, sizes, parts);
    size_t need = count.used + 64;
    if (need > w->size) {
        free(w->memory);
        w->size = 0;
        w->memory = malloc(need);
        if (!w->memory) return -1;
        w->size = need;
    }
    Arena arena = {(char *)(((uintptr_t)w->memory + 63) / 64 * 64), 0};
    lay_out(w, &arena, m, sizes, parts);
    return 0;
}

/* A forward pass of some texts of a batch, on `parts` threads. Each thread has a share of the rows, and of the heads in
 * attention. It waits for the other threads before it reads their rows. */
typedef struct Pass {
    const Model *model;
    const Kernel *kernel;
    const Arithmetic *math;
    Workspace *w;
    const int32_t *ids, *segments, *lengths;
    int texts, rows, parts;
    Barrier barrier;
    float *outputs[MAX_OUTPUTS];
} Pass;

/* A range of rows, texts or heads; `to` is not included. */
typedef struct Share { int from, to; } Share;

static Share share_of(int count, int parts, int part) {
    return (Share){(int)((int64_t)count * part / parts), (int)((int64_t)count * (part + 1) / parts)};
}

/* Row of the position table for a token. If padding is skipped, padding ids in a text use the first row of the
 * table. */
static int position_of(const Embeddings *e, int32_t id, int at, int *counted) {
    if (e->padding_id < 0) return at;
    return id == e->padding_id ? 0 : ++*counted;
}

static void multiply(const Pass *p, const Matrix *matrix, const float *in, size_t stride, const Quantized *quantized,
                     int rows, const Finish *finish) {
    if (matrix->weights) p->math->product(p->kernel->products, matrix, 0, matrix->blocks, quantized, rows, finish);
    else p->math->product32(matrix, 0, matrix->blocks, in, stride, rows, finish);
}

/* Widen the rows of a low-rank word table to the width of the embeddings, into `hidden`. */
static void widen(const Pass *p, Share rows) {
    const Embeddings *e = &p->model->embeddings;
    const size_t width = padded(e->width), word_width = padded(e->word_width);
    float *words = p->w->words + (size_t)rows.from * word_width;
    for (int row = rows.from; row < rows.to; row++) {
        size_t word = (size_t)p->ids[row] * word_width;
        p->math->embed(e->words8 ? e->words8 + word : NULL, e->words32 ? e->words32 + word : NULL,
                       e->words8 ? e->word_scale[p->ids[row]] : 1.0f, NULL, NULL, e->word_width,
                       p->w->words + (size_t)row * word_width);
    }
    Finish finish = {.out = p->w->hidden + (size_t)rows.from * width, .out_stride = width};
    p->math->product32(e->widen, 0, e->widen->blocks, words, word_width, rows.to - rows.from, &finish);
}

static void embed_row(const Pass *p, int row, int position) {
    const Embeddings *e = &p->model->embeddings;
    const size_t width = padded(e->width), word = (size_t)p->ids[row] * padded(e->word_width);
    const int segment = p->segments && e->segment ? p->segments[row] : 0;
    const int8_t *words8 = e->words8 && !e->widen ? e->words8 + word : NULL;
    const float *words32 = e->widen ? p->w->hidden + (size_t)row * width : e->words32 ? e->words32 + word : NULL;
    p->math->embed(words8, words32, words8 ? e->word_scale[p->ids[row]] : 1.0f, e->position + (size_t)position * width,
                   e->segment ? e->segment + (size_t)segment * width : NULL, e->width, p->w->sum + (size_t)row * width);
}

static void embed(const Pass *p, Share rows) {
    if (p->model->embeddings.widen) widen(p, rows);
    for (int text = 0, row = 0; text < p->texts && row < rows.to; text++)
        for (int at = 0, counted = 0; at < p->lengths[text]; at++, row++) {
            int position = position_of(&p->model->embeddings, p->ids[row], at, &counted);
            if (row >= rows.from && row < rows.to) embed_row(p, row, position);
        }
}

/* LayerNorm of rows. The rows are also quantized if the next matrix is in INT8. */
static void norm_rows(const Pass *p, const float *in, int rows, Norm norm, float *out, const Quantized *quantized,
                      const Matrix *next) {
    int wanted = next && next->weights;
    p->math->norm(in, rows, p->model->hidden, norm, p->model->eps, out, wanted ? quantized : NULL,
                  wanted ? next->factors : NULL, p->kernel->products->most);
}

static Quantized from_row(const Quantized *q, size_t row) {
    return (Quantized){q->rows + row * q->stride, q->stride, q->scale + row, q->zero + row};
}

static void start(const Pass *p, Share share) {
    const Model *m = p->model;
    const Embeddings *e = &m->embeddings;
    const Matrix *next = m->layer[0].qkv;
    const int rows = share.to - share.from;
    float *sum = p->w->sum + (size_t)share.from * padded(e->width);
    float *hidden = p->w->hidden + (size_t)share.from * padded(m->hidden);
    Quantized input = from_row(&p->w->input, (size_t)share.from);
    embed(p, share);
    if (!e->project) return norm_rows(p, sum, rows, e->norm, hidden, &input, next);
    p->math->norm(sum, rows, e->width, e->norm, m->eps, sum, NULL, NULL, 255);
    Finish finish = {.out = hidden, .out_stride = padded(m->hidden)};
    p->math->product32(e->project, 0, e->project->blocks, sum, padded(e->width), rows, &finish);
    if (next->weights)
        p->math->quantize(hidden, padded(m->hidden), rows, m->hidden, next->factors, NULL, &input,
                          p->kernel->products->most);
}

/* Compute queries, keys and values of a range of rows, for the blocks from `from` on. */
static void project(const Pass *p, const Layer *layer, int from, Share share) {
    const Matrix *qkv = layer->qkv;
    const size_t width = padded(p->model->hidden), stride = qkv_stride(layer);
    const int rows = share.to - share.from;
    Finish finish = {.out = p->w->qkv + (size_t)share.from * stride, .out_stride = stride};
    Quantized input = from_row(&p->w->input, (size_t)share.from);
    if (qkv->weights) p->math->product(p->kernel->products, qkv, from, qkv->blocks, &input, rows, &finish);
    else p->math->product32(qkv, from, qkv->blocks, p->w->hidden + (size_t)share.from * width, width, rows, &finish);
}

/* Compute the queries of the first row of every text. The rows are gathered so that one matmul processes all of
 * them. */
static void project_first(const Pass *p, const Layer *layer) {
    const Matrix *qkv = layer->qkv;
    const size_t width = padded(p->model->hidden), stride = qkv_stride(layer), part = (size_t)layer->part_width;
    Workspace *w = p->w;
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++]) {
        memcpy(w->first.rows + (size_t)text * w->first.stride, w->input.rows + (size_t)row * w->input.stride,
               w->input.stride);
        w->first.scale[text] = w->input.scale[row];
        w->first.zero[text] = w->input.zero[row];
        memcpy(w->sum + (size_t)text * width, w->hidden + (size_t)row * width, width * sizeof(float));
    }
    Finish finish = {.out = w->context, .out_stride = part};
    const int blocks = layer->part_width / BLOCK;
    if (qkv->weights) p->math->product(p->kernel->products, qkv, 0, blocks, &w->first, p->texts, &finish);
    else p->math->product32(qkv, 0, blocks, w->sum, width, p->texts, &finish);
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++])
        memcpy(w->qkv + (size_t)row * stride, w->context + (size_t)text * part, part * sizeof(float));
}

/* Attention of one thread's share of the heads of all texts. Shares are divided so that they take about the same
 * time. */
static void attend(const Pass *p, const Layer *layer, int first, int number) {
    const size_t stride = qkv_stride(layer), part = (size_t)layer->part_width;
    int64_t all = 0, done = 0;
    for (int text = 0; text < p->texts; text++) all += (int64_t)p->lengths[text] * (first ? 1 : p->lengths[text]);
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++]) {
        const int64_t work = (int64_t)p->lengths[text] * (first ? 1 : p->lengths[text]);
        /* Which heads of this text belong to this part. */
        const int64_t low = all * number / p->parts - done, high = all * (number + 1) / p->parts - done;
        int from = low <= 0 ? 0 : low >= work ? layer->heads : (int)(layer->heads * low / work);
        int to = high <= 0 ? 0 : high >= work ? layer->heads : (int)(layer->heads * high / work);
        done += work;
        if (from >= to) continue;
        const float *query = p->w->qkv + (size_t)row * stride + (size_t)from * (size_t)layer->head_width;
        float *context = p->w->context + (size_t)(first ? text : row) * part + (size_t)from * (size_t)layer->head_width;
        Attention a = {.query = query, .key = query + part, .value = query + 2 * part, .stride = stride,
                       .tokens = p->lengths[text], .queries = first ? 1 : p->lengths[text], .heads = to - from,
                       .exact = !layer->qkv->weights,
                       .head_width = layer->head_width, .context = context, .context_stride = part,
                       .scratch = p->w->scratch[number].attention};
        p->math->attend(&a);
    }
}

/* Set the padding of the rows of attention's results to zero. */
static void clear_context(const Pass *p, const Layer *layer, Share rows) {
    const size_t part = (size_t)layer->part_width, used = (size_t)layer->heads * (size_t)layer->head_width;
    if (used == part) return;
    for (int row = rows.from; row < rows.to; row++)
        memset(p->w->context + (size_t)row * part + used, 0, (part - used) * sizeof(float));
}

/* The part of a layer after attention, for a panel of rows: output, residual, norm, feed-forward, residual, norm. */
static void tail(const Pass *p, const Layer *layer, const Matrix *next, Scratch *s, int row, int rows) {
    const Model *m = p->model;
    Workspace *w = p->w;
    const int most = p->kernel->products->most;
    const size_t width = padded(m->hidden), part = (size_t)layer->part_width, ffn = spread(layer->ffn_in->outputs);
    float *hidden = w->hidden + (size_t)row * width, *sum = w->sum + (size_t)row * width;
    const float *context = w->context + (size_t)row * part;
    Quantized input = from_row(&w->input, (size_t)row);
    if (layer->attention_output->weights)
        p->math->quantize(context, part, rows, layer->attention_output->inputs, layer->attention_output->factors, NULL,
                          &s->inner, most);
    Finish finish = {.residual = hidden, .residual_stride = width, .out = sum, .out_stride = width};
    multiply(p, layer->attention_output, context, part, &s->inner, rows, &finish);
    norm_rows(p, sum, rows, layer->attention_norm, hidden, &input, layer->ffn_in);

    const Matrix *out = layer->ffn_out;
    int ranged = out->weights && !out->factors;
    memset(s->range, 0, (size_t)rows * 2 * BLOCK * sizeof(float));
    finish = (Finish){.activation = layer->activation, .out = s->middle, .out_stride = ffn,
                      .range = ranged ? s->range : NULL};
    multiply(p, layer->ffn_in, hidden, width, &input, rows, &finish);
    if (out->weights)
        p->math->quantize(s->middle, ffn, rows, out->inputs, out->factors, ranged ? s->range : NULL, &s->inner, most);
    finish = (Finish){.residual = hidden, .residual_stride = width, .out = sum, .out_stride = width};
    multiply(p, out, s->middle, ffn, &s->inner, rows, &finish);
    norm_rows(p, sum, rows, layer->ffn_norm, hidden, &input, next);
}

static void tails(const Pass *p, const Layer *layer, const Matrix *next, int part, Share rows) {
    for (int row = rows.from; row < rows.to; row += PANEL_ROWS)
        tail(p, layer, next, &p->w->scratch[part], row, rows.to - row < PANEL_ROWS ? rows.to - row : PANEL_ROWS);
}

static void run_layer(Pass *p, int number, int part) {
    const Model *m = p->model;
    const Layer *layer = &m->layer[number];
    const Share rows = share_of(p->rows, p->parts, part);
    project(p, layer, 0, rows);
    wait_for_all(&p->barrier, p->parts);
    /* Not before the barrier: layers differ in width, so this memory may contain rows of the previous layer that other
     * threads still read. */
    clear_context(p, layer, rows);
    attend(p, layer, 0, part);
    wait_for_all(&p->barrier, p->parts);
    tails(p, layer, number == m->layers - 1 ? NULL : m->layer[number + 1].qkv, part, rows);
}

/* The last layer if the heads read only the first row of each text: keys and values of every row, but only one
 * query. */
static void run_last_layer(Pass *p, int part) {
    const Model *m = p->model;
    const Layer *layer = &m->layer[m->layers - 1];
    const size_t width = padded(m->hidden);
    project(p, layer, layer->part_width / BLOCK, share_of(p->rows, p->parts, part));
    wait_for_all(&p->barrier, p->parts);
    if (part == 0) project_first(p, layer);
    wait_for_all(&p->barrier, p->parts);
    const Share texts = share_of(p->texts, p->parts, part);
    clear_context(p, layer, texts);
    attend(p, layer, 1, part);
    if (part == 0)
        for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++])
            memmove(p->w->hidden + (size_t)text * width, p->w->hidden + (size_t)row * width, width * sizeof(float));
    wait_for_all(&p->barrier, p->parts);
    tails(p, layer, NULL, part, texts);
}

static void pool(Pooling pooling, const float *rows, int tokens, int width, size_t stride, float *out) {
    if (pooling == POOL_FIRST || pooling == POOL_LAST) {
        const float *row = rows + (size_t)(pooling == POOL_FIRST ? 0 : tokens - 1) * stride;
        memcpy(out, row, (size_t)width * sizeof(float));
        return;
    }
    float total = 0;
    for (int k = 0; k < width; k++) out[k] = pooling == POOL_MAX ? rows[k] : 0;
    for (int i = 0; i < tokens; i++, rows += stride) {
        const float by = pooling == POOL_RISING ? (float)(i + 1) : 1.0f;
        total += by;
        if (pooling == POOL_MAX)
            for (int k = 0; k < width; k++) out[k] = rows[k] > out[k] || rows[k] != rows[k] ? rows[k] : out[k];
        else
            for (int k = 0; k < width; k++) out[k] += by * rows[k];
    }
    if (pooling == POOL_MAX) return;
    if (pooling == POOL_ROOT) total = sqrtf(total);
    for (int k = 0; k < width; k++) out[k] /= total;
}

static void to_unit_length(float *row, int width) {
    float squares = 0;
    for (int k = 0; k < width; k++) squares += row[k] * row[k];
    float length = sqrtf(squares);
    if (length < 1e-12f) length = 1e-12f;
    for (int k = 0; k < width; k++) row[k] /= length;
}

/* Apply one step of a head to rows, from `from` to `to`. Returns the buffer with the result: `to`, or `from` if the
 * step works in place. */
static float *take_step(const Pass *p, const Quantized *inner, const Step *step, int before, float *from, float *to,
                        int rows) {
    const size_t stride = padded(p->model->widest);
    const int most = p->kernel->products->most;
    switch (step->kind) {
    case STEP_PRODUCT: {
        Finish finish = {.activation = step->activation, .out = to, .out_stride = stride};
        for (int i = 0; i < rows; i++)
            memset(from + (size_t)i * stride + before, 0, (padded(before) - (size_t)before) * sizeof(float));
        if (step->matrix->weights)
            p->math->quantize(from, stride, rows, before, step->matrix->factors, NULL, inner, most);
        multiply(p, step->matrix, from, stride, inner, rows, &finish);
        return to;
    }
    case STEP_NORM:
        for (int i = 0; i < rows; i++) {
            float *row = from + (size_t)i * stride;
            memset(row + before, 0, (padded(before) - (size_t)before) * sizeof(float));
            p->math->norm(row, 1, before, step->norm, step->eps, to + (size_t)i * stride, NULL, NULL, most);
        }
        return to;
    case STEP_UNIT:
        for (int i = 0; i < rows; i++) to_unit_length(from + (size_t)i * stride, before);
        return from;
    case STEP_ACTIVATE:
        for (int i = 0; i < rows; i++) p->math->activate(step->activation, from + (size_t)i * stride, before);
        return from;
    default: return from;
    }
}

/* Apply all steps of a head to the rows in `head_a`, and write the result without gaps between rows. */
static void finish_head(const Pass *p, Scratch *s, const Output *output, int width, int rows, float *out) {
    const size_t stride = padded(p->model->widest);
    float *from = s->head_a, *to = s->head_b;
    for (int i = 0; i < output->steps; i++) {
        float *result = take_step(p, &s->inner, &output->step[i], width, from, to, rows);
        if (result == to) to = from, from = result;
        width = output->step[i].width;
    }
    for (int i = 0; i < rows; i++)
        memcpy(out + (size_t)i * (size_t)width, from + (size_t)i * stride, (size_t)width * sizeof(float));
}

/* Index of a text's first row in the result of the last layer. */
static size_t first_row(const Pass *p, int text) {
    if (p->model->first_row_only) return (size_t)text;
    size_t row = 0;
    for (int i = 0; i < text; i++) row += (size_t)p->lengths[i];
    return row;
}

/* Compute one output for this thread's share of the texts, or of the tokens. */
static void run_head(const Pass *p, const Output *output, int part, float *out) {
    const int hidden = p->model->hidden, joined = hidden * (output->poolings ? output->poolings : 1);
    const size_t width = padded(hidden), stride = padded(p->model->widest);
    const Share share = share_of(output->poolings ? p->texts : p->rows, p->parts, part);
    Scratch *s = &p->w->scratch[part];
    const float *rows = p->w->hidden + (output->poolings ? first_row(p, share.from) : (size_t)share.from) * width;
    for (int done = share.from; done < share.to; done += HEAD_ROWS) {
        int count = share.to - done < HEAD_ROWS ? share.to - done : HEAD_ROWS;
        for (int i = 0; i < count; i++) {
            float *to = s->head_a + (size_t)i * stride;
            int tokens = p->model->first_row_only || !output->poolings ? 1 : p->lengths[done + i];
            if (!output->poolings) memcpy(to, rows, (size_t)hidden * sizeof(float));
            for (int k = 0; k < output->poolings; k++)
                pool(output->pooling[k], rows, tokens, hidden, width, to + (size_t)k * (size_t)hidden);
            rows += (size_t)tokens * width;
        }
        finish_head(p, s, output, joined, count, out + (size_t)done * (size_t)output->width);
    }
}

static void run_part(void *argument, int part) {
    Pass *p = argument;
    const Model *m = p->model;
    start(p, share_of(p->rows, p->parts, part));
    for (int i = 0; i < m->layers - m->first_row_only; i++) run_layer(p, i, part);
    if (m->first_row_only) run_last_layer(p, part);
    wait_for_all(&p->barrier, p->parts);
    for (int i = 0; i < m->outputs; i++) run_head(p, &m->output[i], part, p->outputs[i]);
}

/* How many texts, from number `text` of the batch on, go through the layers together: at most `most` tokens or one
 * text. `rows` and `longest` become their tokens and the tokens of the longest one. */
static int texts_together(const EdgebertBatch *batch, int text, int most, int *rows, int *longest) {
    int count = 0;
    for (*rows = *longest = 0; text + count < batch->texts; count++) {
        int length = batch->lengths[text + count];
        if (count && *rows + length > most) break;
        *rows += length;
        if (length > *longest) *longest = length;
    }
    return count;
}

int run_texts(const Model *model, const Kernel *kernel, Team *team, int threads, Workspace *workspace,
              const EdgebertBatch *batch, float *const *outputs) {
    size_t token = 0;
    if (threads > MAX_PARTS) threads = MAX_PARTS;
    for (int text = 0, count; text < batch->texts; text += count) {
        int rows, longest;
        count = texts_together(batch, text, MAX_TOKENS * threads, &rows, &longest);
        int parts = rows / ROWS_A_PART < threads ? rows / ROWS_A_PART : threads;
        if (parts < 1) parts = 1;
        const Sizes sizes = sizes_of(model, kernel, (size_t)rows, longest);
        if (reserve(workspace, model, &sizes, parts)) return -1;
        Pass pass = {.model = model, .kernel = kernel, .math = kernel->arithmetic, .w = workspace,
                     .ids = batch->ids + token, .segments = batch->segments ? batch->segments + token : NULL,
                     .lengths = batch->lengths + text, .texts = count, .rows = rows, .parts = parts};
        for (int i = 0; i < model->outputs; i++) {
            const Output *output = &model->output[i];
            pass.outputs[i] = outputs[i] + (output->poolings ? (size_t)text : token) * (size_t)output->width;
        }
        if (parts == 1 || run_team(team, parts, run_part, &pass)) {
            pass.parts = 1;
            run_part(&pass, 0);
        }
        token += (size_t)rows;
    }
    return 0;
}
