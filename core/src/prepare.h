/* Tables that a kernel needs besides the file, made when a model is opened. */
#ifndef PREPARE_H
#define PREPARE_H

#include "kernel.h"

extern const Products products_portable;

/* Make the kernel's tables of an INT8 matrix, if it has any. Returns 0, or -1: too little memory. */
int prepare_matrix(Matrix *matrix, const Kernel *kernel);
void release_matrix(Matrix *matrix);

#endif
