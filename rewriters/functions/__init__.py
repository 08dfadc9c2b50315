"""Rewriters of torch functions."""
