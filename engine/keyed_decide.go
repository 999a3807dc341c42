package engine

import (
	"sync"

	"github.com/zeebo/xxh3"
)

// A keyedDecider decides about the samples of a partition at a time. It collects the newest row of each table for each
// key, and looks at what has come together.
type keyedDecider struct {
	*keyed

	slots   []uint32         // a hash table by keys: the number of a sample plus one; 0 is free
	samples []uint64         // sampleWords of each: the key, then place and digest of each table's newest row
	stride  int              // the words of a sample
	values  []uint64         // the versions that rows give: how many bytes, then these. A digest's place has where they begin
	buf     []uint64         // of a chunk that is read back
	window  window           // that the rows are in; nil for a partition
	out     *partitionWriter // where samples go to be compared with others; nil decides at once

	version *versioner // of samples that several tables make
	tuple   []uint64

	fresh, stale partWriter
	orphaned     markWriter
	unresolvable int64
}

func newKeyedDecider(k *keyed, found *keyedDecision) *keyedDecider {
	d := &keyedDecider{
		keyed: k, stride: 2 + 2*len(k.tables),
		version: newVersioner(&k.plan.versions, k.plan.hashing, nil), tuple: make([]uint64, len(k.plan.order)),
	}
	if found != nil {
		d.fresh, d.stale, d.orphaned = found.fresh.writer(), found.stale.writer(), markWriter{to: found.orphaned}
	}
	return d
}

// gather collects what the rows of one partition say.
func (d *keyedDecider) gather(number int) error {
	d.reset(d.partitions.parts[number].words / entryWords)
	return d.partitions.read(number, &d.buf, d.collect)
}

// partition decides about the samples of one partition.
func (d *keyedDecider) partition(number int) error {
	if err := d.gather(number); err != nil {
		return err
	}
	return d.decide()
}

// decide decides about the samples at hand.
func (d *keyedDecider) decide() error {
	for at := 0; at < len(d.samples); at += d.stride {
		if err := d.decideSample(d.samples[at : at+d.stride : at+d.stride]); err != nil {
			return err
		}
	}
	return nil
}

// reset makes room for the samples of at most so many entries, most of which have a second one.
func (d *keyedDecider) reset(entries int) {
	size := 16
	for size < entries {
		size *= 2
	}
	if cap(d.slots) < size {
		d.slots = make([]uint32, size)
	}
	d.slots = d.slots[:size]
	clear(d.slots)
	d.samples, d.values = d.samples[:0], d.values[:0]
}

// collect takes the entries of a chunk.
func (d *keyedDecider) collect(words []uint64) {
	carries := d.carries()
	for len(words) > 0 {
		p := place(words[2])
		n := entryWords
		values := carries && d.tables[p.table()].source >= 0
		if values {
			n += (int(words[3]) + 7) / 8
		}
		d.add(p, words[:n], values)
		words = words[n:]
	}
}

// add notes an entry, with values in place of a digest or without, if it is the newest of its table and key.
func (d *keyedDecider) add(p place, entry []uint64, values bool) {
	digest := d.newest(entry[0], entry[1], p)
	switch {
	case digest == nil:
	case values:
		*digest = uint64(len(d.values))
		d.values = append(d.values, entry[3:]...)
	default:
		*digest = entry[3]
	}
}

// newest notes a row of a key, and returns where its digest belongs; nil if a newer row of its table is known.
func (d *keyedDecider) newest(lo, hi uint64, p place) *uint64 {
	s := d.sample(lo, hi)
	t := p.table()
	have := &s[2+2*t]
	if was := place(*have); was != noPlace && !d.tables[t].newer(p, was) {
		return nil
	}
	*have = uint64(p)
	return &s[3+2*t]
}

// sample finds the sample of a key, or makes one.
func (d *keyedDecider) sample(lo, hi uint64) []uint64 {
	mask := uint64(len(d.slots) - 1)
	for slot := lo & mask; ; slot = (slot + 1) & mask {
		n := d.slots[slot]
		if n == 0 {
			return d.newSample(slot, lo, hi)
		}
		at := int(n-1) * d.stride
		if d.samples[at] == lo && d.samples[at+1] == hi {
			return d.samples[at : at+d.stride : at+d.stride]
		}
	}
}

func (d *keyedDecider) newSample(slot, lo, hi uint64) []uint64 {
	at := len(d.samples)
	count := at / d.stride
	if 4*count >= 3*len(d.slots) {
		d.grow()
		return d.sample(lo, hi)
	}
	d.slots[slot] = uint32(count + 1)
	d.samples = append(d.samples, lo, hi)
	for range d.tables {
		d.samples = append(d.samples, uint64(noPlace), 0)
	}
	return d.samples[at : at+d.stride : at+d.stride]
}

func (d *keyedDecider) grow() {
	d.slots = make([]uint32, 2*len(d.slots))
	mask := uint64(len(d.slots) - 1)
	for at := 0; at < len(d.samples); at += d.stride {
		slot := d.samples[at] & mask
		for d.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		d.slots[slot] = uint32(at/d.stride + 1)
	}
}

