package delta

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Partition reports whether a column's values are in the log instead of the data files.
func (s *Snapshot) Partition(column string) bool {
	return slices.Contains(s.MetaData.PartitionColumns, column)
}

// PartitionValue returns the text of a partition column's value in a file; false means null.
func (f *File) PartitionValue(column string) (string, bool) {
	v := f.PartitionValues[column]
	if v == nil || *v == "" {
		return "", false
	}
	return *v, true
}

// PartitionColumn returns n rows of a partition column of a file.
func (s *Snapshot) PartitionColumn(f *File, column string, n int) (arrow.Array, error) {
	i := s.Schema.FieldIndices(column)
	if len(i) != 1 {
		return nil, fmt.Errorf("%w: partition column %q is not in the schema", store.ErrCorrupt, column)
	}
	t := s.Schema.Field(i[0]).Type
	value, ok := f.PartitionValue(column)
	if !ok {
		return array.MakeArrayOfNull(memory.DefaultAllocator, t, n), nil
	}
	b := array.NewBuilder(memory.DefaultAllocator, t)
	for range n {
		if err := appendPartitionValue(b, value); err != nil {
			return nil, fmt.Errorf("%w: data file %q: partition value %s=%q is no %s: %w",
				store.ErrCorrupt, f.Name, column, value, t, err)
		}
	}
	return b.NewArray(), nil
}

func appendPartitionValue(b array.Builder, value string) error {
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(value)
	case *array.BinaryBuilder:
		b.Append([]byte(value))
	case *array.BooleanBuilder:
		v, err := strconv.ParseBool(value)
		if err != nil {
			return err
		}
		b.Append(v)
	case *array.TimestampBuilder:
		v, err := parseTime(value)
		if err != nil {
			return err
		}
		b.Append(arrow.Timestamp(v.UnixMicro()))
	default:
		return b.AppendValueFromString(value)
	}
	return nil
}

// parseTime reads the forms of a moment that the Delta protocol allows; those without a zone are UTC.
func parseTime(value string) (time.Time, error) {
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly} {
		var t time.Time
		if t, err = time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}
