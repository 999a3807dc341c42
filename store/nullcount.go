package store

// A NullCounter is a snapshot that knows of some columns that they have no nulls, without looking at rows.
type NullCounter interface {
	Snapshot
	// NoNulls reports whether every row has a value in each of these members of a struct column. False also says that it is
	// not known.
	NoNulls(column string, members []string) bool
}
