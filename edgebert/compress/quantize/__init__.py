"""INT8: dynamic by ONNX Runtime, static by neural-compressor, OpenVINO by nncf, embeddings by ourselves."""
