package engine

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// none stands for no row of a table.
const none = ^uint32(0)

// Tuples are the expected samples: an entry of each source, or none, for each of them.
type tuples struct {
	width   int
	entries []uint32
}

func (t *tuples) len() int { return len(t.entries) / t.width }

func (t *tuples) at(i int) []uint32 { return t.entries[i*t.width : (i+1)*t.width] }

// joinSources relates the rows of the sources. Required parents are joined first, and a sample needs a row of each;
// optional ones add to it what they have. If all are optional, any of them makes a sample. A null key relates to
// nothing.
func (p *plan) joinSources(ctx context.Context, tables []*table) (*tuples, error) {
	if len(p.order) == 0 {
		return &tuples{width: len(tables)}, nil
	}
	out := p.firstTuples(tables)
	for n, s := range p.order[1:] {
		next := joinStep{plan: p, tables: tables, left: out, joined: p.order[:n+1], right: s}
		var err error
		if out, err = next.run(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// firstTuples are the live rows of the source that is joined first.
func (p *plan) firstTuples(tables []*table) *tuples {
	first := p.order[0]
	out := &tuples{width: len(tables), entries: make([]uint32, 0, len(tables)*len(tables[first].rows))}
	for e, pos := range tables[first].rows {
		if pos.live() {
			out.entries = appendTuple(out.entries, out.width, nil, first, uint32(e))
		}
	}
	return out
}

// appendTuple adds a tuple with one entry more than base, which is nil for none at all.
func appendTuple(dst []uint32, width int, base []uint32, source int, entry uint32) []uint32 {
	start := len(dst)
	if base != nil {
		dst = append(dst, base...)
	} else {
		for range width {
			dst = append(dst, none)
		}
	}
	dst[start+source] = entry
	return dst
}

// A joinStep joins one more source to the tuples of those before.
type joinStep struct {
	plan    *plan
	tables  []*table
	left    *tuples
	joined  []int // the sources that left has
	right   int
	lookup  *lookup
	matched []atomic.Bool // entries of the right side; only for an outer join
}

func (s *joinStep) run(ctx context.Context) (*tuples, error) {
	optional := s.plan.sources[s.right].optional
	outer := optional && s.plan.sources[s.joined[0]].optional
	right := s.tables[s.right]
	var columns []int
	for _, k := range s.plan.join {
		columns = append(columns, k.keyIn(s.right))
	}
	s.lookup = right.lookupBy(columns)
	if outer {
		s.matched = make([]atomic.Bool, len(right.rows))
	}
	parts, err := inParts(ctx, s.left.len(), func(from, to int) []uint32 { return s.match(from, to, optional) })
	if err != nil {
		return nil, err
	}
	out := &tuples{width: s.left.width}
	for _, part := range parts {
		out.entries = append(out.entries, part...)
	}
	for e := range s.matched {
		if !s.matched[e].Load() && right.rows[e].live() {
			out.entries = appendTuple(out.entries, out.width, nil, s.right, uint32(e))
		}
	}
	return out, nil
}

// match joins a part of the left side. With keep, tuples without a match stay.
func (s *joinStep) match(from, to int, keep bool) []uint32 {
	out := make([]uint32, 0, (to-from)*s.left.width)
	key := tupleKey{tables: s.tables, columns: s.plan.join}
	key.findEach(s.left, from, to, s.lookup, func(i int, entry uint32, found bool) {
		tuple := s.left.at(i)
		if !found && keep {
			out = append(out, tuple...)
		}
		for found {
			out = appendTuple(out, s.left.width, tuple, s.right, entry)
			if s.matched != nil {
				s.matched[entry].Store(true)
			}
			entry, found = s.lookup.following(entry)
		}
	})
	return out
}

// keyIn is the number of the column among the keys of a source.
func (k *frameKey) keyIn(source int) int {
	for _, from := range k.from {
		if from.source == source {
			return from.key
		}
	}
	return -1
}

// minPart is how many rows are worth another goroutine.
const minPart = 4096

// inParts splits the numbers below n into as many parts as there are processors and returns what do makes of each, in
// order.
func inParts[T any](ctx context.Context, n int, do func(from, to int) T) ([]T, error) {
	parts := max(1, min(runtime.GOMAXPROCS(0), n/minPart))
	out := make([]T, parts)
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			out[i] = do(n/parts*i+min(i, n%parts), n/parts*(i+1)+min(i+1, n%parts))
			return nil
		})
	}
	return out, group.Wait()
}
