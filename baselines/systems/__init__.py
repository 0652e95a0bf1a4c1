"""Whole networks: bicubic, implicit, of one or several scales. `SYSTEMS` in a file are found."""
