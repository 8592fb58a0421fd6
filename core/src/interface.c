/* The C interface: maps files, checks batches, and keeps workspaces for the next run. */
#include "model.h"
#include "os_file.h"
#include "os_threads.h"
#include "prepare.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 256, MAX_IDLE = 64 };

struct EdgebertModel {
    Model model;
    const Kernel *kernel;
    MappedFile file;
    int threads;
    Lock lock; /* protects `idle` */
    Team *team;
    Workspace *idle[MAX_IDLE];
    int idle_count;
};

static _Thread_local char last_error[512];

const char *edgebert_last_error(void) { return last_error; }

__attribute__((format(printf, 1, 2))) static int failed(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return -1;
}

EdgebertModel *edgebert_open_with(const char *path, int32_t threads, const char *kernel) {
    if (threads < 1 || threads > MAX_THREADS) return failed("%d threads; give 1 to %d", threads, MAX_THREADS), NULL;
    const Kernel *found = find_kernel(kernel);
    if (!found) return failed("there is no kernel %s that this processor runs", kernel), NULL;
    EdgebertModel *m = calloc(1, sizeof *m);
    if (!m) return failed("too little memory"), NULL;
    lock_init(&m->lock);
    m->kernel = found;
    m->threads = threads;
    char reason[256];
    const char *problem = map_file(path, &m->file);
    if (problem) {
        failed("%s: %s", path, problem);
        return edgebert_close(m), NULL;
    }
    if (read_model(m->file.data, m->file.size, &m->model, reason, sizeof reason)) {
        failed("%s: %s", path, reason);
        return edgebert_close(m), NULL;
    }
    for (int i = 0; i < m->model.matrix_count; i++)
        if (prepare_matrix(&m->model.matrices[i], found)) {
            failed("too little memory");
            return edgebert_close(m), NULL;
        }
    m->team = new_team(threads);
    return m;
}

EdgebertModel *edgebert_open(const char *path, int32_t threads) { return edgebert_open_with(path, threads, NULL); }

void edgebert_close(EdgebertModel *m) {
    if (!m) return;
    free_team(m->team);
    for (int i = 0; i < m->idle_count; i++) free_workspace(m->idle[i]);
    free_model(&m->model);
    unmap_file(&m->file);
    lock_free(&m->lock);
    free(m);
}

void edgebert_describe(const EdgebertModel *m, EdgebertInfo *info) {
    *info = (EdgebertInfo){.interface = EDGEBERT_CORE_INTERFACE, .vocabulary = m->model.embeddings.vocabulary,
                           .max_length = m->model.max_length, .segments = m->model.embeddings.segments,
                           .layers = m->model.layers, .width = m->model.hidden, .outputs = m->model.outputs,
                           .threads = m->threads, .kernel = m->kernel->name};
}

int edgebert_output(const EdgebertModel *m, int32_t number, EdgebertOutput *output) {
    if (number < 0 || number >= m->model.outputs) return failed("there is no output %d", number);
    const Output *found = &m->model.output[number];
    *output = (EdgebertOutput){.width = found->width, .per_token = found->poolings == 0, .scalar = found->scalar};
    return 0;
}

const char *edgebert_kernel_name(int32_t number) {
    for (int i = 0; kernels[i]; i++)
        if (kernels[i]->runs_here() && number-- == 0) return kernels[i]->name;
    return NULL;
}

static int check_batch(const EdgebertModel *m, const EdgebertBatch *batch) {
    if (batch->texts < 1 || !batch->ids || !batch->lengths) return failed("the batch holds no text");
    size_t tokens = 0;
    for (int i = 0; i < batch->texts; i++) {
        if (batch->lengths[i] < 1 || batch->lengths[i] > m->model.max_length)
            return failed("text %d has %d tokens; give 1 to %d", i + 1, batch->lengths[i], m->model.max_length);
        tokens += (size_t)batch->lengths[i];
    }
    const Embeddings *e = &m->model.embeddings;
    for (size_t i = 0; i < tokens; i++) {
        if (batch->ids[i] < 0 || batch->ids[i] >= e->vocabulary)
            return failed("token id %d is beyond the vocabulary of %d", batch->ids[i], e->vocabulary);
        if (batch->segments && e->segment && (batch->segments[i] < 0 || batch->segments[i] >= e->segments))
            return failed("segment %d; this model has %d", batch->segments[i], e->segments);
    }
    return 0;
}

static Workspace *borrow(EdgebertModel *m) {
    lock(&m->lock);
    Workspace *w = m->idle_count ? m->idle[--m->idle_count] : NULL;
    unlock(&m->lock);
    return w ? w : new_workspace();
}

static void give_back(EdgebertModel *m, Workspace *w) {
    lock(&m->lock);
    if (m->idle_count < MAX_IDLE) {
        m->idle[m->idle_count++] = w;
        w = NULL;
    }
    unlock(&m->lock);
    free_workspace(w);
}

int edgebert_run(EdgebertModel *m, const EdgebertBatch *batch, float *const *outputs) {
    if (check_batch(m, batch)) return -1;
    Workspace *w = borrow(m);
    if (!w) return failed("too little memory");
    int result = run_texts(&m->model, m->kernel, m->team, m->threads, w, batch, outputs);
    give_back(m, w);
    return result ? failed("too little memory for this batch") : 0;
}
