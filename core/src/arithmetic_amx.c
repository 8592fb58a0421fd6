#include "vectors_avx512.h"

#include "arithmetic.inc"

#include "packing_bf16.inc"

#include "attention_amx.inc"

const Arithmetic arithmetic_amx = {embed,     norm,       quantize,               product,
                                   product32, attend_amx, attention_scratch_bf16, activate};
