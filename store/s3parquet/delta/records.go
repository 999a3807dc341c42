package delta

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// checkpointMembers are the columns of a checkpoint that are read, and their members. Others may be there, such as statistics in
// columns of their own.
var checkpointMembers = map[string][]string{
	"add": {"path", "partitionValues", "size", "modificationTime", "dataChange", "stats", "tags", "deletionVector"},
	"remove": {"path", "deletionTimestamp", "dataChange", "extendedFileMetadata", "partitionValues", "size", "stats",
		"deletionVector"},
	"metaData": {"id", "name", "description", "format", "schemaString", "partitionColumns", "createdTime", "configuration"},
	"protocol": {"minReaderVersion", "minWriterVersion", "readerFeatures", "writerFeatures"},
	"txn":      {"appId", "version", "lastUpdated"},
	"sidecar":  {"path"},
}

const (
	// maxCheckpointPage bounds a page of a checkpoint, of which writers make pages of about 1 MiB.
	maxCheckpointPage = 256 << 20
	// maxCheckpoint and maxCheckpointRatio bound what the columns of a checkpoint have in memory: so much, and so many times the
	// bytes of its file.
	maxCheckpoint, maxCheckpointRatio = 256 << 20, 64
)

// openCheckpoint opens a checkpoint. What its footer claims costs no memory.
func openCheckpoint(body []byte) (*columnar.File, error) {
	f, err := columnar.ReadOptions{MaxPage: maxCheckpointPage}.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return f, nil
}

// readRecords calls fn for the rows of a checkpoint from one on, up to another one. A group is a map[string]any, a LIST an
// []any, a MAP a map[string]any by its keys, an integer an int64; what is null is nil or, in a group, not there. Texts share
// memory with each other.
func readRecords(f *columnar.File, size, from, to int64, fn func(record map[string]any) error) error {
	left := maxCheckpoint + maxCheckpointRatio*size
	for batch, err := range f.Scan(context.Background(), store.Query{}, 0, checkpointSchema(f.Schema())) {
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		first := int64(batch.First)
		for _, column := range batch.Columns() {
			left -= memoryOf(column.Data())
		}
		if left < 0 {
			return fmt.Errorf("%w: damaged checkpoint: its %d bytes have more than %d in memory", store.ErrCorrupt, size,
				maxCheckpoint+maxCheckpointRatio*size)
		}
		for row := int(max(from-first, 0)); row < int(min(to-first, batch.NumRows())); row++ {
			record := make(map[string]any, 1)
			for i, field := range batch.Schema().Fields() {
				if v := recordValue(batch.Column(i), row); v != nil {
					record[field.Name] = v
				}
			}
			if err := fn(record); err != nil {
				return err
			}
		}
		if first+batch.NumRows() >= to { // the row groups behind them need not be opened
			break
		}
	}
	return nil
}

// checkpointSchema leaves out the columns and members that are not read. The others have the types that the file says.
func checkpointSchema(file *arrow.Schema) *arrow.Schema {
	var fields []arrow.Field
	for _, f := range file.Fields() {
		members, known := checkpointMembers[f.Name]
		group, ok := f.Type.(*arrow.StructType)
		if !known || !ok {
			continue
		}
		var read []arrow.Field
		for _, member := range group.Fields() {
			if slices.Contains(members, member.Name) {
				read = append(read, member)
			}
		}
		if len(read) > 0 {
			f.Type = arrow.StructOf(read...)
			fields = append(fields, f)
		}
	}
	return arrow.NewSchema(fields, nil)
}

// memoryOf is the bytes of an array's buffers.
func memoryOf(data arrow.ArrayData) (n int64) {
	for _, b := range data.Buffers() {
		if b != nil {
			n += int64(b.Len())
		}
	}
	for _, child := range data.Children() {
		n += memoryOf(child)
	}
	return n
}

// recordValue returns a value of a column. No action has members of other types; statistics in columns of their own do.
func recordValue(column arrow.Array, row int) any {
	if column.IsNull(row) {
		return nil
	}
	switch c := column.(type) {
	case *array.Boolean:
		return c.Value(row)
	case *array.Int8:
		return int64(c.Value(row))
	case *array.Int16:
		return int64(c.Value(row))
	case *array.Int32:
		return int64(c.Value(row))
	case *array.Int64:
		return c.Value(row)
	case *array.String:
		return c.Value(row)
	case *array.Binary:
		return c.ValueString(row)
	case *array.Struct:
		return recordGroup(c, row)
	case *array.Map:
		return recordMap(c, row)
	case *array.List:
		return recordList(c, row)
	}
	return nil
}

func recordGroup(c *array.Struct, row int) map[string]any {
	members := make(map[string]any, c.NumField())
	for i, field := range c.DataType().(*arrow.StructType).Fields() {
		if v := recordValue(c.Field(i), row); v != nil {
			members[field.Name] = v
		}
	}
	return members
}

func recordMap(c *array.Map, row int) map[string]any {
	start, end := c.ValueOffsets(row)
	out := make(map[string]any, end-start)
	for i := int(start); i < int(end); i++ {
		if key, ok := recordValue(c.Keys(), i).(string); ok {
			out[key] = recordValue(c.Items(), i)
		}
	}
	return out
}

func recordList(c *array.List, row int) []any {
	start, end := c.ValueOffsets(row)
	out := make([]any, 0, end-start)
	for i := int(start); i < int(end); i++ {
		out = append(out, recordValue(c.ListValues(), i))
	}
	return out
}
