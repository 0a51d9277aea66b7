"""The knowledge base: named causes and what to do about them, one module per area. Pure.

A cause's code and slug are stable (the catalogue's code, so that people can look it up); remedies stand beside it.
"""
