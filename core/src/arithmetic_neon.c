#include "vectors_neon.h"

#include "arithmetic.inc"

const Arithmetic arithmetic_neon = ARITHMETIC;
