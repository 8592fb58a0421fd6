#include "prepare.h"

int prepare_matrix(Matrix *matrix, const Kernel *kernel) {
    const Products *products = kernel->products;
    return products->prepare && matrix->weights ? products->prepare(matrix) : 0;
}

void release_matrix(Matrix *matrix) {
    if (matrix->release) matrix->release(matrix);
    matrix->release = 0;
}
