/* The forward pass: token ids of some texts in, the outputs of their heads out. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens that go through the layers together, unless one text has more: what fits a second-level cache. */
enum { MAX_TOKENS = 256 };
/* Rows of the feed-forward network that are computed together, for the same reason. */
enum { PANEL_ROWS = 64 };
/* Rows that go through a head together. */
enum { HEAD_ROWS = 32 };

static size_t padded(int width) { return ((size_t)width + BLOCK - 1) / BLOCK * BLOCK; }

struct Workspace {
    char *memory;
    size_t size;
    /* Rows of the layers, of the residual sums, of queries with keys and values, of attention's results. */
    float *hidden, *sum, *qkv, *context;
    /* Of one panel: rows between the two matrices of a feed-forward network, and their ranges. */
    float *middle, *range;
    float *attention, *head_a, *head_b, *words;
    Quantized input, inner, first;
};

Workspace *new_workspace(void) { return calloc(1, sizeof(Workspace)); }

void free_workspace(Workspace *w) {
    if (w) free(w->memory);
    free(w);
}

/* Takes parts of a block of memory one after another; counts only where there is no block yet. */
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

/* Rows a multiple of 4096 bytes apart, or of half of it, would meet in the same places of the cache. */
static size_t spread(int width) { return padded(width) | BLOCK; }

static size_t qkv_stride(const Layer *layer) { return spread(3 * layer->part_width); }

static void lay_out(Workspace *w, Arena *arena, const Model *m, const Kernel *kernel, size_t rows, int longest) {
    size_t widest_qkv = 0, scratch = 0;
    int part = 1, ffn = 1;
    for (int i = 0; i < m->layers; i++) {
        const Layer *layer = &m->layer[i];
        size_t need = kernel->arithmetic->attention_scratch(longest, layer->head_width);
        if (qkv_stride(layer) > widest_qkv) widest_qkv = qkv_stride(layer);
        if (layer->part_width > part) part = layer->part_width;
        if (layer->ffn_in->outputs > ffn) ffn = layer->ffn_in->outputs;
        if (need > scratch) scratch = need;
    }
    const Embeddings *e = &m->embeddings;
    int width = e->width > m->hidden ? e->width : m->hidden;
    size_t panel = rows < PANEL_ROWS ? rows : PANEL_ROWS;
    w->hidden = take(arena, rows * padded(width), sizeof(float));
    w->sum = take(arena, rows * padded(width), sizeof(float));
    w->qkv = take(arena, rows * widest_qkv, sizeof(float));
    w->context = take(arena, rows * padded(part), sizeof(float));
    w->middle = take(arena, panel * spread(ffn), sizeof(float));
    w->range = take(arena, panel * 2 * BLOCK, sizeof(float));
    w->attention = take(arena, scratch, sizeof(float));
    w->words = take(arena, e->widen ? rows * padded(e->word_width) : 0, sizeof(float));
    size_t head = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    w->head_a = take(arena, head * padded(m->widest), sizeof(float));
    w->head_b = take(arena, head * padded(m->widest), sizeof(float));
    w->input = take_quantized(arena, rows, width);
    w->first = take_quantized(arena, rows, width);
    w->inner = take_quantized(arena, panel < head ? head : panel, m->widest);
}

static int reserve(Workspace *w, const Model *m, const Kernel *kernel, size_t rows, int longest) {
    Arena count = {NULL, 0};
    lay_out(w, &count, m, kernel, rows, longest);
    size_t need = count.used + 64;
    if (need > w->size) {
        free(w->memory);
        w->size = 0;
        w->memory = malloc(need);
        if (!w->memory) return -1;
        w->size = need;
    }
    Arena arena = {(char *)(((uintptr_t)w->memory + 63) / 64 * 64), 0};
    lay_out(w, &arena, m, kernel, rows, longest);
    return 0;
}

/* Some texts of a batch, on their way through the layers. */
typedef struct Pass {
    const Model *model;
    const Kernel *kernel;
    const Arithmetic *math;
    Workspace *w;
    const int32_t *ids, *segments, *lengths;
    int texts, rows;
    int alone; /* only the first row of each text is left */
} Pass;

