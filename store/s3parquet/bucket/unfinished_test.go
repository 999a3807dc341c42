package bucket_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

func unfinished(t *testing.T, f bucket.Finisher, prefix string) (names []string, all []bucket.Unfinished) {
	t.Helper()
	for u, err := range f.ListUnfinished(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		names, all = append(names, u.Name), append(all, u)
	}
	slices.Sort(names)
	return names, all
}

// What a killed writer has begun in a folder can be found and removed, and nothing else can by that way.
func TestUnfinishedInAFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, err := bucket.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if names, _ := unfinished(t, dir, "a.delta/"); len(names) != 0 {
		t.Errorf("nowhere there is %q", names)
	}
	for _, name := range []string{"a.delta/part-0.parquet", "a.delta/_delta_log/0.json", "ab.delta/part-0.parquet"} {
		if _, err := dir.Put(t.Context(), name, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	begun := []string{"a.delta/.metaxy-tmp-1", "a.delta/_delta_log/.metaxy-tmp-2", "ab.delta/.metaxy-tmp-3"}
	for _, name := range begun {
		if err := os.WriteFile(filepath.Join(root, name), []byte("begun"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b := bucket.Meter(dir).(bucket.Finisher)
	names, all := unfinished(t, b, "a.delta/")
	if !slices.Equal(names, begun[:2]) || all[0].Size != 5 || all[0].ModTime.IsZero() {
		t.Errorf("there is %+v", all)
	}
	for range 2 { // the second time they are gone already
		for _, u := range all {
			if err := b.DeleteUnfinished(t.Context(), u); err != nil {
				t.Error(err)
			}
		}
	}
	if names, _ := unfinished(t, b, ""); !slices.Equal(names, begun[2:]) {
		t.Errorf("left is %q", names)
	}
	for _, name := range []string{"a.delta/part-0.parquet", "../.metaxy-tmp-4", "/.metaxy-tmp-4", ""} {
		if err := b.DeleteUnfinished(t.Context(), bucket.Unfinished{Name: name}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("deleting %q: %v", name, err)
		}
	}
}

// An upload in parts that is under way can be taken back; one that is complete is left alone.
func TestUnfinishedOnS3(t *testing.T) {
	t.Parallel()
	client, name := rawClient(t)
	b := openOn(t, *client.Options().BaseEndpoint, name).(bucket.Finisher)
	key := "a.delta/part-0.parquet"
	if _, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &name, Key: &key}); err != nil {
		t.Fatal(err)
	}
	names, all := unfinished(t, b, key) // MinIO answers for whole keys only
	if !slices.Equal(names, []string{key}) || all[0].ModTime.IsZero() {
		t.Fatalf("there is %+v", all)
	}
	if _, err := b.Put(t.Context(), key, strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.DeleteUnfinished(t.Context(), all[0]); err != nil {
			t.Error(err)
		}
	}
	if n := uploads(t, client, name, key); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if body, err := b.Get(t.Context(), key, 0, -1); err != nil {
		t.Errorf("the object is gone: %v", err)
	} else {
		body.Close()
	}
}
