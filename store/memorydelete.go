package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Delete implements Deleter.
func (m *Memory) Delete(ctx context.Context, key feature.Key, d Deletion) (Commit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.tables[key]
	if old == nil {
		return Commit{}, fmt.Errorf("%w: %s", ErrNoTable, key)
	}
	next := *old
	next.files = nil
	commit := Commit{Version: old.version}
	for _, file := range old.files {
		left, gone, err := old.without(ctx, file, d)
		if err != nil {
			return Commit{}, fmt.Errorf("delete from %s: %w", key, err)
		}
		if gone > 0 && len(left.batches) > 0 {
			commit.Files++
		}
		if commit.Rows += gone; len(left.batches) > 0 {
			next.files = append(next.files, left)
		}
	}
	if commit.Rows == 0 {
		return commit, nil
	}
	commit.Version++
	next.version, next.removal, next.timestamp = commit.Version, commit.Version, time.Now().UTC()
	m.tables[key] = &next
	return commit, nil
}

// without returns a file without the rows of a deletion, and how many those are.
func (s *memorySnapshot) without(ctx context.Context, file memoryFile, d Deletion) (memoryFile, int64, error) {
	q := Query{Columns: d.Columns, Where: d.Where}
	to, err := q.Project(s.schema)
	if err != nil {
		return memoryFile{}, 0, err
	}
	left, gone := memoryFile{version: file.version, sortedBy: file.sortedBy}, int64(0)
	for _, rec := range file.batches {
		b, err := s.filter(ctx, rec, q, to)
		if err != nil {
			return memoryFile{}, 0, err
		}
		chosen, err := d.Choose(b.RecordBatch)
		if err != nil {
			return memoryFile{}, 0, err
		}
		stay := slices.Repeat([]bool{true}, int(rec.NumRows()))
		for i, goes := range chosen {
			if goes {
				stay[b.Ref(i).Row()] = false
				gone++
			}
		}
		if rec, err = Take(rec, positionsOf(stay)); err != nil {
			return memoryFile{}, 0, err
		}
		if rec.NumRows() > 0 {
			left.batches = append(left.batches, rec)
		}
	}
	return left, gone, nil
}

func positionsOf(set []bool) []int {
	var positions []int
	for i, ok := range set {
		if ok {
			positions = append(positions, i)
		}
	}
	return positions
}

// Choose reports for each row of a batch, for which the conditions of Where hold, whether it goes.
func (d Deletion) Choose(rec arrow.RecordBatch) ([]bool, error) {
	if d.Match == nil || rec.NumRows() == 0 {
		return slices.Repeat([]bool{true}, int(rec.NumRows())), nil
	}
	chosen, err := d.Match(rec)
	if err == nil && int64(len(chosen)) != rec.NumRows() {
		err = fmt.Errorf("the deletion chooses among %d rows of %d", len(chosen), rec.NumRows())
	}
	return chosen, err
}
