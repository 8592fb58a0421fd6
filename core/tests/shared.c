/* Several threads call one model, and each run has its own team of threads. ThreadSanitizer must find no data race, and
 * every answer must equal that of a single thread, bit for bit.
 *
 *     shared FILE... */
#include "../edgebert_core.h"
#include "../src/os_threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 4, THREADS = 3, TURNS = 12, TEXTS = 5, MAX_OUTPUTS = 8 };
static const int32_t LENGTHS[TEXTS] = {32, 7, 1, 25, 19};

typedef struct Answers {
    float *output[MAX_OUTPUTS];
    size_t bytes[MAX_OUTPUTS];
} Answers;

typedef struct Caller {
    EdgebertModel *model;
    const Answers *expected;
    int wrong;
} Caller;

static void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s (last error: %s)\n", what, edgebert_last_error());
    abort();
}

static Answers room_for(EdgebertModel *model, const EdgebertInfo *info, size_t tokens) {
    Answers a = {{NULL}, {0}};
    for (int i = 0; i < info->outputs; i++) {
        EdgebertOutput output;
        must(!edgebert_output(model, i, &output), "an output");
        a.bytes[i] = (output.per_token ? tokens : TEXTS) * (size_t)output.width * sizeof(float);
        a.output[i] = malloc(a.bytes[i]);
    }
    return a;
}

static Answers ask(EdgebertModel *model) {
    EdgebertInfo info;
    edgebert_describe(model, &info);
    size_t tokens = 0;
    for (int i = 0; i < TEXTS; i++) tokens += (size_t)LENGTHS[i];
    int32_t *ids = malloc(tokens * sizeof *ids);
    for (size_t i = 0; i < tokens; i++) ids[i] = (int32_t)(i * 7919 % (size_t)info.vocabulary);
    Answers a = room_for(model, &info, tokens);
    EdgebertBatch batch = {.ids = ids, .lengths = LENGTHS, .texts = TEXTS};
    must(!edgebert_run(model, &batch, a.output), "a batch was refused");
    free(ids);
    return a;
}

static void forget(Answers *a) {
    for (int i = 0; i < MAX_OUTPUTS; i++) free(a->output[i]);
}

static void call(void *argument) {
    Caller *caller = argument;
    for (int turn = 0; turn < TURNS; turn++) {
        Answers a = ask(caller->model);
        for (int i = 0; i < MAX_OUTPUTS && a.output[i]; i++)
            caller->wrong += memcmp(a.output[i], caller->expected->output[i], a.bytes[i]) != 0;
        forget(&a);
    }
}

static int share(const char *path, const char *kernel) {
    EdgebertModel *alone = edgebert_open_with(path, 1, kernel), *model = edgebert_open_with(path, THREADS, kernel);
    must(alone && model, path);
    Answers expected = ask(alone);
    Caller callers[CALLERS];
    Thread threads[CALLERS];
    int wrong = 0;
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (Caller){model, &expected, 0};
        must(!thread_start(&threads[i], call, &callers[i]), "no thread was started");
    }
    for (int i = 0; i < CALLERS; i++) {
        thread_join(&threads[i]);
        wrong += callers[i].wrong;
    }
    if (wrong) printf("%s, %s: %d answers differ\n", path, kernel, wrong);
    forget(&expected);
    edgebert_close(model);
    edgebert_close(alone);
    return wrong;
}

int main(int count, char **paths) {
    int wrong = 0;
    for (int i = 1; i < count; i++)
        for (int k = 0; edgebert_kernel_name(k); k++) wrong += share(paths[i], edgebert_kernel_name(k));
    return wrong != 0;
}
