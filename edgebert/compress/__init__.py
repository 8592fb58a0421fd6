"""Workstation half: data, training, distillation, pruning, quantization. Needs the `export` extra."""

import logging

# On import, torchao (a dependency of neural-compressor) warns about GPU kernels that a CPU build never has.
logging.getLogger("torchao").setLevel(logging.ERROR)
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
