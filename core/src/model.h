/* An encoder with its heads, read from a model file. */
#ifndef MODEL_H
#define MODEL_H

#include "kernel.h"
#include "team.h"

#include "../edgebert_core.h"

/* How a text's rows become one row; the numbers are those in the file. */
typedef enum Pooling { POOL_FIRST, POOL_MEAN, POOL_MAX, POOL_ROOT, POOL_RISING, POOL_LAST, POOLINGS } Pooling;

/* Operations of a head on a row after pooling; the numbers are those in the file. */
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
    int poolings; /* 0: a row for every token */
    Pooling pooling[MAX_POOLINGS];
    int scalar; /* a row means one number */
    int steps;
    Step step[MAX_STEPS];
    int width;
} Output;

typedef struct Layer {
    int heads, head_width, part_width; /* part_width: columns of queries, of keys and of values in `qkv` */
    Activation activation;
    const Matrix *qkv, *attention_output, *ffn_in, *ffn_out;
    Norm attention_norm, ffn_norm;
} Layer;

typedef struct Embeddings {
    int vocabulary, word_width, width, positions, segments;
    int padding_id; /* positions skip this id; -1: no id is skipped */
    const int8_t *words8;
    const float *words32, *word_scale, *position, *segment;
    const Matrix *widen;   /* low-rank word table: from word_width to width; NULL: none */
    const Matrix *project; /* after the norm: from width to the encoder's; NULL: none */
    Norm norm;
} Embeddings;

typedef struct Model {
    int hidden, max_length, layers, outputs;
    int first_row_only; /* the last layer is computed only for the first row of a text */
    int widest;         /* width of the widest row in a layer or head */
    float eps;
    Embeddings embeddings;
    Layer *layer;
    Output output[MAX_OUTPUTS];
    Matrix *matrices;
    int matrix_count;
} Model;

/* Read a model from a file in memory. Returns 0, or -1 with the reason in `error`; nothing in the file is
 * trusted before it is checked. The model points into the file. */
int read_model(const uint8_t *file, size_t size, Model *model, char *error, size_t error_size);
void free_model(Model *model);

/* Memory of one run. */
typedef struct Workspace Workspace;
Workspace *new_workspace(void);
void free_workspace(Workspace *workspace);

/* Run texts whose ids are checked, on at most `threads` threads of a team. `outputs` as in `edgebert_run`. Returns 0, or
 * -1: too little memory. */
int run_texts(const Model *model, const Kernel *kernel, Team *team, int threads, Workspace *workspace,
              const EdgebertBatch *batch, float *const *outputs);

#endif
