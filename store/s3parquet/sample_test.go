package s3parquet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// frame is a table in store_sample.expected.json: its columns with their types, and its rows by column name.
type frame struct {
	Columns [][2]string
	Rows    []map[string]any
}

// The store that real Metaxy has written is read row by row as Metaxy reads it.
func TestStoreOfMetaxy(t *testing.T) {
	t.Parallel()
	var expected struct {
		Features map[feature.Key]struct {
			Rows frame `json:"read_all_rows"`
		}
		System frame `json:"system_feature_versions"`
	}
	decodeFile(t, "../../testdata/store_sample.expected.json", &expected)
	want := map[feature.Key]frame{"metaxy-system/feature_versions": expected.System}
	for key, f := range expected.Features {
		want[key] = f.Rows
	}
	s := openStore(t, "../../testdata/store_sample", s3parquet.Options{})
	for key, f := range want {
		snap := snapshot(t, s, key)
		var columns []string
		for _, c := range f.Columns {
			columns = append(columns, c[0])
		}
		if got := columnNames(snap.Schema()); !slices.Equal(got, columns) {
			t.Errorf("%s: columns are %q, want %q", key, got, columns)
		}
		var rows []string
		for _, row := range f.Rows {
			values := make([]any, len(columns))
			for i, name := range columns {
				values[i] = row[name]
			}
			rows = append(rows, text(t, values))
		}
		sameRows(t, string(key), scanned(t, snap, store.Query{}), rows)
	}
	var tables []string
	for name, err := range s.Tables(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	all := "metaxy-system/feature_versions.delta transcript/whisper.delta video/face_crop.delta video/full.delta"
	if got := strings.Join(tables, " "); got != all {
		t.Errorf("Tables yields %s, want %s", got, all)
	}
}
