"""Commands of the CLI, one file each. They import torch only when they run."""
