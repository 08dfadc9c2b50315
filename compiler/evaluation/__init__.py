"""How well bundles do on a data set."""
