package delta

import (
	"testing"
	"time"
)

// How long a table keeps what is old is read as Spark reads it; what it says otherwise keeps everything.
func TestRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"interval 30 days":                   30 * day,
		"interval 1 week":                    7 * day,
		"365 days":                           365 * day,
		"INTERVAL 365 DAYS":                  365 * day,
		" Interval  2 weeks\t3 Days 1 hour ": 17*day + time.Hour,
		"interval 0 seconds":                 0,
		"interval 500 milliseconds":          500 * time.Millisecond,
		"interval 7 microseconds":            7 * time.Microsecond,
		"interval 1 nanosecond":              1,
		"interval 99999999999999999999 days": century,
		"interval 90 years":                  century,
		"interval 36500 days 36500 days":     century,
		"interval 1 month":                   century,
		"interval 1.5 days":                  century,
		"interval -1 days":                   century,
		"interval days":                      century,
		"interval 1 week 3":                  century,
		"interval":                           century,
		"30d":                                century,
		"":                                   century,
	} {
		s := &Snapshot{MetaData: MetaData{Configuration: map[string]string{
			"delta.logRetentionDuration": text, "delta.deletedFileRetentionDuration": text}}}
		now := time.Now()
		if got := now.Sub(s.logKept(now)); got != want || s.retention() != want {
			t.Errorf("%q keeps the log for %s and files for %s, want %s", text, got, s.retention(), want)
		}
	}
	s := &Snapshot{}
	if now := time.Now(); now.Sub(s.logKept(now)) != 30*day || s.retention() != 7*day {
		t.Errorf("without a property the log is kept for %s and files for %s", now.Sub(s.logKept(now)), s.retention())
	}
}

// A log is cleaned up unless its table says anything but true.
func TestKeepsLog(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"true": false, "TRUE": false, " true ": false, "false": true, "False": true, "no": true, "": true} {
		s := &Snapshot{MetaData: MetaData{Configuration: map[string]string{"delta.enableExpiredLogCleanup": text}}}
		if s.keepsLog() != want {
			t.Errorf("%q keeps the log: %t", text, s.keepsLog())
		}
	}
	if (&Snapshot{}).keepsLog() {
		t.Error("without a property the log is kept")
	}
}
