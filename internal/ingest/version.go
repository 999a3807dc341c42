package ingest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// A versioned source knows the version of a whole row.
type versioned interface {
	Version(row int64) string
}

// checkVersions refuses versions of fields that the feature does not have.
func (o Options) checkVersions() error {
	for key := range o.Versions {
		if !slices.ContainsFunc(o.Feature.Spec().Fields, func(f feature.Field) bool { return f.Key == key }) {
			return fmt.Errorf("%w: --version: %s has no field %q", ErrSetup, o.Feature.Key(), key)
		}
	}
	return nil
}

// given are the system columns that a row may bring along; the others are made anew.
var given = []string{feature.ColProvenanceByField, feature.ColDataVersionByField, feature.ColDataVersion, feature.ColCreatedAt}

// version returns rows with their field versions. first is the number of the first row.
func (o Options) version(rec arrow.RecordBatch, first int64) (arrow.RecordBatch, error) {
	var fields []arrow.Field
	var columns []arrow.Array
	var supplied arrow.Array
	for i, f := range rec.Schema().Fields() {
		switch {
		case f.Name == feature.ColProvenanceByField:
			supplied = rec.Column(i)
		case feature.IsSystemColumn(f.Name) && !slices.Contains(given, f.Name):
		default:
			fields, columns = append(fields, f), append(columns, rec.Column(i))
		}
	}
	v := &versioner{options: o, rec: rec, first: first, encoder: rowjson.NewEncoder(rec.Schema())}
	for c, f := range rec.Schema().Fields() {
		if !feature.IsSystemColumn(f.Name) && !slices.Contains(o.Feature.Spec().IDColumns, f.Name) {
			v.others = append(v.others, c)
		}
	}
	v.sortByName(v.others)
	byField, err := v.build(supplied)
	if err != nil {
		return nil, err
	}
	fields = append(fields, arrow.Field{Name: feature.ColProvenanceByField, Type: byField.DataType(), Nullable: true})
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), append(columns, byField), rec.NumRows()), nil
}

// A versioner makes the field versions of one batch.
type versioner struct {
	options Options
	rec     arrow.RecordBatch
	first   int64
	encoder *rowjson.Encoder
	others  []int // the columns that are hashed when nothing else is said, by name
	buf     []byte
}

func (v *versioner) sortByName(columns []int) {
	slices.SortFunc(columns, func(a, b int) int { return cmp.Compare(v.rec.ColumnName(a), v.rec.ColumnName(b)) })
}

func (v *versioner) fail(row int, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInput, v.options.Source.Name(v.first+int64(row)), fmt.Sprintf(format, args...))
}

