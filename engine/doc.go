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
// [Increment]: new, stale and orphaned samples. It reads only what decides; the increment fetches the other columns when
// they are asked for. [Seal] adds the system columns to computed rows. Nothing in this package writes, looks at a clock
// or keeps a global.
package engine
