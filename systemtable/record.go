package systemtable

import (
	"iter"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// rowOf is a feature as it is recorded, without what belongs to the snapshot.
func rowOf(f *feature.Feature) (Row, error) {
	spec, err := f.Spec().Text()
	if err != nil {
		return Row{}, err
	}
	schema, err := feature.JSONText(f.Schema())
	return Row{
		Project: f.Project(), Feature: f.Key(), FeatureVersion: f.Version(), DefinitionVersion: f.DefinitionVersion(),
		Spec: spec, Schema: schema, ClassPath: ClassPath(f),
	}, err
}

// ClassPath is the Python class of a feature. Metaxy asks for one, so that features without have a name in its place
// that looks like one and says where they come from.
func ClassPath(f *feature.Feature) string {
	if f.ClassPath() != "" {
		return f.ClassPath()
	}
	return "metaxy_pipes." + strings.ReplaceAll(f.Key().Table(), "-", "_")
}

// Schema is the columns of the table.
func Schema() *arrow.Schema {
	wallClock := &arrow.TimestampType{Unit: arrow.Microsecond}
	var fields []arrow.Field
	for _, name := range []string{
		colProject, colFeatureKey, colFeatureVersion, colDefinitionVersion, colRecordedAt, colFeatureSpec, colFeatureSchema,
		colFeatureClassPath, colProjectVersion, colTags, colDeletedAt,
	} {
		t := arrow.DataType(arrow.BinaryTypes.String)
		if name == colRecordedAt || name == colDeletedAt {
			t = wallClock
		}
		fields = append(fields, arrow.Field{Name: name, Type: t, Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

// record makes the rows to append. Each is recorded a microsecond after the one before, so that their order stays.
func record(rows []Row, at time.Time) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, Schema())
	for i, r := range rows {
		texts := map[string]string{
			colProject: r.Project, colFeatureKey: string(r.Feature), colFeatureVersion: r.FeatureVersion,
			colDefinitionVersion: r.DefinitionVersion, colFeatureSpec: r.Spec, colFeatureSchema: r.Schema,
			colFeatureClassPath: r.ClassPath, colProjectVersion: r.ProjectVersion, colTags: r.Tags,
		}
		for c, f := range b.Schema().Fields() {
			switch column := b.Field(c).(type) {
			case *array.StringBuilder:
				column.Append(texts[f.Name])
			case *array.TimestampBuilder:
				if f.Name == colDeletedAt {
					column.AppendNull()
					continue
				}
				column.Append(arrow.Timestamp(at.Add(time.Duration(i) * time.Microsecond).UnixMicro()))
			}
		}
	}
	return b.NewRecordBatch()
}

func one(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}
