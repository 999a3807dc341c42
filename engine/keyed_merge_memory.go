package engine

import (
	"context"
	"fmt"
)

const (
	// runBatches and fileBatches are about how many batches of a run, and of each of the filesAhead files of it that are read
	// ahead, take memory at a time: they are decoded, wait, or have rows that are in no window yet.
	runBatches  = 4
	fileBatches = 6
	filesAhead  = 4
	// runRoom is so much memory for a run that how large its rows are need not be known.
	runRoom = 32 << 20
)

// begin lets all runs be read, and takes their first pieces. Where memory is scarce, one run of each table first shows how large
// its rows are.
func (m *merge) begin(ctx context.Context, begin chan<- struct{}) error {
	scarce := m.limit > 0 && m.limit < int64(len(m.runs))*runRoom
	for _, r := range m.runs {
		if scarce && r.first {
			if err := r.readOn(ctx); err != nil {
				return err
			}
		}
	}
	if err := m.checkMemory(); err != nil {
		return err
	}
	close(begin)
	for _, r := range m.runs {
		if !scarce || !r.first {
			if err := r.readOn(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMemory gives up if the batches of all runs take about more than the memory, as large as those are that were read last.
func (m *merge) checkMemory() error {
	var bytes, size int64
	for _, r := range m.runs {
		if r.last != nil {
			size = r.last.bytes
		} else if r.first {
			size = 0
		}
		if !r.ended {
			bytes += size * int64(runBatches+fileBatches*min(filesAhead, len(r.files)))
		}
	}
	if m.limit > 0 && bytes > m.limit {
		return fmt.Errorf("%w: %d runs take %d bytes", errUnordered, len(m.runs), bytes)
	}
	return nil
}
