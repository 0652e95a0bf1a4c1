"""Fast ways to the numbers of the plain path: grids, training queries, bands, counting."""
