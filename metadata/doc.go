// Package metadata writes, deletes, rebases and copies the rows of a feature outside of a run, with the rules of Metaxy's metadata
// store. (The rows are what Metaxy calls a feature's metadata.)
//
// What decides is package engine: which system columns a row gets, which rows a filter chooses, which provenance a row
// has under another version of its feature. This package reads a version of the table, has that decided, and commits the
// outcome to exactly that version, again if another writer was faster.
package metadata
