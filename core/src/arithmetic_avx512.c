#include "vectors_avx512.h"

#include "arithmetic.inc"

const Arithmetic arithmetic_avx512 = ARITHMETIC;