/* Positions of one text. Where padding is skipped, the table's first row is that of padding ids in the text. */
static int position_of(const Embeddings *e, int32_t id, int at, int *counted) {
    if (e->padding_id < 0) return at;
    return id == e->padding_id ? 0 : ++*counted;
}

static void multiply(const Pass *p, const Matrix *matrix, const float *in, size_t stride, const Quantized *quantized,
                     int rows, const Finish *finish) {
    if (matrix->weights) p->math->product(p->kernel->products, matrix, 0, matrix->blocks, quantized, rows, finish);
    else p->math->product32(matrix, 0, matrix->blocks, in, stride, rows, finish);
}

static void embed(const Pass *p) {
    const Embeddings *e = &p->model->embeddings;
    const size_t width = padded(e->width), word_width = padded(e->word_width);
    const int32_t *ids = p->ids, *segments = p->segments;
    if (e->widen) {
        for (int row = 0; row < p->rows; row++) {
            size_t word = (size_t)ids[row] * word_width;
            p->math->embed(e->words8 ? e->words8 + word : NULL, e->words32 ? e->words32 + word : NULL,
                           e->words8 ? e->word_scale[ids[row]] : 1.0f, NULL, NULL, e->word_width,
                           p->w->words + (size_t)row * word_width);
        }
        Finish finish = {.out = p->w->hidden, .out_stride = width};
        p->math->product32(e->widen, 0, e->widen->blocks, p->w->words, word_width, p->rows, &finish);
    }
    for (int text = 0, row = 0; text < p->texts; text++)
        for (int at = 0, counted = 0; at < p->lengths[text]; at++, row++) {
            size_t word = (size_t)ids[row] * word_width;
            const float *position = e->position + (size_t)position_of(e, ids[row], at, &counted) * width;
            const float *segment = e->segment ? e->segment + (segments ? (size_t)segments[row] * width : 0) : NULL;
            const int8_t *words8 = e->words8 && !e->widen ? e->words8 + word : NULL;
            const float *words32 = e->widen ? p->w->hidden + (size_t)row * width : e->words32 ? e->words32 + word : NULL;
            p->math->embed(words8, words32, words8 ? e->word_scale[ids[row]] : 1.0f, position, segment, e->width,
                           p->w->sum + (size_t)row * width);
        }
}

/* LayerNorm of rows, and their 8 bits where the next matrix takes them. */
static void norm_rows(const Pass *p, const float *in, int rows, Norm norm, float *out, const Quantized *quantized,
                      const Matrix *next) {
    int wanted = next && next->weights;
    p->math->norm(in, rows, p->model->hidden, norm, p->model->eps, out, wanted ? quantized : NULL,
                  wanted ? next->factors : NULL, p->kernel->products->most);
}

static Quantized from_row(const Quantized *q, size_t row) {
    return (Quantized){q->rows + row * q->stride, q->stride, q->scale + row, q->zero + row};
}

static void start(const Pass *p) {
    const Model *m = p->model;
    const Embeddings *e = &m->embeddings;
    const Matrix *next = m->layer[0].qkv;
    embed(p);
    if (!e->project) return norm_rows(p, p->w->sum, p->rows, e->norm, p->w->hidden, &p->w->input, next);
    p->math->norm(p->w->sum, p->rows, e->width, e->norm, m->eps, p->w->sum, NULL, NULL, 255);
    Finish finish = {.out = p->w->hidden, .out_stride = padded(m->hidden)};
    p->math->product32(e->project, 0, e->project->blocks, p->w->sum, padded(e->width), p->rows, &finish);
    if (next->weights)
        p->math->quantize(p->w->hidden, padded(m->hidden), p->rows, m->hidden, next->factors, NULL, &p->w->input,
                          p->kernel->products->most);
}

