"""How fast decoding and training are, and what memory enlarging takes."""
