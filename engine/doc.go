// Package engine decides which samples of a feature have to be computed.
//
// A feature's table holds rows; the newest row of each id is a sample. Every sample carries two versions of each of its
// fields. The provenance says what the field was computed from: a hash of the field's code version and of the data
// versions of the parent fields it depends on. The data version says what the field is; it is the provenance unless
// whoever wrote the row knew better. A child's provenance is made of its parents' data versions:
//
//	video/full   id=1  data version  audio: a1        frames: f1
//	                                    |                |
//	speech       id=1  provenance    text: H("text|1|video/full.audio|a1")
//	thumbnails   id=1  provenance                     image: H("image|1|video/full.frames|f1")
//
// A new version of the frames thus makes the sample of thumbnails stale and leaves the one of speech alone.
//
// [Resolve] compares the provenance that every sample should have with the one that is stored and returns the
// [Increment]: new, stale and orphaned samples. [Seal] adds the system columns to computed rows, [Read] reads a table as it
// stands, [DataVersion] sums it up, [Explain] says why a sample is in an increment or is not. Nothing in this package
// writes (except private temporary files), or keeps a global.
//
// # Stages
//
// Resolve decides first and fetches later. It has two ways to decide, which decide alike. The keyed way (keyed.go) needs
// little memory, uses all processors and serves the features whose samples are identified by the columns that identify
// their parents' rows, which are most: sorted tables are merged (keyed_merge.go), others go through partitions
// (partitions.go). The plain way can relate rows by any columns; it holds what it reads in memory, and
// is what the tests compare the keyed way with. Each of its stages has a file, takes what the one before returned, and
// knows nothing of those after it:
//
//	plan        which columns to read, join and compare by, how versions come about; from specs and schemas alone
//	load        ids, needed field versions, times and what filters look at, all tables at the same time
//	conditions  which rows the filters leave out, decided batch by batch as they are read
//	latest      the newest row of each sample, by deletion or update time, then by place in the table
//	aggregate   the versions that the rows of a group share, for a parent that is aggregated (lineage N:1)
//	join        expected samples as tuples of rows, one of each parent: required parents first, then optional ones
//	diff        the provenance of each tuple against the stored one, in parts side by side
//
// What remains is the increment: for each sample a reference to a row of each parent. Its batches fetch the other columns
// and compute the versions again as they are read (frame). Samples given by the caller are a parent like any other, whose
// rows are in memory and whose versions are taken as they are.
//
// An aggregated parent keeps its rows, each of which is a sample of the child with the versions of its group. A feature
// that expands its parent (lineage 1:N) is expected once for each of the parent's rows and compared with all stored
// children of it: one that differs, or has no provenance, makes the parent's row stale.
package engine
