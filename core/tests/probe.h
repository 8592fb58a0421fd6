/* Open bytes as a model file through the public interface, and run the model if it opens.
 *
 * Link with -Wl,--wrap=map_file,--wrap=unmap_file. A file is then a heap block of exactly the file's size, so that
 * AddressSanitizer detects every read beyond it. Every fault stops the program with `abort`. */
#ifndef PROBE_H
#define PROBE_H

#include "../edgebert_core.h"
#include "../src/os_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_TEXTS = 5, MOST_OUTPUTS = 8, MOST_BYTES = 1 << 26 };

static const uint8_t *probed;
static size_t probed_size;

const char *__wrap_map_file(const char *path, MappedFile *mapped);
void __wrap_unmap_file(MappedFile *mapped);

const char *__wrap_map_file(const char *path, MappedFile *mapped) {
    (void)path;
    void *copy = NULL;
    if (!probed_size || posix_memalign(&copy, 64, probed_size)) return "cannot be mapped";
    memcpy(copy, probed, probed_size);
    *mapped = (MappedFile){copy, probed_size};
    return NULL;
}

void __wrap_unmap_file(MappedFile *mapped) {
    free((void *)mapped->data);
    *mapped = (MappedFile){NULL, 0};
}

static void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s (last error: %s)\n", what, edgebert_last_error());
    abort();
}

/* A batch, and memory for its outputs. */
typedef struct Probe {
    int32_t *ids, *segments, lengths[PROBE_TEXTS];
    size_t tokens;
    int32_t outputs;
    EdgebertOutput output[MOST_OUTPUTS];
    float *found[MOST_OUTPUTS], *alone[MOST_OUTPUTS];
} Probe;

static size_t rows_of(const Probe *p, int output, size_t texts, size_t tokens) {
    return p->output[output].per_token ? tokens : texts;
}

static int make_probe(EdgebertModel *model, const EdgebertInfo *info, Probe *p) {
    const int32_t wanted[PROBE_TEXTS] = {7, 1, 2, 19, 40};
    memset(p, 0, sizeof *p);
    for (int i = 0; i < PROBE_TEXTS; i++) {
        p->lengths[i] = wanted[i] < info->max_length ? wanted[i] : info->max_length;
        p->tokens += (size_t)p->lengths[i];
    }
    p->ids = calloc(p->tokens, sizeof(int32_t));
    p->segments = calloc(p->tokens, sizeof(int32_t));
    for (size_t i = 0; i < p->tokens; i++) {
        p->ids[i] = (int32_t)(i % 5 ? i * 7919 % (size_t)info->vocabulary : (size_t)info->vocabulary - 1);
        p->segments[i] = (int32_t)(i % (size_t)info->segments);
    }
    p->outputs = info->outputs;
    must(info->outputs >= 1 && info->outputs <= MOST_OUTPUTS, "a number of outputs");
    size_t bytes = 0;
    for (int i = 0; i < info->outputs; i++) {
        must(!edgebert_output(model, i, &p->output[i]) && p->output[i].width >= 1, "an output");
        bytes += rows_of(p, i, PROBE_TEXTS, p->tokens) * (size_t)p->output[i].width * sizeof(float);
    }
    for (int i = 0; i < info->outputs && bytes <= MOST_BYTES; i++) {
        size_t count = rows_of(p, i, PROBE_TEXTS, p->tokens) * (size_t)p->output[i].width;
        p->found[i] = malloc(count * sizeof(float));
        p->alone[i] = malloc(count * sizeof(float));
    }
    return bytes <= MOST_BYTES;
}

static void free_probe(Probe *p) {
    free(p->ids);
    free(p->segments);
    for (int i = 0; i < p->outputs; i++) free(p->found[i]), free(p->alone[i]);
}

static void refuse(EdgebertModel *model, const EdgebertInfo *info, Probe *p) {
    EdgebertBatch batch = {.ids = p->ids, .segments = p->segments, .lengths = p->lengths, .texts = PROBE_TEXTS};
    const int32_t bad_ids[] = {-1, info->vocabulary, INT32_MAX, INT32_MIN};
    const int32_t bad_lengths[] = {0, -1, info->max_length + 1};
    for (int i = 0; i < 4; i++) {
        int32_t kept = p->ids[p->tokens - 1];
        p->ids[p->tokens - 1] = bad_ids[i];
        must(edgebert_run(model, &batch, p->found), "an id beyond the vocabulary was run");
        p->ids[p->tokens - 1] = kept;
    }
    for (int i = 0; i < 3; i++) {
        int32_t kept = p->lengths[0];
        p->lengths[0] = bad_lengths[i];
        must(edgebert_run(model, &batch, p->found), "a length that is out of range was run");
        p->lengths[0] = kept;
    }
    p->segments[0] = info->segments;
    must(info->segments == 1 || edgebert_run(model, &batch, p->found), "a segment beyond the table was run");
    p->segments[0] = 0;
    batch.texts = 0;
    must(edgebert_run(model, &batch, p->found), "no text was run");
}

/* Run every text alone and in a batch. If `same` is set, the answers must be equal, including NaN. */
static void run_twice(EdgebertModel *model, Probe *p, int same) {
    EdgebertBatch batch = {.ids = p->ids, .segments = p->segments, .lengths = p->lengths, .texts = PROBE_TEXTS};
    must(!edgebert_run(model, &batch, p->found), "a batch was refused");
    size_t token = 0;
    for (int text = 0; text < PROBE_TEXTS; token += (size_t)p->lengths[text++]) {
        float *places[MOST_OUTPUTS];
        for (int i = 0; i < p->outputs; i++)
            places[i] = p->alone[i] + rows_of(p, i, (size_t)text, token) * (size_t)p->output[i].width;
        batch = (EdgebertBatch){p->ids + token, p->segments + token, p->lengths + text, 1};
        must(!edgebert_run(model, &batch, places), "a text was refused");
    }
    for (int i = 0; i < p->outputs && same; i++) {
        size_t count = rows_of(p, i, PROBE_TEXTS, p->tokens) * (size_t)p->output[i].width;
        for (size_t k = 0; k < count; k++) {
            float a = p->found[i][k], b = p->alone[i][k];
            must(a == b || (a != a && b != b), "an answer depends on the batch");
        }
    }
}

/* Open bytes with the named kernel (NULL: the fastest). Returns whether they open.
 *
 * The ranges in a file's AVX2 tables are not checked. If the tables were altered, sums may wrap around. A single row
 * does not use the tables, so its answer then differs.
 */
static int probe(const uint8_t *data, size_t size, const char *kernel, int threads, int altered) {
    probed = data, probed_size = size;
    EdgebertModel *model = edgebert_open_with("memory", threads, kernel);
    if (!model) {
        must(edgebert_last_error()[0] != 0, "a file was refused without a reason");
        return 0;
    }
    EdgebertInfo info;
    Probe p;
    edgebert_describe(model, &info);
    if (make_probe(model, &info, &p)) {
        refuse(model, &info, &p);
        run_twice(model, &p, !altered || strcmp(info.kernel, "avx2"));
    }
    free_probe(&p);
    edgebert_close(model);
    return 1;
}

#endif
