package engine

import (
	"bytes"
	"context"
	"sync/atomic"
)

// A decision says which expected samples are new and stale, by their numbers, and which entries of the target are
// orphaned.
type decision struct {
	fresh, stale []uint32
	orphaned     []uint32
	unresolvable int64
}

// decide compares the expected samples with the stored ones. Without a target every resolvable sample is new.
func (p *plan) decide(ctx context.Context, expected *tuples, tables []*table, target *table) (*decision, error) {
	d := &differ{plan: p, expected: expected, tables: tables, target: target}
	if target != nil {
		d.lookup = target.lookupBy(p.targetCompare)
		d.seen = make([]atomic.Bool, len(target.rows))
	}
	parts, err := inParts(ctx, expected.len(), d.compare)
	if err != nil {
		return nil, err
	}
	out := &decision{}
	for _, part := range parts {
		out.fresh = append(out.fresh, part.fresh...)
		out.stale = append(out.stale, part.stale...)
		out.unresolvable += part.unresolvable
	}
	for e := range d.seen {
		if !d.seen[e].Load() && target.rows[e].live() {
			out.orphaned = append(out.orphaned, uint32(e))
		}
	}
	return out, nil
}

type differ struct {
	plan     *plan
	expected *tuples
	tables   []*table
	target   *table // nil for none
	lookup   *lookup
	seen     []atomic.Bool // the target's entries that are expected
}

// The verdicts on one expected sample.
type verdict int

const (
	isNew verdict = iota
	isStale
	isCurrent
	isUnresolvable
)

// compare decides about a part of the expected samples.
func (d *differ) compare(from, to int) decision {
	var out decision
	v := newVersioner(&d.plan.versions, d.plan.hashing, d.tables)
	judge := func(i int, entry uint32, found bool) {
		switch d.judge(v, d.expected.at(i), entry, found) {
		case isNew:
			out.fresh = append(out.fresh, uint32(i))
		case isStale:
			out.stale = append(out.stale, uint32(i))
		case isUnresolvable:
			out.unresolvable++
		case isCurrent:
		}
	}
	if d.target == nil {
		for i := from; i < to; i++ {
			judge(i, none, false)
		}
		return out
	}
	key := tupleKey{tables: d.tables, columns: d.plan.compare}
	key.findEach(d.expected, from, to, d.lookup, judge)
	return out
}

// judge decides about one expected sample, for which this entry of the target was found or none, and marks the stored
// samples that it stands for.
//
// A sample that a parent gives no version is unresolvable, whatever is stored: there is nothing to compute it from. A
// given sample without a version is like any other as long as it is new; later there is no telling whether it
// changed.
func (d *differ) judge(v *versioner, tuple []uint32, entry uint32, found bool) verdict {
	version, complete := v.compute(tuple)
	out := isNew
	if found {
		out = isCurrent
	}
	for found {
		d.seen[entry].Store(true)
		stored, known := d.stored(entry)
		switch {
		case !known || complete && !bytes.Equal(stored, version) || d.flagged(entry):
			out = isStale
		case !complete && out == isCurrent:
			out = isUnresolvable
		}
		entry, found = d.lookup.following(entry)
	}
	if !complete && !d.plan.given() {
		return isUnresolvable
	}
	return out
}

// flagged reports whether a condition of staleness holds for the stored sample.
func (d *differ) flagged(entry uint32) bool {
	if len(d.plan.target.flags) == 0 {
		return false
	}
	p := d.target.rows[entry]
	return d.target.chunks[p.chunk()].flagged.isSet(p.row())
}

// stored is the stored sample's metaxy_provenance, and whether it has one.
func (d *differ) stored(entry uint32) ([]byte, bool) {
	p := d.target.rows[entry]
	c := &d.target.chunks[p.chunk()].texts[0]
	if c.isNull(p.row()) {
		return nil, false
	}
	if c.fixed == nil {
		return c.value(p.row()), true
	}
	return c.appendText(nil, p.row()), true
}
