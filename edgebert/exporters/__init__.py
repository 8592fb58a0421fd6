"""Workstation half: ONNX and OpenVINO export, graph rewrites, parity check. Needs the `export` extra."""
