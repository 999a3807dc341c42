package columnar

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// leastGap is how many unneeded bytes a read takes along rather than being two reads, and mergeGap how many it does as
	// long as all of them are a gapShare of those that are needed.
	leastGap = 16 << 10
	mergeGap = 128 << 10
	gapShare = 4
	// mergeSize bounds the reads that are merged, so that several of them run at once.
	mergeSize = 8 << 20
	// maxReads bounds how many reads of one plan run at once.
	maxReads = 16
	// keptRead is how many bytes a scan or a fetch reads at most for its pages to be kept: some are likely to be fetched next.
	keptRead = 6 << 20
	// leastWindow bounds below what a column that does not fit the read-ahead is read in.
	leastWindow = 256 << 10
)

// A span is a range of the file's bytes.
type span struct{ off, end int64 }

// A block is a span that is read at most once, when it is asked for or ahead of that.
type block struct {
	span
	from *block // the larger block that this is a part of, or nil
	keep worth

	once sync.Once
	data []byte
	err  error
}

func (b *block) load(r *parts) ([]byte, error) {
	b.once.Do(func() {
		if b.from != nil {
			var all []byte
			if all, b.err = b.from.load(r); b.err == nil {
				b.data = all[b.off-b.from.off : b.end-b.from.off]
			}
			b.from = nil
			return
		}
		b.data, b.err = r.read(b.span, b.keep)
	})
	return b.data, b.err
}

// readAhead is the reads that nobody waits for yet.
type readAhead struct {
	running sync.WaitGroup
	stop    atomic.Bool
}

// begin reads blocks in the background. An error is kept for who asks for the block.
func (a *readAhead) begin(r *parts, blocks []*block) {
	for first := range min(len(blocks), maxReads) {
		a.running.Go(func() {
			for i := first; i < len(blocks) && !a.stop.Load(); i += maxReads {
				_, _ = blocks[i].load(r)
			}
		})
	}
}

// close waits until no read is running, and begins no other.
func (a *readAhead) close() {
	a.stop.Store(true)
	a.running.Wait()
}

// An input gives one leaf the bytes of its pages, which it asks for in ascending order.
type input struct {
	r      *parts
	blocks []*block // in ascending order; the first is the one in buf
	buf    []byte
	bufOff int64
	ahead  bool // read the next block while this one is in use
	reads  *readAhead
}

// at returns at least n bytes from off on, or fewer if the blocks have no more. They are valid until the next call.
func (in *input) at(off int64, n int) ([]byte, error) {
	for {
		end := in.bufOff + int64(len(in.buf))
		if off >= in.bufOff && off+int64(n) <= end && off < end {
			return in.buf[off-in.bufOff:], nil
		}
		for len(in.blocks) > 0 && in.blocks[0].end <= max(off, end) {
			in.blocks = in.blocks[1:]
		}
		var left []byte
		if off >= in.bufOff && off < end {
			left = in.buf[off-in.bufOff:]
		}
		if len(in.blocks) == 0 || in.blocks[0].off > off+int64(len(left)) {
			return left, nil
		}
		if err := in.advance(off, left); err != nil {
			return nil, err
		}
	}
}

// advance puts the first block that is left behind the bytes that are left.
func (in *input) advance(off int64, left []byte) error {
	next := in.blocks[0]
	if in.ahead && len(in.blocks) > 1 {
		following := in.blocks[1]
		in.reads.begin(in.r, []*block{following})
	}
	data, err := next.load(in.r)
	if err != nil {
		return err
	}
	in.blocks = in.blocks[1:]
	if len(left) == 0 {
		in.buf, in.bufOff = data, next.off
		return nil
	}
	in.buf, in.bufOff = slices.Concat(left, data[off+int64(len(left))-next.off:]), off
	return nil
}

// planInputs arranges the reading of the spans of several leaves. If they fit the budget they are merged into few
// reads, all of which begin at once, besides what is in memory; else each leaf reads a window at a time, and the next one ahead.
func planInputs(r *parts, leaves [][]span, budget int64, reads *readAhead) []*input {
	inputs := make([]*input, len(leaves))
	total := int64(0)
	for i, spans := range leaves {
		inputs[i] = &input{r: r, reads: reads}
		for _, s := range spans {
			total += s.end - s.off
		}
	}
	if total > budget {
		window := max(leastWindow, min(mergeSize, budget/int64(2*len(leaves))))
		for i, spans := range leaves {
			inputs[i].blocks, inputs[i].ahead = windows(spans, window), true
		}
		return inputs
	}
	var missing []span
	for i, spans := range leaves {
		for _, s := range spans {
			b := &block{span: s}
			if data, ok := r.known(s); ok {
				b.once.Do(func() { b.data = data })
			} else {
				missing = append(missing, s)
			}
			inputs[i].blocks = append(inputs[i].blocks, b)
		}
	}
	merged := mergeSpans(missing, mergeSize)
	if total <= keptRead {
		for _, b := range merged {
			b.keep = keepPages
		}
	}
	for _, in := range inputs {
		for _, b := range in.blocks {
			b.partOf(merged)
		}
	}
	if len(merged) > 1 {
		reads.begin(r, merged)
	}
	return inputs
}

// partOf has a block without bytes get them from that of the larger blocks that it lies in.
func (b *block) partOf(merged []*block) {
	if b.data != nil || b.off == b.end {
		return
	}
	i, _ := slices.BinarySearchFunc(merged, b.off, func(m *block, off int64) int {
		if m.end <= off {
			return -1
		}
		return 1
	})
	b.from = merged[i]
}

// mergeSpans joins spans between which little lies, up to a size.
func mergeSpans(spans []span, size int64) []*block {
	slices.SortFunc(spans, func(a, b span) int { return int(min(max(a.off-b.off, -1), 1)) })
	var merged []*block
	spare := int64(0) // how many unneeded bytes the last one may yet take along
	for _, s := range spans {
		if n := len(merged); n > 0 {
			last := merged[n-1]
			gap := max(0, s.off-last.end)
			near := gap <= leastGap || gap <= min(mergeGap, spare)
			if s.off < last.end || near && s.end-last.off <= size {
				spare += max(0, s.end-max(s.off, last.end))/gapShare - gap
				last.end = max(last.end, s.end)
				continue
			}
		}
		merged = append(merged, &block{span: s})
		spare = (s.end - s.off) / gapShare
	}
	return merged
}

// windows cuts spans into blocks of bounded size, and joins the small ones between which little lies.
func windows(spans []span, size int64) []*block {
	var cut []span
	for _, s := range spans {
		for ; s.end-s.off > size; s.off += size {
			cut = append(cut, span{s.off, s.off + size})
		}
		cut = append(cut, s)
	}
	return mergeSpans(cut, size)
}
