package metaxy

import (
	"fmt"
	"strings"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Result is what became of one step. It is also what is reported to Dagster.
type Result struct {
	// Feature is what was computed.
	Feature feature.Key
	// New, Stale and Orphaned count the samples of the increment, those of other partitions and shards left out.
	New, Stale, Orphaned int64
	// Processed counts the samples whose rows are committed, Failed those that could not be computed.
	Processed, Failed int64
	// Elsewhere counts the samples that another run committed first, so that this one had nothing to add.
	Elsewhere int64
	// Deleted counts the rows that were soft-deleted.
	Deleted int64
	// Rows is the number of current samples in the table, and DataVersion changes exactly when they do, or those of the
	// run's partition if it has one. Both are zero if the step failed, and of a shard whose table nobody asks it for.
	Rows        int64
	DataVersion string
	// Storage is what the step has asked of the storage beneath the store; zero if the store does not count.
	Storage store.Usage
	// Failures are the first failed samples.
	Failures []Failure
	// Duration is how long the step took.
	Duration time.Duration
}

// Results are the results of several steps, in the order in which they ran.
type Results []Result

// Summary is the line that ends the output of a run: the sums over all steps.
func (rs Results) Summary() string {
	var sum Result
	for _, r := range rs {
		sum.New += r.New
		sum.Stale += r.Stale
		sum.Orphaned += r.Orphaned
		sum.Processed += r.Processed
		sum.Failed += r.Failed
	}
	return fmt.Sprintf("new=%d stale=%d orphaned=%d processed=%d failed=%d",
		sum.New, sum.Stale, sum.Orphaned, sum.Processed, sum.Failed)
}

// An IDValue is one id column's value of a sample, as JSON shows it.
type IDValue struct {
	Column string
	Value  any
}

// A Failure is a sample that could not be computed.
type Failure struct {
	// ID identifies the sample.
	ID []IDValue
	// Err is why, of the last attempt.
	Err error
}

// String is the sample's id and the first line of the error, shortened.
func (f Failure) String() string {
	msg, _, _ := strings.Cut(f.Err.Error(), "\n")
	return idString(f.ID) + ": " + shorten(msg, 300)
}

func idString(id []IDValue) string {
	parts := make([]string, len(id))
	for i, v := range id {
		if s, ok := v.Value.(string); ok {
			parts[i] = fmt.Sprintf("%s=%q", v.Column, shorten(s, 100))
		} else {
			parts[i] = fmt.Sprintf("%s=%v", v.Column, v.Value)
		}
	}
	return strings.Join(parts, " ")
}

// keptFailures is how many failures a result keeps, shownFailures how many an error's text shows.
const (
	keptFailures  = 100
	shownFailures = 5
)

// A SamplesError reports that more samples failed than were tolerated. The others are committed.
type SamplesError struct {
	// Feature is what was computed.
	Feature feature.Key
	// Processed and Failed count the samples that are committed and those that are not.
	Processed, Failed int64
	// Stopped says that the remaining samples were not tried any more.
	Stopped bool
	// Failures are the first failed samples.
	Failures []Failure
}

// Error gives the counts and the first failed samples.
func (e *SamplesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d samples failed, %d are committed", e.Feature, e.Failed, e.Processed)
	if e.Stopped {
		b.WriteString(", the others were not tried any more")
	}
	b.WriteString("; the next run tries them again")
	for i, f := range e.Failures {
		if i == shownFailures {
			break
		}
		fmt.Fprintf(&b, "\n  %s", f)
	}
	if more := e.Failed - int64(min(len(e.Failures), shownFailures)); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// Unwrap returns the first sample's error.
func (e *SamplesError) Unwrap() error {
	if len(e.Failures) == 0 {
		return nil
	}
	return e.Failures[0].Err
}

// shorten cuts a text to n bytes, at the border of a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
