"""Device half: tokenize, run, read the head. Needs numpy, onnxruntime and tokenizers; openvino if it is chosen."""
