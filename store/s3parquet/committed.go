package s3parquet

import (
	"fmt"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// checkCommitted refuses a file that cannot be the one that was committed, by what the log says of that one: its rows, its
// columns, and between what its texts lie. A file of another feature would show as one whose rows nobody asks for.
func checkCommitted(d *columnar.File, f *delta.File) error {
	stats := f.ParseStats()
	if rows := stats.NumRecords; rows != nil && *rows != d.NumRows() {
		return fmt.Errorf("%w: it has %d rows, and the log says %d: another file lies in its place", store.ErrCorrupt, d.NumRows(), *rows)
	}
	for _, column := range stats.Columns() {
		if !d.Schema().HasField(column) {
			return fmt.Errorf("%w: it has no column %q, of which the log knows values: another file lies in its place", store.ErrCorrupt, column)
		}
		low, high, ok := stats.TextBounds(column)
		if !ok {
			continue
		}
		if first, last, ok := d.TextBounds(column); ok && (beyond(first, high) || beyond(low, last)) {
			return fmt.Errorf("%w: its column %q has none of the values that the log knows: another file lies in its place", store.ErrCorrupt, column)
		}
	}
	return nil
}

// beyond reports whether a lower bound is above an upper one. Some writers cut an upper bound without raising it.
func beyond(low, high string) bool { return low > high && !strings.HasPrefix(low, high) }
