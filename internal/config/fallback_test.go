package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// TestFallbacks opens chains of stores: what is wrong with one shows when it is asked, and not before.
func TestFallbacks(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"metaxy.toml": `
[stores.dev]
type = "s3parquet"
config = {root_path = "dev", fallback_stores = ["a", "b"]}
[stores.a]
type = "s3parquet"
config = {root_path = "a"}
[stores.b]
type = "s3parquet"
config = {root_path = "b", hash_algorithm = "xxh3_64", fallback_stores = ["a"]}
[stores.circle]
type = "s3parquet"
config = {root_path = "c", fallback_stores = ["round"]}
[stores.round]
type = "s3parquet"
config = {root_path = "d", fallback_stores = ["circle"]}
[stores.lost]
type = "s3parquet"
config = {root_path = "e", fallback_stores = ["nothing"]}
[stores.mixed]
type = "s3parquet"
config = {root_path = "f", fallback_stores = ["theirs"]}
[stores.theirs]
type = "` + typeDelta + `"
config = {root_path = "g"}
[stores.other]
type = "s3parquet"
config = {root_path = "h", fallback_stores = ["duck"]}
[stores.duck]
type = "metaxy.ext.duckdb.DuckDBMetadataStore"
`})
	c, err := Load(Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Stores { // relative paths are from the working directory
		s.Root = filepath.Join(dir, s.Root)
		c.Stores[name] = s
	}
	for name, want := range map[string]string{
		"dev": "", "circle": `store "circle": configuration: the stores fall back to each other in a circle: circle -> round -> circle`,
		"lost": "there is no such store", "mixed": `it uses hash_algorithm xxhash32, and store "mixed"`, "other": "no store of type",
	} {
		st, err := c.OpenStore(t.Context(), c.Stores[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = st.Snapshot(t.Context(), "video")
		switch {
		case want == "" && !errors.Is(err, store.ErrNoTable):
			t.Errorf("%s: %v, want that there is no table", name, err)
		case want != "" && (!errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if _, err := store.Local(st).Snapshot(t.Context(), "video"); !errors.Is(err, store.ErrNoTable) {
			t.Errorf("%s: the store itself: %v", name, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a store that was only read exists: %v", err)
	}
}

// TestRefusedOptions passes over options that change nothing that matters, and refuses those that do.
func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]string{
		`aws_server_side_encryption = "aws:kms"`: "refused", `AWS_SSE_KMS_KEY_ID = "x"`: "refused", `skip_signature = "true"`: "refused",
		`AWS_IAM_ROLE_ARN = "x"`: "refused", `allow_invalid_certificates = "true"`: "refused", `allow_http = "maybe"`: "refused",
		`timeout = "30s"`: "warned", `weather = "fine"`: "warned", `AWS_S3_LOCKING_PROVIDER = "dynamodb"`: "", `aws_region = "eu"`: "",
	} {
		text := "[stores.dev]\ntype = \"s3parquet\"\n[stores.dev.config]\nroot_path = \"s3://b\"\n[stores.dev.config.storage_options]\n" + option
		c, err := Load(Source{Dir: write(t, map[string]string{"metaxy.toml": text})})
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(option, " ")
		unusable := c.Stores["dev"].Unusable
		if (unusable != nil) != (want == "refused") || unusable != nil && !strings.Contains(unusable.Error(), name) {
			t.Errorf("%s: %v, want %q", option, unusable, want)
		}
		if (len(c.Warnings) > 0) != (want == "warned") {
			t.Errorf("%s: warnings %q, want %q", option, c.Warnings, want)
		}
	}
}
