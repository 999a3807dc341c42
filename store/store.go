// Package store says what the engine and the runner need of the place where feature tables live.
//
// A table holds the rows of one feature, in Arrow batches. A [Snapshot] is an immutable view of one version of a table.
// Everything that decides (the engine) reads a snapshot; everything that acts appends. Rows are never changed; what they say
// is outdated by later rows, and only an explicit [Deletion] takes them away.
//
// Batches are ordinary garbage-collected Go memory: nobody has to Release one, and nobody may change one.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

var (
	// ErrNoTable reports that nothing was ever appended to a feature.
	ErrNoTable = errors.New("store: no such table")
	// ErrConflict reports a commit that lost to other writers in every attempt.
	ErrConflict = errors.New("store: commit conflict")
	// ErrSchema reports rows that do not fit the columns of their table.
	ErrSchema = errors.New("store: schema mismatch")
	// ErrCorrupt reports a table whose files cannot be read.
	ErrCorrupt = errors.New("store: corrupt table")
	// ErrUnsupported reports a table that needs a reader or writer feature that is not there.
	ErrUnsupported = errors.New("store: unsupported table")
)

// A Store is a place where feature tables live. It is safe for concurrent use.
type Store interface {
	Reader
	Appender
	Deleter
	io.Closer
}

// A Reader opens feature tables.
type Reader interface {
	// Snapshot returns the newest version of the feature's table, or an error wrapping ErrNoTable.
	Snapshot(ctx context.Context, key feature.Key) (Snapshot, error)
}

// An Appender adds rows to feature tables.
type Appender interface {
	// Append makes the rows of w visible to readers all at once, or not at all. It creates the table when there is
	// none and adds columns (and members of struct columns) that the table does not have yet. Rows that cannot be
	// brought to the table's column types without loss give an error wrapping ErrSchema. Without any row (and marks)
	// it commits nothing and returns the current version (-1 if there is no table). With w.Expect it never retries: a table that
	// has moved gives an error wrapping ErrConflict.
	Append(ctx context.Context, key feature.Key, w Write) (Commit, error)
}

// A Deleter takes rows out of feature tables.
type Deleter interface {
	// Delete takes the rows that d chooses out of the newest version of the feature's table, all at once or not at all.
	// The other rows keep their order and their place before whatever is appended later; snapshots taken before still
	// have all rows. Rows that other writers commit while it runs are looked at too: after the commit that it returns, no
	// row is left that d chooses. If there is none, nothing is committed and the current version returned. Without a
	// table, it returns an error wrapping ErrNoTable; when others win in every attempt, one wrapping ErrConflict.
	Delete(ctx context.Context, key feature.Key, d Deletion) (Commit, error)
}

// A Snapshot is one version of a table. It is immutable and safe for concurrent use.
type Snapshot interface {
	// Version is the number of the commit that made this snapshot, counted from 0.
	Version() int64
	// Timestamp is when that commit was made.
	Timestamp() time.Time
	// URI is where the table lives, without credentials.
	URI() string
	// Schema is the table's columns in order.
	Schema() *arrow.Schema
	// Properties are the table's own key-value settings; see Write.Properties.
	Properties() map[string]string
	// Marks are the newest values of Write.Marks; empty if there were none.
	Marks() map[string]int64
	// LastRemoval is the newest version that took rows out of the table, -1 if none did. Where the log does not tell, it
	// is a version that is no earlier. Whoever knows all rows of a version before it knows rows that may be gone.
	LastRemoval() int64
	// State identifies the rows of the snapshot and of how many files they are.
	State() State
	// Since reports whether the snapshot has all the rows of an older state, in the same order, and which of its files may
	// have more than these, as ordinals in ascending order. The version, which had that state, says where in the log to
	// look when files were merged since; -1 says that it is not known. It is false when it cannot be told.
	Since(ctx context.Context, older State, version int64) (added []int, ok bool)
	// RowsHint is about how many rows the table's files hold, for a reader to make room; 0 if it is not known.
	RowsHint() int64
	// BytesHint is about how many bytes these files have, for a reader not to take too many rows at once; 0 if it is not
	// known.
	BytesHint() int64
	// Scan yields the rows that match q, file by file in commit order and row by row in file order. Iteration ends
	// after the first error.
	Scan(ctx context.Context, q Query) iter.Seq2[Batch, error]
	// Fetch returns the given rows, in the given order, with the given columns (nil means all). A row may be asked
	// for more than once.
	Fetch(ctx context.Context, rows []RowRef, columns []string) (arrow.RecordBatch, error)
}

// A State identifies what a table holds, without what is recorded beside the rows. Two snapshots of one state have the
// same rows at the same places under the same schema; the reverse need not hold.
type State struct {
	Files int    // how many files there are
	Hash  uint64 // of their names in order, and of the schema; it is below 2^63, so that a mark can keep it
}

