package delta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// handWritten is a first commit with a given protocol, schema fields and configuration.
func handWritten(protocol, fields, configuration, partitions string) string {
	schema, _ := json.Marshal(`{"type":"struct","fields":[` + fields + `]}`)
	return fmt.Sprintf(`{"protocol":%s}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":%s,"partitionColumns":[%s],"configuration":%s,"unknown":1}}
{"add":{"path":"f","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}
{"unheardOf":{"x":1}}
`, protocol, schema, partitions, configuration)
}

const idField = `{"name":"id","type":"string","nullable":true,"metadata":{"comment":"the <id>"}}`

func TestFeaturesAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol, fields, configuration, partitions string
		read, write                                 string // part of the error; "" means that it works
	}{
		{protocol: `{"minReaderVersion":1,"minWriterVersion":2}`},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":1}`},
		{protocol: `{"minReaderVersion":2,"minWriterVersion":2}`},
		{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz"],"writerFeatures":["timestampNtz","appendOnly","invariants"]}`},
		{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":["domainMetadata"]}`, write: "domainMetadata"},
		{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}`, read: "deletionVectors"},
		{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping"],"writerFeatures":["columnMapping"]}`, read: "columnMapping"},
		{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint","variantType"],"writerFeatures":[]}`, read: "v2Checkpoint, variantType"},
		{protocol: `{"minReaderVersion":2,"minWriterVersion":5}`, configuration: `{"delta.columnMapping.mode":"name"}`, read: "columnMapping"},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":3}`, write: "checkConstraints"},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":4}`, write: "changeDataFeed, generatedColumns"},
		{protocol: `{"minReaderVersion":4,"minWriterVersion":8}`, read: "reader version 4"},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":8}`, write: "writer version 8"},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":2}`, partitions: `"id"`, write: "partitioned by id"},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":2}`, fields: `{"name":"id","type":"string","metadata":{"delta.invariants":"{}"}}`, write: `"id"`},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":2}`, fields: `{"name":"id","type":"variant"}`, read: `"variant"`},
		{protocol: `{"minReaderVersion":1,"minWriterVersion":2}`, fields: `{"name":"s","type":{"type":"struct","fields":[{"name":"m","type":"long","nullable":false}]}}`, write: `"s.m"`},
	} {
		table, b := newTable(t)
		fields, configuration := c.fields, c.configuration
		if fields == "" {
			fields = idField
		}
		if configuration == "" {
			configuration = "{}"
		}
		writeObject(t, b, commitFile(0), handWritten(c.protocol, fields, configuration, c.partitions))
		s, err := table.Snapshot(t.Context())
		if !refused(err, c.read) {
			t.Errorf("%+v: Snapshot = %v, want a refusal of %q", c, err, c.read)
		}
		if err != nil {
			continue
		}
		if _, err := table.Append(t.Context(), s, change("g")); !refused(err, c.write) {
			t.Errorf("%+v: Append = %v, want a refusal of %q", c, err, c.write)
		}
	}
}

// refused reports whether an error is the wanted refusal; "" wants none.
func refused(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return errors.Is(err, store.ErrUnsupported) && strings.Contains(err.Error(), want)
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, action := range []string{
		`{"add":{"path":"s3://other/table/f","size":1}}`,
		`{"add":{"path":"/etc/passwd","size":1}}`,
		`{"add":{"path":"file:/etc/passwd","size":1}}`,
		`{"add":{"path":"g","size":1,"deletionVector":{"storageType":"u"}}}`,
	} {
		table, b := newTable(t)
		writeObject(t, b, commitFile(0), handWritten(`{"minReaderVersion":1,"minWriterVersion":2}`, idField, "{}", ""))
		writeObject(t, b, commitFile(1), action)
		if _, err := table.Snapshot(t.Context()); !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%s: Snapshot = %v, want store.ErrUnsupported", action, err)
		}
	}
}

// New columns come last, and what the log said of the old ones beside their types stays.
func TestEvolutionKeepsMetadata(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	fields := idField + `,{"name":"s","type":{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{"k":[1]}}]},"nullable":true,"metadata":{}}`
	writeObject(t, b, commitFile(0), handWritten(`{"minReaderVersion":1,"minWriterVersion":2}`, fields, `{"p":"q"}`, ""))
	c := change("g")
	c.Schema = arrow.NewSchema([]arrow.Field{
		{Name: "clock", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "b", Type: arrow.BinaryTypes.String, Nullable: true}), Nullable: true},
	}, nil)
	add(t, table, c)
	for _, tab := range []string{"known", "fresh"} {
		s := snapshot(t, table)
		if tab == "fresh" {
			s = snapshot(t, fresh(table))
		}
		want := `{"type":"struct","fields":[{"name":"id","type":"string","nullable":true,"metadata":{"comment":"the <id>"}},` +
			`{"name":"s","type":{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{"k":[1]}},` +
			`{"name":"b","type":"string","nullable":true,"metadata":{}}]},"nullable":true,"metadata":{}},` +
			`{"name":"clock","type":"timestamp_ntz","nullable":true,"metadata":{}}]}`
		if s.MetaData.SchemaString != want {
			t.Errorf("%s: the schema is\n%s, want\n%s", tab, s.MetaData.SchemaString, want)
		}
		if s.MetaData.ID != "x" || s.MetaData.Configuration["p"] != "q" {
			t.Errorf("%s: the table became %+v", tab, s.MetaData)
		}
		p := s.Protocol
		if p.MinReaderVersion != 3 || p.MinWriterVersion != 7 || strings.Join(p.ReaderFeatures, ",") != "timestampNtz" ||
			strings.Join(p.WriterFeatures, ",") != "appendOnly,invariants,timestampNtz" {
			t.Errorf("%s: the protocol is %+v", tab, p)
		}
	}
}

// Two writers give a new column different types at the same time: the second has to convert its rows.
func TestEvolutionConflict(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	add(t, table, change("a"))
	base := snapshot(t, table)
	with := func(name string, dt arrow.DataType) delta.Change {
		c := change(name)
		c.Schema = arrow.NewSchema([]arrow.Field{{Name: "x", Type: dt, Nullable: true}}, nil)
		return c
	}
	if _, err := table.Append(t.Context(), base, with("b", arrow.PrimitiveTypes.Int64)); err != nil {
		t.Fatal(err)
	}
	_, err := table.Append(t.Context(), base, with("c", arrow.PrimitiveTypes.Int32))
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("Append of int32 to a column that became int64 = %v, want store.ErrConflict", err)
	}
	_, err = table.Append(t.Context(), base, with("d", arrow.BinaryTypes.String))
	if !errors.Is(err, store.ErrSchema) {
		t.Errorf("Append of strings to a column that became int64 = %v, want store.ErrSchema", err)
	}
}
