"""Device half: tokenise, run, read the head. Needs numpy, onnxruntime and tokenizers; openvino where chosen."""