// row is the newest row of a table, and whether it is there and stands for something.
func row(sample []uint64, table int) (place, bool) {
	p := place(sample[2+2*table])
	return p, p != noPlace && p.live()
}

// decideSample decides about one key.
func (d *keyedDecider) decideSample(sample []uint64) error {
	var stored place
	found := false
	if d.target != nil {
		stored, found = row(sample, d.target.number)
	}
	if d.keyless(sample) {
		d.decideKeyless(sample)
	} else if d.expected(sample) {
		if d.out != nil {
			return d.pass(sample)
		}
		d.judge(sample, stored, found)
		return nil
	}
	if found {
		d.orphaned.set(stored.ordinal())
	}
	return nil
}

// pass passes an expected sample on, as an entry of its row of the first table.
func (d *keyedDecider) pass(sample []uint64) error {
	digest, complete := d.digest(sample)
	p := makePlace(0, d.tuple[0], 0)
	if !complete {
		p |= unversionedRow
	}
	words, err := d.out.room(sample[1], entryWords)
	if err != nil {
		return err
	}
	words[0], words[1], words[2], words[3] = sample[0], sample[1], uint64(p), digest
	d.fresh.to.partners.set(d.tuple)
	return nil
}

// keyless reports whether the key has a null, which relates to nothing.
func (d *keyedDecider) keyless(sample []uint64) bool {
	for t := range d.tables {
		if p := place(sample[2+2*t]); p != noPlace {
			return p&keylessRow != 0
		}
	}
	return false
}

// decideKeyless decides about rows that relate to nothing, each of which stands for itself.
func (d *keyedDecider) decideKeyless(sample []uint64) {
	alone := make([]uint64, len(sample))
	for t, number := range d.plan.order {
		if _, live := row(sample, t); !live {
			continue
		}
		copy(alone, sample)
		for other := range d.tables {
			if other != t {
				alone[2+2*other] = uint64(noPlace)
			}
		}
		// Beside required parents an optional one makes no sample.
		if d.plan.sources[number].optional == d.plan.sources[d.plan.order[0]].optional && d.expected(alone) {
			d.judge(alone, noPlace, false)
		}
	}
}

// expected reports whether a sample is expected, and puts the numbers of its rows into tuple. It needs a live row of each
// required parent; if there is none, of any.
func (d *keyedDecider) expected(sample []uint64) bool {
	any := false
	for t, number := range d.plan.order {
		p, live := row(sample, t)
		d.tuple[t] = noOrdinal
		switch {
		case live:
			d.tuple[t], any = p.ordinal(), true
		case !d.plan.sources[number].optional:
			return false
		}
	}
	return any
}

// judge decides about an expected sample by the rules of differ.judge.
func (d *keyedDecider) judge(sample []uint64, stored place, found bool) {
	digest, complete := d.digest(sample)
	switch {
	case !complete:
		d.unresolvable++
	case !found:
		d.fresh.add(d.tuple)
	case stored&(unversionedRow|flaggedRow) != 0 || sample[3+2*d.target.number] != digest:
		d.stale.add(d.tuple)
	}
}

// digest is that of the expected version, if there is one.
func (d *keyedDecider) digest(sample []uint64) (uint64, bool) {
	if d.single() {
		return sample[3], place(sample[2])&unversionedRow == 0
	}
	if d.nullsDecide {
		return 0, d.complete(sample)
	}
	for t, number := range d.plan.order {
		values := d.version.valuesOf(number, len(d.plan.sources[number].scan.members))
		if d.tuple[t] == noOrdinal {
			clear(values)
			continue
		}
		at := sample[3+2*t]
		if d.window != nil {
			d.window.versionsOf(at, number, d.version)
			continue
		}
		size := d.values[at]
		splitValues(values, wordBytes(d.values[at+1:])[:size])
	}
	version, complete := d.version.combine()
	return xxh3.HashSeed(version, d.seed), complete
}

// complete reports whether the expected sample has a version, of which only nulls are known.
func (d *keyedDecider) complete(sample []uint64) bool {
	for t, number := range d.plan.order {
		nulls := sample[3+2*t]
		if d.tuple[t] == noOrdinal {
			nulls = ^uint64(0)
		}
		if nulls != 0 && !d.version.complete(number, nulls) {
			return false
		}
	}
	return true
}

// A keyedDecision is what is known of all partitions that were decided about. Deciders add to it when they have seen all.
type keyedDecision struct {
	fresh, stale *keyedPart
	orphaned     *rowMarks

	mu           sync.Mutex
	unresolvable int64
}

func newKeyedDecision(k *keyed) *keyedDecision {
	sources := k.tables[:len(k.plan.order)]
	samples := newPartners(sources) // of all: no sample is new and stale
	part := func() *keyedPart { return &keyedPart{marks: newRowMarks(sources[0].count), partners: samples} }
	out := &keyedDecision{fresh: part(), stale: part()}
	if k.target != nil {
		out.orphaned = newRowMarks(k.target.count)
	}
	return out
}

// add adds what a decider has collected on its own.
func (f *keyedDecision) add(d *keyedDecider) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.fresh.finish()
	d.stale.finish()
	d.orphaned.flush()
	f.unresolvable += d.unresolvable
}
