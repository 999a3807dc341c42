package metaxy

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// fetchRows is how many rows of the increment are taken at a time at most: as many as are read at a time, which is bounded
// by bytes too, so that rows which lie side by side need not be put together again.
const fetchRows = 64 << 10

// A span is consecutive rows of a batch of the increment.
type span struct {
	rows     arrow.RecordBatch
	from, to int
}

// A unit is a sample with all its rows.
type unit struct {
	sample
	to   int    // the first row of the increment's batch that does not follow the sample's first one
	more []span // the other rows; most samples have none
}

// size is about how many bytes the sample's rows have.
func (u *unit) size(mean *rowSize) int64 {
	n := int64(u.to-u.row) * mean.of(u.rows)
	for _, s := range u.more {
		n += int64(s.to-s.from) * mean.of(s.rows)
	}
	return n
}

// units yields the samples of an increment that belong to this run's partition and shard. All rows with one key make the
// sample of a feature that aggregates; else the first does.
func (j *job) units(ctx context.Context, inc *engine.Increment, st engine.Status, columns []string) iter.Seq2[unit, error] {
	if j.scattered[st] {
		return j.gathered(ctx, inc, st, columns)
	}
	return func(yield func(unit, error) bool) {
		var held unit // the sample whose rows may not be complete
		for r, err := range j.incrementRows(ctx, inc, st, columns) {
			switch {
			case err != nil:
				yield(unit{}, err)
				return
			case held.rows != nil && r.key == held.key:
				j.extend(&held, r)
			case held.rows != nil && !yield(held, nil):
				return
			default:
				held = r.unit(st)
			}
		}
		if held.rows != nil {
			yield(held, nil)
		}
	}
}

