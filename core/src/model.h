/* An encoder with its heads, read from a model file. */
#ifndef MODEL_H
#define MODEL_H

#include "kernel.h"
#include "team.h"

#include "../edgebert_core.h"

/* How the rows of a text are reduced to one row. The model file uses these numbers. */
typedef enum Pooling { POOL_FIRST, POOL_MEAN, POOL_MAX, POOL_ROOT, POOL_RISING, POOL_LAST, POOLINGS } Pooling;

/* Operations of a head on a row after pooling. The model file uses these numbers. */
typedef enum StepKind { STEP_PRODUCT, STEP_NORM, STEP_UNIT, STEP_CUT, STEP_ACTIVATE, STEPS } StepKind;

typedef struct Step {
    StepKind kind;
    const Matrix *matrix; /* STEP_PRODUCT */
    Activation activation;
    Norm norm; /* STEP_NORM */
    float eps;
    int width; /* of the result */
} Step;

enum { MAX_POOLINGS = 6, MAX_STEPS = 32, MAX_OUTPUTS = 8 };

typedef struct Output {
    int poolings; /* 0: one row per token */
    Pooling pooling[MAX_POOLINGS];
    int scalar; /* 1: a row is a single number */
    int steps;
    Step step[MAX_STEPS];
    int width;
} Output;

typedef struct Layer {
    int heads, head_width, part_width; /* part_width: columns in `qkv` for each of queries, keys and values */
    Activation activation;
    const Matrix *qkv, *attention_output, *ffn_in, *ffn_out;
    Norm attention_norm, ffn_norm;
} Layer;

typedef struct Embeddings {
    int vocabulary, word_width, width, positions, segments;
    int padding_id; /* this id does not count in positions; -1: every id counts */
    const int8_t *words8;
    const float *words32, *word_scale, *position, *segment;
    const Matrix *widen;   /* of a low-rank word table: from word_width to width; NULL: none */
    const Matrix *project; /* after the norm: from width to the encoder's width; NULL: none */
    Norm norm;
} Embeddings;

typedef struct Model {
    int hidden, max_length, layers, outputs;
    int first_row_only; /* the last layer is computed only for the first row of a text */
    int widest;         /* width of the widest row in any layer or head */
    float eps;
    Embeddings embeddings;
    Layer *layer;
    Output output[MAX_OUTPUTS];
    Matrix *matrices;
    int matrix_count;
} Model;

/* Read a model from a file in memory. Returns 0, or -1 with the reason in `error`. Every value of the description is
 * checked before it is used. The model points into the file. */
int read_model(const uint8_t *file, size_t size, Model *model, char *error, size_t error_size);
void free_model(Model *model);

/* Memory of one run. */
typedef struct Workspace Workspace;
Workspace *new_workspace(void);
void free_workspace(Workspace *workspace);

/* Run texts on at most `threads` threads of a team. The caller has checked the batch. `outputs` as in `edgebert_run`.
 * Returns 0, or -1 if there is too little memory. */
int run_texts(const Model *model, const Kernel *kernel, Team *team, int threads, Workspace *workspace,
              const EdgebertBatch *batch, float *const *outputs);

#endif
