package cli

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strconv"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// A keeper is a store that keeps older versions of its tables.
type keeper interface {
	SnapshotAt(ctx context.Context, key feature.Key, version int64) (store.Snapshot, error)
	History(ctx context.Context, key feature.Key) iter.Seq2[delta.Entry, error]
}

// A moment is a version of a table, or a time. The zero value is now.
type moment struct {
	flag    string // that it was given by
	text    string
	version int64 // if time is zero
	time    time.Time
}

// timeForms are how a time may be written; without a zone it is UTC.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly,
}

// parseMoment reads VERSION|TIME, the value of a flag.
func parseMoment(flag, text string) (moment, error) {
	if text == "" {
		return moment{}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return moment{flag: flag, text: text, version: n}, nil
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return moment{flag: flag, text: text, time: t}, nil
		}
	}
	return moment{}, setupf("%s %q: expected the number of a version, or a time such as 2026-01-31 or "+
		"2026-01-31T12:00:00Z", flag, text)
}

// snapshot opens the table as it was then.
func (m moment) snapshot(ctx context.Context, st store.Store, key feature.Key) (store.Snapshot, error) {
	if m.text == "" {
		return st.Snapshot(ctx, key)
	}
	k, ok := store.Local(st).(keeper)
	if !ok {
		return nil, setupf("%s: this store has the newest version of each table only", m.flag)
	}
	version := m.version
	if !m.time.IsZero() {
		var err error
		if version, err = m.versionAt(ctx, k, key); err != nil {
			return nil, err
		}
	}
	snap, err := k.SnapshotAt(ctx, key, version)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, m.missing(ctx, st, key, err)
	}
	return snap, err
}

// missing says which versions there are instead.
func (m moment) missing(ctx context.Context, st store.Store, key feature.Key, err error) error {
	snap, newest := st.Snapshot(ctx, key)
	if newest != nil {
		return newest
	}
	if m.version <= snap.Version() {
		return setupf("%s %s: the log of %s does not go back so far: %w", m.flag, m.text, key, err)
	}
	return setupf("%s %s: the newest version of %s is %d", m.flag, m.text, key, snap.Version())
}

// versionAt is the newest version that was there at that time.
func (m moment) versionAt(ctx context.Context, k keeper, key feature.Key) (int64, error) {
	var oldest time.Time
	for entry, err := range k.History(ctx, key) {
		if err != nil {
			return 0, err
		}
		if !entry.Time.After(m.time) {
			return entry.Version, nil
		}
		oldest = entry.Time
	}
	return 0, setupf("%s: the log of %s begins after that, at %s", m.flag, key,
		oldest.UTC().Format("2006-01-02T15:04:05.000000Z"))
}
