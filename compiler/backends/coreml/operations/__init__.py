"""The operations of ML Programs (MIL), in torch: a function each, whose parameters have the names of MIL's own."""
