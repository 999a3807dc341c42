package metaxy

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// maxAnswer is how many bytes a record batch of an answer may have.
const maxAnswer = 2 << 30

// errorColumn holds why samples failed in the answers of an Arrow stream.
const errorColumn = "error"

// askArrow sends a batch as a record batch of an Arrow stream and reads the one that answers it. With an error it returns
// the samples that have no answer, which are all.
func (c *child) askArrow(r relation, b *Batch) (answer, []int, error) {
	all := make([]int, len(b.samples))
	for s := range all {
		all[s] = s
	}
	rec := question(b)
	if c.writer == nil {
		c.schema = rec.Schema()
		c.writer = ipc.NewWriter(c.stdin, ipc.WithSchema(c.schema))
	} else if !c.schema.Equal(rec.Schema()) {
		return answer{}, all, fmt.Errorf("the columns changed from %s to %s within one stream", c.schema, rec.Schema())
	}
	sent := make(chan struct{})
	go func() { // beside the reading, since neither pipe holds everything
		defer close(sent)
		_ = c.writer.Write(rec) // a child that does not read shows by its exit
	}()
	rows, err := c.readArrow()
	if err != nil {
		return answer{}, all, err
	}
	<-sent
	a, err := r.divide(b, rows)
	if err != nil {
		return answer{}, all, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return a, nil, nil
}

// readArrow returns the next record batch of the child's output.
func (c *child) readArrow() (arrow.RecordBatch, error) {
	if c.reader == nil {
		reader, err := ipc.NewReaderFromMessageReader(&arrowStream{r: c.lines, maxBody: maxAnswer})
		if err != nil {
			return nil, c.broken(err)
		}
		c.reader = reader
	}
	if !c.reader.Next() {
		return nil, c.broken(c.reader.Err())
	}
	rec := c.reader.RecordBatch()
	if err := checkColumns(rec); err != nil {
		return nil, err
	}
	rec.Retain()
	return rec, nil
}

// checkColumns refuses columns whose offsets lead out of their buffers, which would show as a panic, later.
func checkColumns(rec arrow.RecordBatch) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library's answer to some of them
			err = fmt.Errorf("%w: %v", errAnswer, p)
		}
	}()
	for i, col := range rec.Columns() {
		if err := array.ValidateFull(col); err != nil {
			return fmt.Errorf("%w: column %q: %w", errAnswer, rec.ColumnName(i), err)
		}
	}
	return nil
}

// broken tells a dead child from one that does not speak Arrow.
func (c *child) broken(err error) error {
	if _, peek := c.lines.Peek(1); err == nil || peek != nil {
		return c.death()
	}
	return fmt.Errorf("%w: not an Arrow stream: %w", errAnswer, err)
}

// question is a batch as it is sent: the status, the id columns, the data version, the parents' columns.
func question(b *Batch) arrow.RecordBatch {
	status := array.NewStringBuilder(memory.DefaultAllocator)
	for range b.Rows.NumRows() {
		status.Append(b.Status.String())
	}
	var out sheet
	out.add("status", status.NewArray())
	for _, name := range append(append([]string{}, b.Feature.Spec().IDColumns...), feature.ColDataVersion) {
		out.add(name, column(b.Rows, name))
	}
	for i, f := range b.Rows.Schema().Fields() {
		if !feature.IsSystemColumn(f.Name) {
			out.add(f.Name, b.Rows.Column(i))
		}
	}
	return out.record(b.Rows.NumRows())
}

// divide takes the failed samples out of an answer.
func (r relation) divide(b *Batch, rows arrow.RecordBatch) (answer, error) {
	of, err := r.owners(b, answer{rows: rows})
	if err != nil {
		return answer{}, err
	}
	reasons := column(rows, errorColumn)
	var keep []int
	var owners []int
	for row, s := range of {
		if reasons != nil && reasons.IsValid(row) {
			b.fail(s, fmt.Errorf("%s", reasons.ValueStr(row)))
			continue
		}
		keep, owners = append(keep, row), append(owners, s)
	}
	var out sheet
	for i, f := range rows.Schema().Fields() {
		if f.Name != errorColumn && f.Name != "status" {
			out.add(f.Name, rows.Column(i))
		}
	}
	rows = out.record(rows.NumRows())
	if len(keep) == int(rows.NumRows()) {
		return answer{rows: rows, of: owners}, nil
	}
	stored, err := store.StoredSchema(rows.Schema())
	if err != nil {
		return answer{}, err
	}
	if rows, err = store.Conform(withColumns(rows, columnNames(stored)), stored); err != nil {
		return answer{}, err
	}
	rows, err = store.Take(rows, keep)
	return answer{rows: rows, of: owners}, err
}
