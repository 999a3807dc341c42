package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// TestStats reads the counts of a resolve on a real store, as text and as JSON, before the summary, which stays last.
func TestStats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFixture()
	f.program.Store = func(ctx context.Context) (store.Store, engine.Hashing, error) {
		st, err := s3parquet.Open(ctx, filepath.Join(dir, "store"), s3parquet.Options{})
		return st, engine.Hashing{}, err
	}
	rows := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(rows, []byte(`{"id":"a","n":1}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.must(t, "", "ingest", "video", "--from", rows)
	if _, stderr := f.must(t, "", "resolve", "video/crop"); stderr != "new=1 stale=0 orphaned=0\n" {
		t.Errorf("without --stats: %q", stderr)
	}
	_, stderr := f.must(t, "", "resolve", "video/crop", "--stats")
	line, summary, _ := strings.Cut(stderr, "\n")
	if !strings.HasPrefix(line, "storage: requests=") || !strings.Contains(line, " writes=0 ") || summary != "new=1 stale=0 orphaned=0\n" {
		t.Errorf("--stats prints %q", stderr)
	}
	_, stderr = f.must(t, "", "resolve", "video/crop", "--stats", "--log-format", "json")
	line, _, _ = strings.Cut(stderr, "\n")
	var got statsLine
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if got.Message != "storage" || got.Reads == 0 || got.Lists == 0 || got.BytesRead == 0 || got.Writes != 0 ||
		got.Requests != got.Reads+got.Lists {
		t.Errorf("--stats in JSON: %+v", got)
	}
}
