/* Tables that a kernel needs and that the file does not have. They are made when a model is opened. */
#ifndef PREPARE_H
#define PREPARE_H

#include "kernel.h"

extern const Products products_portable;

/* Make the tables that the kernel needs for an INT8 matrix, if any. Returns 0, or -1 if there is too little memory. */
int prepare_matrix(Matrix *matrix, const Kernel *kernel);
void release_matrix(Matrix *matrix);

#endif