/* Queries, keys and values; with `first` the queries of the first rows alone. */
static void project(const Pass *p, const Layer *layer, int first) {
    const Matrix *qkv = layer->qkv;
    const int part = layer->part_width / BLOCK, from = first ? part : 0;
    const size_t width = padded(p->model->hidden), stride = qkv_stride(layer);
    Workspace *w = p->w;
    Finish finish = {.out = w->qkv, .out_stride = stride};
    if (qkv->weights) p->math->product(p->kernel->products, qkv, from, qkv->blocks, &w->input, p->rows, &finish);
    else p->math->product32(qkv, from, qkv->blocks, w->hidden, width, p->rows, &finish);
    if (!first) return;
    /* The first rows are gathered, so that the product has all of them at once; `sum` takes them, then their queries. */
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++]) {
        memcpy(w->first.rows + (size_t)text * w->first.stride, w->input.rows + (size_t)row * w->input.stride,
               w->input.stride);
        w->first.scale[text] = w->input.scale[row];
        w->first.zero[text] = w->input.zero[row];
        memcpy(w->sum + (size_t)text * width, w->hidden + (size_t)row * width, width * sizeof(float));
    }
    finish = (Finish){.out = w->context, .out_stride = (size_t)layer->part_width};
    if (qkv->weights) p->math->product(p->kernel->products, qkv, 0, part, &w->first, p->texts, &finish);
    else p->math->product32(qkv, 0, part, w->sum, width, p->texts, &finish);
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++])
        memcpy(w->qkv + (size_t)row * stride, w->context + (size_t)text * (size_t)layer->part_width,
               (size_t)layer->part_width * sizeof(float));
}

static void attend(const Pass *p, const Layer *layer, int first) {
    const size_t stride = qkv_stride(layer), part = (size_t)layer->part_width;
    memset(p->w->context, 0, (size_t)(first ? p->texts : p->rows) * part * sizeof(float));
    for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++]) {
        const float *query = p->w->qkv + (size_t)row * stride;
        Attention a = {.query = query, .key = query + part, .value = query + 2 * part, .stride = stride,
                       .tokens = p->lengths[text], .queries = first ? 1 : p->lengths[text], .heads = layer->heads,
                       .head_width = layer->head_width, .context = p->w->context + (size_t)(first ? text : row) * part,
                       .context_stride = part, .scratch = p->w->attention};
        p->math->attend(&a);
    }
}

/* What follows attention, for a panel of rows: output, residual, norm, feed-forward, residual, norm. */
static void tail(const Pass *p, const Layer *layer, const Matrix *next, int row, int rows) {
    const Model *m = p->model;
    Workspace *w = p->w;
    const int most = p->kernel->products->most;
    const size_t width = padded(m->hidden), part = (size_t)layer->part_width, ffn = spread(layer->ffn_in->outputs);
    float *hidden = w->hidden + (size_t)row * width, *sum = w->sum + (size_t)row * width;
    const float *context = w->context + (size_t)row * part;
    Quantized input = from_row(&w->input, (size_t)row);
    if (layer->attention_output->weights)
        p->math->quantize(context, part, rows, layer->attention_output->inputs, layer->attention_output->factors, NULL,
                          &w->inner, most);
    Finish finish = {.residual = hidden, .residual_stride = width, .out = sum, .out_stride = width};
    multiply(p, layer->attention_output, context, part, &w->inner, rows, &finish);
    norm_rows(p, sum, rows, layer->attention_norm, hidden, &input, layer->ffn_in);

    const Matrix *out = layer->ffn_out;
    int ranged = out->weights && !out->factors;
    memset(w->range, 0, (size_t)rows * 2 * BLOCK * sizeof(float));
    finish = (Finish){.activation = layer->activation, .out = w->middle, .out_stride = ffn,
                      .range = ranged ? w->range : NULL};
    multiply(p, layer->ffn_in, hidden, width, &input, rows, &finish);
    if (out->weights)
        p->math->quantize(w->middle, ffn, rows, out->inputs, out->factors, ranged ? w->range : NULL, &w->inner, most);
    finish = (Finish){.residual = hidden, .residual_stride = width, .out = sum, .out_stride = width};
    multiply(p, out, w->middle, ffn, &w->inner, rows, &finish);
    norm_rows(p, sum, rows, layer->ffn_norm, hidden, &input, next);
}

