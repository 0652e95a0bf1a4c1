"""Super-resolution networks as a whole: bicubic, fixed-scale, multi-scale and implicit ones."""
