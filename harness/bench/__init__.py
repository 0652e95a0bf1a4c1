"""How fast training is, against the plain way."""
