"""A forward model of a cryo-EM exposure: specimen, ice, optics, detector."""
