/* EdgeBERT core: INT8 inference of BERT-like encoders on CPUs.
 *
 * A model is one file, `core.bin`, written by `edgebert export`. Open it, run batches of token ids, close it:
 *
 *     EdgebertModel *model = edgebert_open("bundle/core.bin", 1);
 *     if (!model) { fprintf(stderr, "%s\n", edgebert_last_error()); return 1; }
 *     int32_t ids[] = {101, 7592, 102}, lengths[] = {3};
 *     EdgebertBatch batch = {.ids = ids, .segments = NULL, .lengths = lengths, .texts = 1};
 *     float logits[2], *outputs[] = {logits};
 *     if (edgebert_run(model, &batch, outputs)) fprintf(stderr, "%s\n", edgebert_last_error());
 *     edgebert_close(model);
 *
 * A batch is ragged: the token ids of all texts follow one another, without padding. The answer for a text does
 * not depend on other texts, on their order or on the number of threads. Threads may share a model.
 */
#ifndef EDGEBERT_CORE_H
#define EDGEBERT_CORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(EDGEBERT_CORE_BUILD)
#define EDGEBERT_API __declspec(dllexport)
#elif defined(_WIN32)
#define EDGEBERT_API __declspec(dllimport)
#else
#define EDGEBERT_API __attribute__((visibility("default")))
#endif

/* Version of this interface. It changes when callers must change. */
#define EDGEBERT_CORE_INTERFACE 1

typedef struct EdgebertModel EdgebertModel;

/* Sizes of a model's inputs and outputs. */
typedef struct EdgebertInfo {
    int32_t interface;  /* EDGEBERT_CORE_INTERFACE of the library */
    int32_t vocabulary; /* token ids are 0 to vocabulary - 1 */
    int32_t max_length; /* largest number of tokens in a text */
    int32_t segments;   /* segment ids are 0 to segments - 1; 1 means that segments are ignored */
    int32_t layers;     /* encoder layers */
    int32_t width;      /* width of a token's vector between layers */
    int32_t outputs;    /* number of outputs of `edgebert_run` */
    int32_t threads;    /* largest number of threads in one run */
    const char *kernel; /* name of the kernel in use, see `edgebert_kernel_name` */
} EdgebertInfo;

/* One output of a model. */
typedef struct EdgebertOutput {
    int32_t width;     /* numbers per row */
    int32_t per_token; /* 1: one row per token of the batch; 0: one row per text */
    int32_t scalar;    /* 1: a row is a single number, not a vector of length 1 */
} EdgebertOutput;

/* Texts as token ids, one after another. */
typedef struct EdgebertBatch {
    const int32_t *ids;      /* the ids of all texts; their number is the sum of `lengths` */
    const int32_t *segments; /* one segment per id; NULL: all are 0 */
    const int32_t *lengths;  /* tokens of every text, 1 to max_length */
    int32_t texts;           /* number of texts, at least 1 */
} EdgebertBatch;

/* Open a model file. The file is mapped read-only; it must not change while the model is open.
 *
 * path: UTF-8 on Windows; elsewhere in the system's encoding.
 * threads: threads of one run, 1 to 256.
 * Returns NULL if the file cannot be used; `edgebert_last_error` says why.
 */
EDGEBERT_API EdgebertModel *edgebert_open(const char *path, int32_t threads);

/* Open a model file and run it with the named kernel, for tests and comparisons. NULL: the fastest kernel. */
EDGEBERT_API EdgebertModel *edgebert_open_with(const char *path, int32_t threads, const char *kernel);

/* Describe an open model. */
EDGEBERT_API void edgebert_describe(const EdgebertModel *model, EdgebertInfo *info);

/* Describe one output; returns 0, or -1 if there is no output with this number. */
EDGEBERT_API int edgebert_output(const EdgebertModel *model, int32_t number, EdgebertOutput *output);

/* Run a batch. `outputs` has one pointer per output, to memory for all its rows: one row per token of the batch, or one
 * row per text (see EdgebertOutput).
 *
 * Returns 0, or -1 if a token id, a segment or a length is out of range, or if there is too little memory. After -1 the
 * contents of `outputs` are undefined. An output contains NaN if the model's weights lead to NaN.
 */
EDGEBERT_API int edgebert_run(EdgebertModel *model, const EdgebertBatch *batch, float *const *outputs);

/* Close a model. No run may be in progress. NULL is allowed. */
EDGEBERT_API void edgebert_close(EdgebertModel *model);

/* The order in which the AVX2 kernel sums a matrix: the tables of a model file, see core/src/runs.h. A model file
 * without these tables opens too. The library then makes them, which takes one second for 60 million weights. */
typedef struct EdgebertRuns {
    int32_t most;           /* largest quantized activation for which the sums cannot overflow */
    int32_t blocks;         /* outputs / 16, rounded up */
    uint32_t entries, groups;
    const uint32_t *block;  /* [blocks][4] */
    const uint16_t *order;  /* [entries] */
    const int8_t *offsets;  /* [groups][32] */
    const int32_t *start;   /* [blocks][16] */
} EdgebertRuns;

/* Make the tables of a matrix for a model file. This works on every processor.
 *
 * weights: as in the file, [outputs / 16][inputs / 4][16][4], both rounded up, padded with zeros.
 * inputs: 1 to 65536. most: largest quantized activation, 255 or 127.
 * Returns NULL if a number is out of range, or there is too little memory. Free the result with `edgebert_free_runs`.
 */
EDGEBERT_API EdgebertRuns *edgebert_make_runs(const int8_t *weights, int32_t inputs, int32_t outputs, int32_t most);

/* Free the tables of `edgebert_make_runs`. NULL is allowed. */
EDGEBERT_API void edgebert_free_runs(EdgebertRuns *runs);

/* Error message of this thread's last failed call; never NULL. */
EDGEBERT_API const char *edgebert_last_error(void);

/* Name of a kernel that this processor can run, for example "avx512-vnni". Number 0 is the fastest kernel. Slower
 * kernels follow; the last one is "portable". Returns NULL for larger numbers. */
EDGEBERT_API const char *edgebert_kernel_name(int32_t number);

#ifdef __cplusplus
}
#endif
#endif
