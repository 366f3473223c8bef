"""Arrays in, arrays out: normalisation, tiles, noise."""
