"""Data sets: what is calibrated, evaluated and tuned on."""
