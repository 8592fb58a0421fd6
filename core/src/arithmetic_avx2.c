#include "vectors_avx2.h"

#include "arithmetic.inc"

const Arithmetic arithmetic_avx2 = ARITHMETIC;
