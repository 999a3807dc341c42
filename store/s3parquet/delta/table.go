// Package delta reads and writes the log of a Delta Lake table: which Parquet files hold the table's rows, and what
// its columns are.
//
// # The order of files
//
// A snapshot's files come in the order in which commits added them, and within a commit in the order of its lines.
// Of two rows with equal times the one in the later file counts, so the order must survive a checkpoint, which is
// where readers begin once the first commits have been cleaned up. The checkpoints written here hold their add rows
// in commit order and say so in the Parquet footer. A checkpoint of another writer says nothing about the order: its
// files are taken in the order of their modification times, then of their names. Therefore a file committed here
// always gets a modification time greater than that of any file before it, whatever the clocks of the machines say.
//
// A commit may write rows anew into other files, to leave some out or to have fewer files. A file of such a commit takes
// the place (and the modification time) of one that it removes: its add action names that one in the tag
// metaxy.replaces. So rows that stay in a table stay in their order, and those of a file that takes the place of one of
// several must have been neighbours in it, or have been brought into the order of the files by whoever merged them.
package delta

import (
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A Table is a Delta table in a folder of a bucket. It is safe for concurrent use.
type Table struct {
	Bucket  bucket.Bucket // required
	Path    string        // the table's folder, relative to the bucket; "" means the bucket itself
	Retries int           // attempts to win a commit; 0 means 20

	mu   sync.Mutex
	last *Snapshot // the newest that was read; nil before the first
}
