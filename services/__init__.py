"""One package per part of Botwatch; parts never import each other."""
