"""ONNX graphs, and the runtime that says what they compute."""
