package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// jsonSource is a file of JSON objects: one a line, or in an array.
type jsonSource struct {
	file
	array bool
}

// Name implements Source.
func (s *jsonSource) Name(row int64) string { return rowName(row) }

func rowName(row int64) string { return fmt.Sprintf("row %d", row+1) }

// Hint implements Source.
func (s *jsonSource) Hint() string { return "" }

// Rows implements Source.
func (s *jsonSource) Rows(ctx context.Context, table *arrow.Schema, ids []string) iter.Seq2[arrow.RecordBatch, error] {
	objects := s.lines
	if s.array {
		objects = s.values
	}
	return rowsOf(ctx, rowjson.NewShape(table, ids...), ids, objects, func(*arrow.Schema) objectSeq { return objects })
}

// objectSeq yields JSON objects; each is only valid until the next.
type objectSeq = iter.Seq2[[]byte, error]

// rowsOf reads objects twice: first for the types of their columns, then for their values. The second reading may
// depend on the types. ids are columns in which a number is no string.
func rowsOf(ctx context.Context, shape *rowjson.Shape, ids []string, first objectSeq,
	second func(*arrow.Schema) objectSeq) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		if err := each(ctx, first, shape.Observe); err != nil {
			yield(nil, err)
			return
		}
		b, err := rowjson.NewBuilder(shape.Schema(), ids...)
		if err != nil {
			yield(nil, fmt.Errorf("%w: %w", ErrInput, err))
			return
		}
		size := 0
		err = each(ctx, second(shape.Schema()), func(obj []byte) error {
			if err := b.Append(obj); err != nil {
				return err
			}
			if size += len(obj); size < batchBytes && b.Len() < batchRows {
				return nil
			}
			size = 0
			if !yield(b.Batch(), nil) {
				return errStopped
			}
			return nil
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(nil, err)
		case b.Len() > 0:
			yield(b.Batch(), nil)
		}
	}
}

// errStopped says that nobody wants more rows.
var errStopped = errors.New("stopped")

// each calls fn for all objects. Its errors name the row.
func each(ctx context.Context, objects objectSeq, fn func([]byte) error) error {
	row := int64(0)
	for obj, err := range objects {
		if err == nil && row%1024 == 0 {
			err = ctx.Err()
			if err != nil {
				return err
			}
		}
		if err == nil {
			err = fn(obj)
		}
		if errors.Is(err, errStopped) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInput, rowName(row), err)
		}
		row++
	}
	return nil
}

// lines yields the lines that are not empty.
func (s *jsonSource) lines(yield func([]byte, error) bool) {
	r := bufio.NewReaderSize(reader(s.file), 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			yield(nil, err)
			return
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
			return
		}
		if err == io.EOF {
			return
		}
	}
}

// values yields the elements of an array, or the values of a file without one.
func (s *jsonSource) values(yield func([]byte, error) bool) {
	r := bufio.NewReaderSize(reader(s.file), 1<<20)
	d := json.NewDecoder(r)
	if first, err := firstByte(r); err == nil && first == '[' {
		if _, err := d.Token(); err != nil {
			yield(nil, err)
			return
		}
		for d.More() {
			if !decode(d, yield) {
				return
			}
		}
		if _, err := d.Token(); err != nil {
			yield(nil, fmt.Errorf("the array does not end: %w", err))
		}
		return
	}
	for decode(d, yield) {
	}
}

func decode(d *json.Decoder, yield func([]byte, error) bool) bool {
	var raw json.RawMessage
	err := d.Decode(&raw)
	if err == io.EOF {
		return false
	}
	return yield(raw, err) && err == nil
}

// firstByte returns the first byte that is no white space, without taking it.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return b, r.UnreadByte()
		}
	}
}
