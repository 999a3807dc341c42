package s3parquet_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// plain returns a value in the JSON form that testdata/make_tables.py writes.
func plain(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return hex.EncodeToString(a.Value(i))
	case *array.Boolean:
		return a.Value(i)
	case *array.Float32:
		return json.Number(fmt.Sprint(a.Value(i)))
	case *array.Float64:
		return json.Number(fmt.Sprint(a.Value(i)))
	case *array.Date32:
		return a.Value(i).ToTime().Format(time.DateOnly)
	case *array.Timestamp:
		text := time.UnixMicro(int64(a.Value(i))).UTC().Format("2006-01-02T15:04:05.000000")
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			text += "Z"
		}
		return text
	case *array.Struct:
		members := map[string]any{}
		for j, f := range a.DataType().(*arrow.StructType).Fields() {
			members[f.Name] = plain(a.Field(j), i)
		}
		return members
	case *array.Map:
		list := []any{}
		for from, to := a.ValueOffsets(i); from < to; from++ {
			list = append(list, []any{plain(a.Keys(), int(from)), plain(a.Items(), int(from))})
		}
		return list
	case *array.List:
		list := []any{}
		for from, to := a.ValueOffsets(i); from < to; from++ {
			list = append(list, plain(a.ListValues(), int(from)))
		}
		return list
	case *array.Decimal128:
		return a.ValueStr(i)
	}
	return json.Number(a.ValueStr(i)) // the integers
}

// rowText is a row of a batch as JSON.
func rowText(t *testing.T, rec arrow.RecordBatch, row int) string {
	t.Helper()
	values := make([]any, rec.NumCols())
	for i := range values {
		values[i] = plain(rec.Column(i), row)
	}
	return text(t, values)
}

// text is JSON with sorted members and numbers in the shortest form.
func text(t *testing.T, value any) string {
	t.Helper()
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// scanned is the rows of a scan as JSON.
func scanned(t *testing.T, s store.Snapshot, q store.Query) []string {
	t.Helper()
	rows := []string{}
	for batch, err := range s.Scan(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(batch.NumRows()) {
			rows = append(rows, rowText(t, batch.RecordBatch, i))
		}
	}
	return rows
}

// decodeFile reads a JSON file, numbers as they are written.
func decodeFile(t *testing.T, name string, into any) {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// number brings a number into the form that Go gives floats, so that 1e+300 and 1e300 are equal.
func number(value any) any {
	switch v := value.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			f, _ := v.Float64()
			return json.Number(fmt.Sprint(f))
		}
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	}
	return value
}

// sameRows reports rows that are not the same, in whatever order.
func sameRows(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: first difference:\n got %s\nwant %s", what, got[i], want[i])
			return
		}
	}
}
