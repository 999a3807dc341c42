package metaxy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// A partition, or several of a range, is what the columns of a run's samples must hold. Nil is no restriction.
type partition struct {
	columns []string
	keys    [][]string        // of each partition, a value for each column
	texts   map[string]bool   // the keys of several partitions with one column
	window  *pipes.TimeWindow // for columns of times; that of the whole range
}

// partitionOf finds out which partition a run of the feature is for: from the options, else from Dagster. The column is
// that of COLUMN=VALUE, else the one that the Dagster definitions or the feature's metadata name in partition_by. Dagster
// itself names only the ends of a range of partitions; its definitions can pass all the keys.
func partitionOf(
	f *feature.Feature, asked string, data *pipes.ContextData, by json.RawMessage, all []string,
) (*partition, error) {
	if by == nil {
		if v, ok := f.Spec().Metadata["partition_by"]; ok {
			by, _ = json.Marshal(v)
		}
	}
	dims, err := dimensions(by)
	if err != nil {
		return nil, err
	}
	values := []string{asked}
	if asked == "" {
		switch {
		case data.Partition != "":
			values = []string{data.Partition}
		case len(all) > 0:
			values = all
		default:
			return nil, rangeProblem(data)
		}
	} else if col, v, ok := strings.Cut(asked, "="); ok && (len(dims) == 0 || len(dims) == 1 && dims[0] == col) {
		return &partition{columns: []string{col}, keys: [][]string{{v}}}, nil
	}
	if len(dims) == 0 {
		return nil, setupf("partition %q of %s: no column is named that holds it; say COLUMN=VALUE, or set partition_by in "+
			"the feature's metadata or in the Dagster definition", values[0], f.Key())
	}
	p := &partition{columns: dims, texts: map[string]bool{}}
	if asked == "" {
		p.window = data.Window
	}
	for _, value := range values {
		key := []string{value}
		if len(dims) > 1 {
			if key = strings.Split(value, "|"); len(key) != len(dims) {
				return nil, setupf("partition %q of %s: expected %d values joined by |, for the columns %q",
					value, f.Key(), len(dims), dims)
			}
		}
		p.keys, p.texts[value] = append(p.keys, key), true
	}
	return p, nil
}

// String names the partition, and of several the first.
func (p *partition) String() string {
	text := strings.Join(p.keys[0], "|")
	if n := len(p.keys) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// rangeProblem refuses a range of partitions, which would otherwise be taken for all of them.
func rangeProblem(data *pipes.ContextData) error {
	if r := data.KeyRange; r != nil && r.Start != r.End {
		return setupf("Dagster asks for the partitions from %q to %q in one run; run one partition at a time, or pass the keys in the extras, as metaxy_pipes does", r.Start, r.End)
	}
	return nil
}

// dimensions reads "column" or {"dimension": "column"}; the columns come in the order of the dimensions' names, in which
// Dagster joins their keys.
func dimensions(by json.RawMessage) ([]string, error) {
	if len(by) == 0 || string(by) == "null" {
		return nil, nil
	}
	var col string
	if json.Unmarshal(by, &col) == nil {
		return []string{col}, nil
	}
	var dims map[string]string
	if err := json.Unmarshal(by, &dims); err != nil {
		return nil, setupf("partition_by is %s, expected a column or an object from dimension to column", by)
	}
	var cols []string
	for _, dim := range slices.Sorted(maps.Keys(dims)) {
		cols = append(cols, dims[dim])
	}
	return cols, nil
}

// check reports a column that the samples do not have or that cannot be compared with a partition key.
func (p *partition) check(f *feature.Feature, schema *arrow.Schema) error {
	if p == nil {
		return nil
	}
	for _, name := range p.columns {
		fields, ok := schema.FieldsByName(name)
		if !ok {
			return setupf("partition %q of %s: the samples have no column %q, only %q", p.String(), f.Key(), name,
				columnNames(schema))
		}
		t := fields[0].Type
		switch {
		case t.ID() == arrow.STRING, t.ID() == arrow.DATE32, t.ID() == arrow.BOOL, arrow.IsInteger(t.ID()):
		case t.ID() == arrow.TIMESTAMP && p.window != nil:
		default:
			return setupf("partition %q of %s: column %q is %s, expected text, a number, a date, or a time in a partition of time",
				p.String(), f.Key(), name, t)
		}
	}
	return nil
}

// with adds the partition's columns to some others.
func (p *partition) with(columns []string) []string {
	columns = slices.Clone(columns)
	if p == nil {
		return columns
	}
	for _, c := range p.columns {
		if !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
	}
	return columns
}

// within reports whether rows with the schema can be told apart by partition.
func (p *partition) within(schema *arrow.Schema) bool {
	return p == nil || !slices.ContainsFunc(p.columns, func(c string) bool { return !schema.HasField(c) })
}

// has reports whether a row belongs to the partition.
func (p *partition) has(rec arrow.RecordBatch, row int) bool {
	if p == nil {
		return true
	}
	if texts, ok := column(rec, p.columns[0]).(*array.String); ok && len(p.columns) == 1 && len(p.keys) > 1 {
		return !texts.IsNull(row) && p.texts[texts.Value(row)]
	}
	return slices.ContainsFunc(p.keys, func(key []string) bool { return p.hasKey(rec, row, key) })
}

// hasKey is has for one partition.
func (p *partition) hasKey(rec arrow.RecordBatch, row int, key []string) bool {
	for i, name := range p.columns {
		col := column(rec, name)
		if col == nil || col.IsNull(row) || !p.holds(col, row, key[i]) {
			return false
		}
	}
	return true
}

func (p *partition) holds(col arrow.Array, row int, want string) bool {
	switch c := col.(type) {
	case *array.String:
		return c.Value(row) == want
	case *array.Date32:
		day := c.Value(row).ToTime()
		if p.window != nil {
			start, end := p.window.Start, p.window.End
			local := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, start.Location())
			return !local.Before(start) && local.Before(end)
		}
		return day.Format(time.DateOnly) == want
	case *array.Timestamp:
		at := c.Value(row).ToTime(c.DataType().(*arrow.TimestampType).Unit)
		return p.window != nil && !at.Before(p.window.Start) && at.Before(p.window.End)
	}
	return string(rowjson.AppendValue(nil, col, row)) == want
}
