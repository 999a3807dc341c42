package delta

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// A table says in its properties for how long others may need what it no longer is. What it says there in a way that is not
// understood here must not be taken for less: then everything is kept.

const (
	// fileRetention and logRetention are for how long removed files and the log are kept unless the table's properties say
	// otherwise, as in other implementations.
	fileRetention = 7 * 24 * time.Hour
	logRetention  = 30 * 24 * time.Hour
	// century is longer than any table is old.
	century = 100 * 365 * 24 * time.Hour
)

// retention is how long removed files are kept for readers of older versions.
func (s *Snapshot) retention() time.Duration {
	return s.duration("delta.deletedFileRetentionDuration", fileRetention)
}

// logKept is the time since which the table keeps its log.
func (s *Snapshot) logKept(now time.Time) time.Time {
	return now.Add(-s.duration("delta.logRetentionDuration", logRetention))
}

// keepsLog reports whether the table forbids to clean up its log.
func (s *Snapshot) keepsLog() bool {
	may, ok := s.MetaData.Configuration["delta.enableExpiredLogCleanup"]
	return ok && !strings.EqualFold(strings.TrimSpace(may), "true")
}

// duration reads a property of the table.
func (s *Snapshot) duration(property string, otherwise time.Duration) time.Duration {
	text, ok := s.MetaData.Configuration[property]
	if !ok {
		return otherwise
	}
	if d, ok := parseInterval(text); ok {
		return d
	}
	return century
}

// intervalUnits are those of Delta's intervals. Months and years have no fixed length, and Delta refuses them.
var intervalUnits = map[string]time.Duration{
	"nanosecond": time.Nanosecond, "microsecond": time.Microsecond, "millisecond": time.Millisecond, "second": time.Second,
	"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

// parseInterval reads a duration as Spark does ("interval 2 weeks 3 days", in letters of any case, the first word optional),
// at most century; false if it is another text.
func parseInterval(text string) (time.Duration, bool) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) > 0 && words[0] == "interval" {
		words = words[1:]
	}
	if len(words) == 0 || len(words)%2 != 0 {
		return 0, false
	}
	sum := time.Duration(0)
	for ; len(words) > 0; words = words[2:] {
		n, err := strconv.ParseUint(words[0], 10, 63)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, false
		}
		unit, ok := intervalUnits[strings.TrimSuffix(words[1], "s")]
		if !ok {
			return 0, false
		}
		if n > uint64((century-sum)/unit) {
			sum = century
		} else {
			sum += time.Duration(n) * unit
		}
	}
	return sum, true
}