// A RowRef names a physical row of one snapshot: the ordinal of its file in commit order in the upper 32 bits, the
// row's position in the file in the lower 32. Of two rows with equal timestamps the one with the greater RowRef is
// the later one.
type RowRef uint64

// MakeRowRef returns the reference to a row of a file.
func MakeRowRef(file, row uint32) RowRef { return RowRef(file)<<32 | RowRef(row) }

// File is the ordinal of the row's file.
func (r RowRef) File() uint32 { return uint32(r >> 32) }

// Row is the row's position in its file.
func (r RowRef) Row() uint32 { return uint32(r) }

// A Batch is a run of rows of one file.
type Batch struct {
	arrow.RecordBatch
	// File is the ordinal of the file that the rows come from.
	File uint32
	// First is the position in the file of the first row, when the rows are consecutive (Rows is nil).
	First uint32
	// Rows are the positions in the file of each row, ascending, when a filter left some out.
	Rows []uint32
}

// Ref returns the reference to row i of the batch.
func (b Batch) Ref(i int) RowRef {
	if b.Rows != nil {
		return MakeRowRef(b.File, b.Rows[i])
	}
	return MakeRowRef(b.File, b.First+uint32(i))
}

// A Query narrows a Scan.
type Query struct {
	// Columns are the top-level columns to return, in this order; nil means all. A column that the table does not
	// have is an error wrapping ErrSchema.
	Columns []string
	// Members narrows struct columns to the named members, in this order. A member that the table's column does not
	// have comes as nulls. A map column comes whole.
	Members map[string][]string
	// Where keeps the rows for which all conditions hold; exactly these rows are returned. The columns need not be
	// among Columns.
	Where []Equal
	// After allows to leave out rows that the table had at this version already, so that a reader who knows those need
	// not see them again. It is a hint: a store may return more, never fewer, of the rows that were added later. Nil
	// leaves nothing out.
	After *int64
	// Files are the ordinals of the files to read, in ascending order; see Snapshot.Since. Nil means all.
	Files []int
	// Within allows to leave out rows whose value of a column lies in none of its ranges. It is a hint: a store may return
	// more. A column that the table does not have, or of another type, leaves nothing out. Nil leaves nothing out.
	Within *Within
	// ReadAhead is about how many bytes of its files a scan may hold at a time; 0 leaves it to the store. It is a hint.
	ReadAhead int64
}

// HasFile reports whether the query is of that file too.
func (q *Query) HasFile(ordinal int) bool {
	if q.Files == nil {
		return true
	}
	_, ok := slices.BinarySearch(q.Files, ordinal)
	return ok
}

// FilesFrom are the ordinals from one file on, of so many files, as Snapshot.Since returns them.
func FilesFrom(first, files int) []int {
	var out []int
	for i := first; i < files; i++ {
		out = append(out, i)
	}
	return out
}

// Equal holds for rows whose string column has exactly this value; null has none.
type Equal struct {
	Column string
	Value  string
}

// A Write is rows to append to a table.
type Write struct {
	// Rows yields batches; all must have one schema. They are read once. Nil yields none.
	Rows iter.Seq2[arrow.RecordBatch, error]
	// SortedBy declares that the rows come in ascending order of these columns (strings by bytes, integers by
	// value, nulls first); nil declares nothing.
	SortedBy []string
	// Expect is the version of the table that the rows were made for (-1: no table yet). A table that has moved since
	// gives an error wrapping ErrConflict at once, without a retry; nil takes whatever version there is.
	Expect *int64
	// Properties become the table's own settings when this write creates the table, and are ignored otherwise.
	Properties map[string]string
	// Marks are named numbers that the table keeps from this commit on, beside those of other names. A table that exists
	// takes them without rows too. In Delta they are transaction identifiers. Nil changes none.
	Marks map[string]int64
	// Info is recorded with the commit, for people who read the table's history.
	Info map[string]string
}

// A Deletion chooses rows to take out of a table.
type Deletion struct {
	// Where chooses the rows for which all conditions hold, as Query.Where does; nil chooses all.
	Where []Equal
	// Columns are the columns that Match sees; nil means all. One that the table does not have is an error wrapping ErrSchema.
	Columns []string
	// Match chooses among the rows of Where: it returns for each row of a batch whether it goes. It may be called several
	// times for one row, and by several goroutines. Nil chooses all.
	Match func(arrow.RecordBatch) ([]bool, error)
	// Predicate says in words which rows go, for people who read the table's history.
	Predicate string
	// Info is recorded with the commit, like Write.Info.
	Info map[string]string
}

// A Commit identifies what an Append or a Delete did.
type Commit struct {
	Version int64 // the table's version that holds the rows, or has lost them
	Rows    int64 // that were appended or taken out
	Files   int   // that were written
	Bytes   int64 // of these files
}
