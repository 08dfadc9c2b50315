"""Rewriters of modules."""