// gathered is units for an increment in which the rows of a sample lie apart. It holds all rows in memory.
func (j *job) gathered(ctx context.Context, inc *engine.Increment, st engine.Status, columns []string) iter.Seq2[unit, error] {
	return func(yield func(unit, error) bool) {
		var all []unit
		at := map[string]int{}
		for r, err := range j.incrementRows(ctx, inc, st, columns) {
			if err != nil {
				yield(unit{}, err)
				return
			}
			if i, ok := at[r.key]; ok {
				j.extend(&all[i], r)
				continue
			}
			at[r.key] = len(all)
			all = append(all, r.unit(st))
		}
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// A keyedRow is a row of the increment.
type keyedRow struct {
	key  string
	rows arrow.RecordBatch
	row  int
}

func (r keyedRow) unit(st engine.Status) unit {
	return unit{sample: sample{r.key, st, r.rows, r.row}, to: r.row + 1}
}

// incrementRows yields the rows that belong to this run's partition and shard.
func (j *job) incrementRows(ctx context.Context, inc *engine.Increment, st engine.Status, columns []string) iter.Seq2[keyedRow, error] {
	return func(yield func(keyedRow, error) bool) {
		for rec, err := range inc.Batches(ctx, st, columns, fetchRows) {
			if err != nil {
				yield(keyedRow{}, err)
				return
			}
			keys, err := samplekey.New(rec, j.rel.keys)
			if err != nil {
				yield(keyedRow{}, err)
				return
			}
			members, err := j.o.Shard.members(rec, inc.Division())
			if err != nil {
				yield(keyedRow{}, err)
				return
			}
			for row := range int(rec.NumRows()) {
				key, ok := keys.At(row)
				if !ok {
					yield(keyedRow{}, fmt.Errorf("a %s sample of %s has no value in its id columns %q", st, j.f.Key(), j.rel.keys))
					return
				}
				if members.Has(key, row) && j.part.has(rec, row) && !yield(keyedRow{key, rec, row}, nil) {
					return
				}
			}
		}
	}
}

// extend adds one more row to a sample, or leaves it out because the sample is complete.
func (j *job) extend(u *unit, r keyedRow) {
	if !j.rel.aggregates {
		j.count.duplicates.Add(1)
		return
	}
	rows, to := u.rows, &u.to
	if n := len(u.more); n > 0 {
		rows, to = u.more[n-1].rows, &u.more[n-1].to
	}
	if rows == r.rows && *to == r.row {
		*to++
		return
	}
	u.more = append(u.more, span{r.rows, r.row, r.row + 1})
}

// tallyOrphaned counts the orphaned rows that belong to this run. Without the partition's column nobody knows which do.
func (j *job) tallyOrphaned(ctx context.Context, inc *engine.Increment) (int64, error) {
	if inc.Count(engine.Orphaned) == 0 || j.o.Shard.Count <= 1 && j.part == nil {
		return inc.Count(engine.Orphaned), nil
	}
	if !j.part.within(inc.Schema(engine.Orphaned)) {
		j.log.Warn("orphaned samples are left alone: the table does not have the partition's columns", "feature", j.f.Key(),
			"columns", j.part.columns)
		return 0, nil
	}
	n := int64(0)
	for rec, err := range inc.Batches(ctx, engine.Orphaned, j.part.with(j.rel.keys), fetchRows) {
		if err != nil {
			return 0, err
		}
		keys, err := samplekey.New(rec, j.rel.keys)
		if err != nil {
			return 0, err
		}
		members, err := j.o.Shard.members(rec, inc.Division())
		if err != nil {
			return 0, err
		}
		for row := range int(rec.NumRows()) {
			if key, ok := keys.At(row); ok && members.Has(key, row) && j.part.has(rec, row) {
				n++
			}
		}
	}
	return n, nil
}

// tally counts the samples of a status that belong to this run, and finds out whether their rows lie apart.
func (j *job) tally(ctx context.Context, inc *engine.Increment, st engine.Status) (int64, error) {
	if inc.Count(st) == 0 || !j.rel.aggregates && j.o.Shard.Count <= 1 && j.part == nil {
		return inc.Count(st), nil
	}
	seen, last := map[string]bool{}, ""
	n := int64(0)
	for r, err := range j.incrementRows(ctx, inc, st, j.part.with(j.rel.keys)) {
		switch {
		case err != nil:
			return 0, err
		case !j.rel.aggregates:
			n++
		case !seen[r.key]:
			seen[r.key] = true
			n++
		case r.key != last:
			j.scattered[st] = true
		}
		last = r.key
	}
	return n, nil
}

// intake sends the new and then the stale samples to the workers, batch by batch, until there are no more, the limit is
// reached, or ctx is done.
func (j *job) intake(ctx context.Context, inc *engine.Increment, columns []string) error {
	left := j.o.Limit
	if left == 0 {
		left = -1
	}
	batches := 0
	for _, st := range []engine.Status{engine.New, engine.Stale} {
		if inc.Count(st) == 0 {
			continue
		}
		var units []unit
		var bytes int64 // of their rows
		var size rowSize
		send := func() (bool, error) {
			b, err := j.batch(units)
			units, bytes = units[:0], 0
			if err != nil {
				return false, err
			}
			b.number = batches
			batches++
			j.queue.open.Add(1)
			select {
			case j.queue.in <- b:
				return true, nil
			case <-ctx.Done():
			}
			j.queue.open.Done()
			return false, nil
		}
		for u, err := range j.units(ctx, inc, st, columns) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if left == 0 {
				break
			}
			if j.claims.taken(u.sample) {
				j.count.elsewhere.Add(1)
				j.claims.forget(u.key)
				continue
			}
			left--
			units, bytes = append(units, u), bytes+u.size(&size)
			if len(units) < j.batchSize() && (j.fullBatch == 0 || bytes < j.fullBatch) {
				continue
			}
			if more, err := send(); !more {
				return err
			}
		}
		if len(units) > 0 {
			if more, err := send(); !more {
				return err
			}
		}
	}
	return nil
}

// batchSize is how many samples the next batch has.
func (j *job) batchSize() int {
	if j.pace.limit > 0 {
		return j.pace.size()
	}
	return j.o.BatchSize
}

// batch makes one batch of samples; rows that lie side by side already are not copied.
func (j *job) batch(units []unit) (*Batch, error) {
	b := &Batch{Feature: j.f, Status: units[0].status, Log: j.log, keys: j.rel.keys, timeout: j.o.SampleTimeout, paced: j.pace.limit > 0}
	b.samples, b.first = make([]sample, 0, len(units)), append(make([]int, 0, len(units)+1), 0)
	var spans []span
	rows := 0
	add := func(s span) {
		rows += s.to - s.from
		if n := len(spans); n > 0 && spans[n-1].rows == s.rows && spans[n-1].to == s.from {
			spans[n-1].to = s.to
			return
		}
		spans = append(spans, s)
	}
	for i := range units {
		u := &units[i]
		add(span{u.rows, u.row, u.to})
		for _, s := range u.more {
			add(s)
		}
		b.samples = append(b.samples, u.sample)
		b.first = append(b.first, rows)
	}
	recs := make([]arrow.RecordBatch, len(spans))
	for i, s := range spans {
		recs[i] = s.rows.NewSlice(int64(s.from), int64(s.to))
	}
	var err error
	if b.Rows, err = concat(recs); err == nil && j.rel.aggregates {
		b.Rows, err = j.inVersionOrder(b)
	}
	return b, err
}

// inVersionOrder sorts the rows of each sample by the ids of the parents whose rows it is made from, which is the order
// in which they are versioned.
func (j *job) inVersionOrder(b *Batch) (arrow.RecordBatch, error) {
	var compare []func(a, b int) int
	for _, id := range j.rel.inputs {
		if col := column(b.Rows, id); col != nil {
			if c := store.Comparer(col); c != nil {
				compare = append(compare, c)
			}
		}
	}
	order := make([]int, b.Rows.NumRows())
	for i := range order {
		order[i] = i
	}
	for s := range b.samples {
		slices.SortStableFunc(order[b.first[s]:b.first[s+1]], func(x, y int) int {
			for _, c := range compare {
				if d := c(x, y); d != 0 {
					return d
				}
			}
			return 0
		})
	}
	if slices.IsSorted(order) {
		return b.Rows, nil
	}
	return store.Take(b.Rows, order)
}

// columnsFor returns the columns to read for a processor that asks for some of them: also those that identify and
// version a sample. Nil stays nil, which means all.
func (j *job) columnsFor(asked []string, schema *arrow.Schema) []string {
	if asked == nil {
		return nil
	}
	need := slices.Concat(j.rel.keys, asked, []string{
		feature.ColProvenanceByField, feature.ColProvenance, feature.ColDataVersionByField, feature.ColDataVersion})
	need = append(need, j.f.Spec().IDColumns...)
	var out []string
	for _, name := range columnNames(schema) { // in the order of the increment
		if slices.Contains(need, name) {
			out = append(out, name)
		}
	}
	return out
}

// perBatch is how long one call may take for all its samples.
func (b *Batch) perBatch() time.Duration { return b.timeout * time.Duration(len(b.samples)) }