// build makes the column metaxy_provenance_by_field: the feature's fields, then what else the rows bring.
func (v *versioner) build(supplied arrow.Array) (arrow.Array, error) {
	given, err := membersOf(supplied)
	if err != nil {
		return nil, fmt.Errorf("%w: column %s: %w", ErrInput, feature.ColProvenanceByField, err)
	}
	var members []arrow.Field
	for _, f := range v.options.Feature.Spec().Fields {
		members = append(members, arrow.Field{Name: f.Key.StructKey(), Type: arrow.BinaryTypes.String, Nullable: true})
	}
	own := len(members)
	for _, name := range given.names {
		if !slices.ContainsFunc(members, func(m arrow.Field) bool { return m.Name == name }) {
			members = append(members, arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true})
		}
	}
	b := array.NewStructBuilder(memory.DefaultAllocator, arrow.StructOf(members...))
	columns, err := v.versionColumns()
	if err != nil {
		return nil, err
	}
	for row := range int(v.rec.NumRows()) {
		b.Append(true)
		if err := v.buildRow(b, members, own, given, columns, row); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

func (v *versioner) buildRow(b *array.StructBuilder, members []arrow.Field, own int, given suppliedVersions,
	columns [][]int, row int) error {
	var whole string
	for m, member := range members {
		out := b.FieldBuilder(m).(*array.StringBuilder)
		if given.has(row) {
			text, ok := given.text(row, member.Name)
			switch {
			case ok:
				out.Append(text)
			case m < own:
				return v.fail(row, "%s has no version of the field %q", feature.ColProvenanceByField, member.Name)
			default:
				out.AppendNull()
			}
			continue
		}
		switch {
		case m >= own:
			out.AppendNull()
		case columns[m] != nil:
			text, err := v.named(columns[m], row)
			if err != nil {
				return err
			}
			out.Append(text)
		default:
			if whole == "" {
				whole = v.whole(row)
			}
			out.Append(whole)
		}
	}
	return nil
}

// versionColumns are, for each field of the feature, the columns of --version; nil for a field that it does not name.
func (v *versioner) versionColumns() ([][]int, error) {
	var all [][]int
	for _, f := range v.options.Feature.Spec().Fields {
		var columns []int
		for _, name := range v.options.Versions[f.Key] {
			at := v.rec.Schema().FieldIndices(name)
			if len(at) == 0 {
				return nil, fmt.Errorf("%w: --version %s: no row has a value in a column %q; there are %s", ErrSetup, f.Key, name,
					strings.Join(columnNames(v.rec.Schema()), ", "))
			}
			columns = append(columns, at[0])
		}
		all = append(all, columns)
	}
	return all, nil
}

// named is the version that columns hold: of one column its text, of several the hash of their canonical form.
func (v *versioner) named(columns []int, row int) (string, error) {
	for _, c := range columns {
		if v.rec.Column(c).IsNull(row) {
			return "", v.fail(row, "the column %q, which holds a version, has no value", v.rec.ColumnName(c))
		}
	}
	if len(columns) == 1 {
		return rowjson.Text(v.rec.Column(columns[0]), row), nil
	}
	sorted := slices.Clone(columns)
	v.sortByName(sorted)
	return v.hash(sorted, row), nil
}

// whole is the version of a row for which nothing else is said: the source's, or a hash over the row.
func (v *versioner) whole(row int) string {
	if src, ok := v.options.Source.(versioned); ok {
		return src.Version(v.first + int64(row))
	}
	return v.hash(v.others, row)
}

// hash is the hash of the canonical form of columns, which come by name.
func (v *versioner) hash(columns []int, row int) string {
	v.buf = v.canonical(v.buf[:0], columns, row)
	return string(v.options.Hashing.Append(nil, v.buf))
}

// canonical appends the form of a row that is hashed: a JSON object without white space, whose members are the columns
// that have a value, by name. So the order of columns and columns of nulls do not matter.
func (v *versioner) canonical(dst []byte, columns []int, row int) []byte {
	dst = append(dst, '{')
	members := 0
	for _, c := range columns {
		if arr := v.rec.Column(c); arr.IsNull(row) || arr.DataType().ID() == arrow.NULL {
			continue
		}
		if members++; members > 1 {
			dst = append(dst, ',')
		}
		dst = append(rowjson.AppendString(dst, v.rec.ColumnName(c)), ':')
		dst = v.encoder.AppendColumn(dst, v.rec, c, row)
	}
	return append(dst, '}')
}

// suppliedVersions are the field versions that rows bring along.
type suppliedVersions struct {
	all     arrow.Array // nil: none
	names   []string
	members []arrow.Array
	entries *array.Map // in place of members, if the versions come as a map
}

func membersOf(arr arrow.Array) (suppliedVersions, error) {
	if arr == nil || arr.DataType().ID() == arrow.NULL {
		return suppliedVersions{}, nil
	}
	if m, ok := arr.(*array.Map); ok && m.DataType().(*arrow.MapType).KeyType().ID() == arrow.STRING {
		return suppliedVersions{all: m, entries: m}, nil
	}
	s, ok := arr.(*array.Struct)
	if !ok {
		return suppliedVersions{}, fmt.Errorf("expected an object with a version for each field, not %s", arr.DataType())
	}
	out := suppliedVersions{all: s}
	for i, f := range s.DataType().(*arrow.StructType).Fields() {
		out.names, out.members = append(out.names, f.Name), append(out.members, s.Field(i))
	}
	return out, nil
}

func (s suppliedVersions) has(row int) bool { return s.all != nil && s.all.IsValid(row) }

func (s suppliedVersions) text(row int, member string) (string, bool) {
	if s.entries != nil {
		return s.entry(row, member)
	}
	i := slices.Index(s.names, member)
	if i < 0 || s.members[i].IsNull(row) {
		return "", false
	}
	return rowjson.Text(s.members[i], row), true
}

// entry is the version that a map has for a field.
func (s suppliedVersions) entry(row int, member string) (string, bool) {
	start, end := s.entries.ValueOffsets(row)
	for e := int(start); e < int(end); e++ {
		if s.entries.Keys().(*array.String).Value(e) == member && s.entries.Items().IsValid(e) {
			return rowjson.Text(s.entries.Items(), e), true
		}
	}
	return "", false
}
