package ingest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// batchRows and batchBytes bound a batch of rows.
const (
	batchRows  = 8192
	batchBytes = 8 << 20
)

// samples are the rows of a source with their versions. It remembers 24 bytes of each, to find ids that come twice.
type samples struct {
	options Options
	table   *arrow.Schema
	rows    int64
	seen    []identity
}

// An identity is the hash of a row's id.
type identity struct {
	id  xxh3.Uint128
	row int64
}

// all yields the source's rows with the column metaxy_provenance_by_field.
func (s *samples) all(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		s.rows, s.seen = 0, s.seen[:0]
		ids := s.options.Feature.Spec().IDColumns
		for rec, err := range s.options.Source.Rows(ctx, s.table, ids) {
			if err == nil && rec.NumRows() == 0 {
				continue
			}
			if err == nil {
				err = s.identify(rec, ids)
			}
			if err == nil {
				rec, err = s.options.version(rec, s.rows)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			s.rows += rec.NumRows()
			if !yield(rec, nil) {
				return
			}
		}
		if err := s.twice(); err != nil {
			yield(nil, err)
			return
		}
		if s.rows == 0 {
			yield(s.none(ids))
		}
	}
}

// none is a batch without rows, which says what columns samples would have.
func (s *samples) none(ids []string) (arrow.RecordBatch, error) {
	var fields []arrow.Field
	for _, id := range ids {
		f := arrow.Field{Name: id, Type: arrow.BinaryTypes.String, Nullable: true}
		if s.table != nil {
			if have, ok := store.Column(s.table, id); ok {
				f = have
			}
		}
		fields = append(fields, f)
	}
	return s.options.version(empty(arrow.NewSchema(fields, nil)), 0)
}

// identify remembers the ids of a batch and refuses those that have no value.
func (s *samples) identify(rec arrow.RecordBatch, ids []string) error {
	columns := make([]int, len(ids))
	for c, id := range ids {
		at := rec.Schema().FieldIndices(id)
		if len(at) != 1 {
			return fmt.Errorf("%w: %s: the id column %q is missing; there are %s", ErrInput,
				s.options.Source.Name(s.rows), id, strings.Join(columnNames(rec.Schema()), ", "))
		}
		columns[c] = at[0]
	}
	e := rowjson.NewEncoder(rec.Schema())
	var key []byte
	for i := range int(rec.NumRows()) {
		key = key[:0]
		for _, c := range columns {
			if rec.Column(c).IsNull(i) || rec.Column(c).DataType().ID() == arrow.NULL {
				return fmt.Errorf("%w: %s: the id column %q has no value", ErrInput,
					s.options.Source.Name(s.rows+int64(i)), rec.ColumnName(c))
			}
			key = append(e.AppendColumn(key, rec, c, i), ',')
		}
		s.seen = append(s.seen, identity{xxh3.Hash128(key), s.rows + int64(i)})
	}
	return nil
}

// twice returns an error if two rows have one id.
func (s *samples) twice() error {
	slices.SortFunc(s.seen, func(a, b identity) int {
		return cmp.Or(cmp.Compare(a.id.Hi, b.id.Hi), cmp.Compare(a.id.Lo, b.id.Lo), cmp.Compare(a.row, b.row))
	})
	var first *identity
	for i := 1; i < len(s.seen); i++ {
		if s.seen[i].id == s.seen[i-1].id && (first == nil || s.seen[i].row < first.row) {
			first = &s.seen[i]
		}
	}
	if first == nil {
		return nil
	}
	at, _ := slices.BinarySearchFunc(s.seen, first.id, func(e identity, id xxh3.Uint128) int {
		return cmp.Or(cmp.Compare(e.id.Hi, id.Hi), cmp.Compare(e.id.Lo, id.Lo))
	})
	src := s.options.Source
	return fmt.Errorf("%w: %s has the same id as %s; a sample comes once%s", ErrInput,
		src.Name(first.row), src.Name(s.seen[at].row), src.Hint())
}

func columnNames(s *arrow.Schema) []string {
	names := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		names[i] = f.Name
	}
	return names
}
