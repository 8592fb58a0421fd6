#include "vectors_avx512.h"

#include "arithmetic.inc"

#include "packing_bf16.inc"

#include "attention_bf16.inc"

const Arithmetic arithmetic_avx512bf16 = {embed,     norm,        quantize,               product,
                                          product32, attend_bf16, attention_scratch_bf16, activate};
