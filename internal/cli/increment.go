package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// increment prints the rows of an increment.
type increment struct {
	inc   *engine.Increment
	flags resolveFlags
	parts []engine.Status

	counts  map[engine.Status]int64
	printed int64
	status  arrow.Array // the status of the part at hand, as often as a batch has rows
}

// printedBatch is how many rows are printed at a time, if they are not too large.
const printedBatch = 16 << 10

// versionColumns stand between the id columns and the requested ones.
var versionColumns = []string{
	feature.ColProvenanceByField, feature.ColProvenance, feature.ColDataVersionByField, feature.ColDataVersion,
}

// statusColumn is the first column of every row.
const statusColumn = "status"

// print writes the rows to stdout once all of them could be read, and the counts to stderr.
func (p *increment) print(ctx context.Context, e *Env) (err error) {
	schema, err := p.schema()
	if err != nil {
		return err
	}
	held := &spool{}
	defer closing(held, &err)
	w, err := newRowWriter(p.flags.format, held, schema, terminal(e.Stdout))
	if err != nil {
		return err
	}
	p.counts = map[engine.Status]int64{}
	for _, s := range statuses {
		if err := p.part(ctx, s, schema, w); err != nil {
			return fmt.Errorf("%s samples of %s: %w", s, p.inc.Feature().Key(), err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if n := p.inc.Unresolvable(); n > 0 {
		e.Log.Warn("samples without a version: a field of a required parent has none, so they are left out",
			"feature", string(p.inc.Feature().Key()), "samples", n)
	}
	if err := held.Flush(e.Stdout); err != nil {
		return err
	}
	if p.flags.stats {
		if err := e.PrintStats(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(e.Stderr, "new=%d stale=%d orphaned=%d\n",
		p.counts[engine.New], p.counts[engine.Stale], p.counts[engine.Orphaned])
	return err
}

// schema is the columns of every printed row.
func (p *increment) schema() (*arrow.Schema, error) {
	ids := p.inc.Feature().Spec().IDColumns
	var all *arrow.Schema
	for _, s := range p.parts {
		part := p.inc.Schema(s)
		if part == nil {
			continue
		}
		stored, err := store.StoredSchema(part)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = stored
		} else {
			all = lenientMerge(all, stored)
		}
	}
	if all == nil {
		all = arrow.NewSchema(nil, nil)
	}
	columns := slices.Concat([]string{statusColumn}, ids, versionColumns)
	requested, err := p.requested(all)
	if err != nil {
		return nil, err
	}
	for _, name := range requested {
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	fields := make([]arrow.Field, len(columns))
	for i, name := range columns {
		fields[i] = arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
		if f, ok := store.Column(all, name); ok && i > 0 {
			fields[i].Type = f.Type
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// lenientMerge adds the columns of b that a lacks; where types differ, a's stands.
func lenientMerge(a, b *arrow.Schema) *arrow.Schema {
	fields := slices.Clone(a.Fields())
	for _, f := range b.Fields() {
		if !a.HasField(f.Name) {
			fields = append(fields, f)
		}
	}
	return arrow.NewSchema(fields, nil)
}

// requested are the columns of --columns, '*' spelled out.
func (p *increment) requested(all *arrow.Schema) ([]string, error) {
	var columns []string
	for _, name := range p.flags.columns {
		if name == "*" {
			for _, have := range names(all) {
				if !feature.IsSystemColumn(have) {
					columns = append(columns, have)
				}
			}
			continue
		}
		if !all.HasField(name) && !slices.Contains(versionColumns, name) && !p.elsewhere(name) {
			hint := ""
			if near := config.Nearest(name, names(all)); near != "" {
				hint = fmt.Sprintf("; did you mean %s?", near)
			}
			return nil, setupf("--columns: samples of %s have no column %q%s", p.inc.Feature().Key(), name, hint)
		}
		columns = append(columns, name)
	}
	return columns, nil
}

// elsewhere reports whether a part of the increment that is not printed has a column.
func (p *increment) elsewhere(name string) bool {
	return slices.ContainsFunc(statuses, func(s engine.Status) bool {
		part := p.inc.Schema(s)
		return part != nil && part.HasField(name)
	})
}

// part writes the samples of one status and counts them.
func (p *increment) part(ctx context.Context, s engine.Status, to *arrow.Schema, w rowWriter) error {
	p.counts[s] = p.inc.Count(s)
	full := p.flags.limit > 0 && p.printed >= p.flags.limit
	wanted := slices.Contains(p.parts, s) && !full
	sharded := p.flags.shard.Count > 1
	if p.counts[s] == 0 || !wanted && !sharded {
		return nil
	}
	columns := p.columns(s, to)
	if !wanted {
		columns = engine.SampleColumns(p.inc.Feature())
	}
	if sharded {
		p.counts[s] = 0
	}
	p.status = repeated(s.String(), printedBatch)
	for rec, err := range p.inc.Batches(ctx, s, columns, printedBatch) {
		if err != nil {
			return err
		}
		if sharded {
			if rec, err = p.shard(rec); err != nil {
				return err
			}
			p.counts[s] += rec.NumRows()
		}
		if !wanted {
			continue
		}
		if p.flags.limit > 0 {
			rec = rec.NewSlice(0, min(rec.NumRows(), p.flags.limit-p.printed))
		}
		p.printed += rec.NumRows()
		if err := w.Write(p.withStatus(rec, to)); err != nil {
			return err
		}
		if p.flags.limit > 0 && p.printed >= p.flags.limit && !sharded {
			return nil
		}
	}
	return nil
}

// columns are those of the printed ones that samples with a status have.
func (p *increment) columns(s engine.Status, to *arrow.Schema) []string {
	have := p.inc.Schema(s)
	var columns []string
	for _, name := range names(to)[1:] {
		if have.HasField(name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// shard keeps the rows of the shard.
func (p *increment) shard(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	keys, err := samplekey.New(rec, engine.SampleColumns(p.inc.Feature()))
	if err != nil {
		return nil, err
	}
	members, err := samplekey.NewMembers(rec, p.inc.Division(), p.flags.shard.Index, p.flags.shard.Count)
	if err != nil {
		return nil, err
	}
	var rows []int
	for i := range int(rec.NumRows()) {
		if key, _ := keys.At(i); members.Has(key, i) { // rows without an id too, so that all shards show all rows
			rows = append(rows, i)
		}
	}
	return store.Take(rec, rows)
}

func columnOf(rec arrow.RecordBatch, name string) arrow.Array {
	for i, f := range rec.Schema().Fields() {
		if f.Name == name {
			return rec.Column(i)
		}
	}
	return nil
}

// repeated is a text n times.
func repeated(text string, n int) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for range n {
		b.Append(text)
	}
	return b.NewArray()
}

// withStatus brings rows to the printed columns. What they lack is null.
func (p *increment) withStatus(rec arrow.RecordBatch, to *arrow.Schema) arrow.RecordBatch {
	n := int(rec.NumRows())
	fields, arrays := slices.Clone(to.Fields()), make([]arrow.Array, to.NumFields())
	arrays[0] = array.NewSlice(p.status, 0, int64(n))
	for i := 1; i < len(fields); i++ {
		arrays[i] = columnOf(rec, fields[i].Name)
		if arrays[i] == nil {
			arrays[i] = array.NewNull(n)
		}
		fields[i].Type = arrays[i].DataType()
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, int64(n))
}

// closing closes c at the end of a function and keeps its error if there is no other.
func closing(c io.Closer, err *error) {
	if e := c.Close(); *err == nil {
		*err = e
	}
}
