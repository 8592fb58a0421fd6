#include "vectors_portable.h"

#include "arithmetic.inc"

const Arithmetic arithmetic_portable = ARITHMETIC;