static void run_layer(Pass *p, int number) {
    const Model *m = p->model;
    const Layer *layer = &m->layer[number];
    const int last = number == m->layers - 1, first = last && m->first_row_only;
    const size_t width = padded(m->hidden);
    project(p, layer, first);
    attend(p, layer, first);
    if (first) {
        for (int text = 0, row = 0; text < p->texts; row += p->lengths[text++])
            memmove(p->w->hidden + (size_t)text * width, p->w->hidden + (size_t)row * width, width * sizeof(float));
        p->rows = p->texts;
        p->alone = 1;
    }
    const Matrix *next = last ? NULL : m->layer[number + 1].qkv;
    for (int row = 0; row < p->rows; row += PANEL_ROWS)
        tail(p, layer, next, row, p->rows - row < PANEL_ROWS ? p->rows - row : PANEL_ROWS);
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

/* One step of a head over some rows, `from` to `to`, both `stride` apart; returns where the result is. */
static float *take_step(const Pass *p, const Step *step, int before, float *from, float *to, size_t stride, int rows) {
    const int most = p->kernel->products->most;
    switch (step->kind) {
    case STEP_PRODUCT: {
        Finish finish = {.activation = step->activation, .out = to, .out_stride = stride};
        for (int i = 0; i < rows; i++)
            memset(from + (size_t)i * stride + before, 0, (padded(before) - (size_t)before) * sizeof(float));
        if (step->matrix->weights)
            p->math->quantize(from, stride, rows, before, step->matrix->factors, NULL, &p->w->inner, most);
        multiply(p, step->matrix, from, stride, &p->w->inner, rows, &finish);
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

/* Steps of a head over the rows in `head_a`; the result is written without gaps. */
static void finish_head(const Pass *p, const Output *output, int width, int rows, float *out) {
    const size_t stride = padded(p->model->widest);
    float *from = p->w->head_a, *to = p->w->head_b;
    for (int i = 0; i < output->steps; i++) {
        float *result = take_step(p, &output->step[i], width, from, to, stride, rows);
        if (result == to) to = from, from = result;
        width = output->step[i].width;
    }
    for (int i = 0; i < rows; i++)
        memcpy(out + (size_t)i * (size_t)width, from + (size_t)i * stride, (size_t)width * sizeof(float));
}

static void run_head(const Pass *p, const Output *output, float *out) {
    const int hidden = p->model->hidden, joined = hidden * (output->poolings ? output->poolings : 1);
    const size_t width = padded(hidden), stride = padded(p->model->widest);
    const int total = output->poolings ? p->texts : p->rows;
    const float *rows = p->w->hidden;
    for (int done = 0, text = 0; done < total; done += HEAD_ROWS) {
        int count = total - done < HEAD_ROWS ? total - done : HEAD_ROWS;
        for (int i = 0; i < count; i++) {
            float *to = p->w->head_a + (size_t)i * stride;
            if (!output->poolings) {
                memcpy(to, rows, (size_t)hidden * sizeof(float));
                rows += width;
                continue;
            }
            int tokens = p->alone ? 1 : p->lengths[text];
            for (int k = 0; k < output->poolings; k++)
                pool(output->pooling[k], rows, tokens, hidden, width, to + (size_t)k * (size_t)hidden);
            rows += (size_t)tokens * width;
            text++;
        }
        finish_head(p, output, joined, count, out + (size_t)done * (size_t)output->width);
    }
}

int run_texts(const Model *model, const Kernel *kernel, Workspace *workspace, const EdgebertBatch *batch,
              float *const *outputs) {
    size_t token = 0;
    for (int text = 0, count; text < batch->texts; text += count) {
        int rows = 0, longest = 0;
        for (count = 0; text + count < batch->texts; count++) {
            int length = batch->lengths[text + count];
            if (count && rows + length > MAX_TOKENS) break;
            rows += length;
            if (length > longest) longest = length;
        }
        if (reserve(workspace, model, kernel, (size_t)rows, longest)) return -1;
        Pass pass = {.model = model, .kernel = kernel, .math = kernel->arithmetic, .w = workspace,
                     .ids = batch->ids + token, .segments = batch->segments ? batch->segments + token : NULL,
                     .lengths = batch->lengths + text, .texts = count, .rows = rows};
        start(&pass);
        for (int i = 0; i < model->layers; i++) run_layer(&pass, i);
        for (int i = 0; i < model->outputs; i++) {
            const Output *output = &model->output[i];
            size_t at = output->poolings ? (size_t)text : token;
            run_head(&pass, output, outputs[i] + at * (size_t)output->width);
        }
        token += (size_t)rows;
    }
    return 0;
}
