"""ncnn: what converts a traced Program with pnnx, and what runs the result."""
