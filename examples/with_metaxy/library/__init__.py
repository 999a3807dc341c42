"""A small library of texts: a Metaxy project in which one step is written in Go."""
