"""What this machine has, can do and lacks: the verb `doctor`."""
