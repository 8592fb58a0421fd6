/* Classify texts with the native core of EdgeBERT. Needs only this file, edgebert_core.h and the library.
 *
 *     classify [--raw] MODEL IDS [THREADS]
 *
 * IDS has one text per line: its token ids, including [CLS] and [SEP], separated by spaces. The output has one line per
 * text: the number of its class and the probability. With --raw the output has all rows of the model's outputs, one per
 * line. Use this also for models with vectors or with an answer per token.
 */
#include "edgebert_core.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array of numbers that grows while a file is read. */
typedef struct Numbers { int32_t *at; size_t count, room; } Numbers;

static void append(Numbers *numbers, int32_t number) {
    if (numbers->count == numbers->room) {
        numbers->room = numbers->room ? 2 * numbers->room : 1024;
        numbers->at = realloc(numbers->at, numbers->room * sizeof *numbers->at);
        if (!numbers->at) {
            fprintf(stderr, "classify: too little memory\n");
            exit(1);
        }
    }
    numbers->at[numbers->count++] = number;
}

/* Read one token id. Returns 0, or -1 if it is not a number. */
static int read_id(const char *word, Numbers *ids) {
    char *end;
    errno = 0;
    long id = strtol(word, &end, 10);
    if (*end || errno || id < 0 || id > INT32_MAX) return -1;
    append(ids, (int32_t)id);
    return 0;
}

/* Read the token ids of all lines; `lengths` gets the number of ids in each line. Returns 0, or the number of the first
 * wrong line, counted from 1. */
static size_t read_texts(FILE *file, Numbers *ids, Numbers *lengths) {
    char word[16];
    size_t letters = 0, before = 0;
    int c, started = 0;
    do {
        c = fgetc(file);
        if (c != EOF && c != '\n' && c != ' ' && c != '\t' && c != '\r') {
            if (letters == sizeof word - 1) return lengths->count + 1;
            word[letters++] = (char)c;
            started = 1;
            continue;
        }
        word[letters] = '\0';
        if (letters && read_id(word, ids)) return lengths->count + 1;
        letters = 0;
        if (c == '\n' || (c == EOF && started)) {
            append(lengths, (int32_t)(ids->count - before));
            before = ids->count;
            started = 0;
        }
    } while (c != EOF);
    return 0;
}

static void print_class(const float *logits, int width) {
    int best = 0;
    double sum = 0;
    for (int i = 1; i < width; i++)
        if (logits[i] > logits[best]) best = i;
    for (int i = 0; i < width; i++) sum += exp((double)logits[i] - (double)logits[best]);
    printf("%d %.4f\n", best, 1 / sum);
}

static void print_rows(const float *row, size_t rows, int width) {
    for (size_t i = 0; i < rows; i++, row += width)
        for (int k = 0; k < width; k++) printf("%.9g%c", (double)row[k], k + 1 < width ? ' ' : '\n');
}

/* Run all texts in one batch and print the outputs. */
static int answer(EdgebertModel *model, const EdgebertBatch *batch, size_t tokens, int raw) {
    EdgebertInfo info;
    edgebert_describe(model, &info);
    EdgebertOutput *output = calloc((size_t)info.outputs, sizeof *output);
    float **numbers = calloc((size_t)info.outputs, sizeof *numbers);
    int failed = !output || !numbers;
    for (int i = 0; i < info.outputs && !failed; i++) {
        edgebert_output(model, i, &output[i]);
        size_t rows = output[i].per_token ? tokens : (size_t)batch->texts;
        failed = !(numbers[i] = malloc(rows * (size_t)output[i].width * sizeof(float)));
    }
    if (failed) {
        fprintf(stderr, "classify: too little memory\n");
    } else if (!raw && output[0].per_token) {
        failed = 1;
        fprintf(stderr, "classify: this model answers for every token; give --raw\n");
    } else if (edgebert_run(model, batch, numbers)) {
        failed = 1;
        fprintf(stderr, "classify: %s\n", edgebert_last_error());
    } else if (raw) {
        for (int i = 0; i < info.outputs; i++)
            print_rows(numbers[i], output[i].per_token ? tokens : (size_t)batch->texts, output[i].width);
    } else {
        for (int i = 0; i < batch->texts; i++) print_class(numbers[0] + (size_t)i * (size_t)output[0].width, output[0].width);
    }
    for (int i = 0; i < info.outputs && numbers; i++) free(numbers[i]);
    free(numbers);
    free(output);
    return failed;
}

int main(int count, char **arguments) {
    int raw = count > 1 && !strcmp(arguments[1], "--raw");
    char **given = arguments + raw;
    if (count - raw < 3 || count - raw > 4) {
        fprintf(stderr, "usage: classify [--raw] MODEL IDS [THREADS]\n");
        return 2;
    }
    EdgebertModel *model = edgebert_open(given[1], count - raw == 4 ? atoi(given[3]) : 1);
    if (!model) {
        fprintf(stderr, "classify: %s\n", edgebert_last_error());
        return 1;
    }
    FILE *file = fopen(given[2], "r");
    Numbers ids = {NULL, 0, 0}, lengths = {NULL, 0, 0};
    int failed = 1;
    size_t wrong = file ? read_texts(file, &ids, &lengths) : 0;
    if (!file) {
        fprintf(stderr, "classify: %s: cannot be opened\n", given[2]);
    } else if (wrong) {
        fprintf(stderr, "classify: %s, line %zu: not token ids separated by spaces\n", given[2], wrong);
    } else {
        EdgebertBatch batch = {ids.at, NULL, lengths.at, (int32_t)lengths.count};
        failed = answer(model, &batch, ids.count, raw);
    }
    if (file) fclose(file);
    free(ids.at);
    free(lengths.at);
    edgebert_close(model);
    return failed;
}
