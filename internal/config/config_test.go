package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
)

// write makes files in a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDiscovery looks for the file as Metaxy does: METAXY_CONFIG, then upwards, metaxy.toml before pyproject.toml, and
// a pyproject.toml only with something in [tool.metaxy].
func TestDiscovery(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"metaxy.toml":           `project = "top"`,
		"a/pyproject.toml":      "[tool.metaxy]\nproject = \"py\"",
		"a/b/pyproject.toml":    "[tool.metaxy]\n[tool.other]\nx = 1",
		"a/b/c/d/x":             "",
		"both/metaxy.toml":      `project = "both"`,
		"both/pyproject.toml":   "[tool.metaxy]\nproject = \"py\"",
		"elsewhere/config.toml": `project = "env"`,
	})
	elsewhere := filepath.Join(dir, "elsewhere", "config.toml")
	for _, c := range []struct {
		src  Source
		want string
	}{
		{Source{Dir: dir}, "top"},
		{Source{Dir: filepath.Join(dir, "a", "b", "c", "d")}, "py"},
		{Source{Dir: filepath.Join(dir, "both")}, "both"},
		{Source{Dir: dir, Environ: []string{"METAXY_CONFIG=" + elsewhere}}, "env"},
		{Source{Dir: dir, Environ: []string{"METAXY_CONFIG=" + elsewhere}, Path: filepath.Join(dir, "metaxy.toml")}, "top"},
		{Source{Dir: dir, Environ: []string{"METAXY_PROJECT=name"}}, "name"},
	} {
		got, err := Load(c.src)
		if err != nil || got.Project != c.want {
			t.Errorf("%+v: got %+v, %v, want project %q", c.src, got, err, c.want)
		}
	}
}

// TestExpand replaces variables at any depth.
func TestExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "a", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for in, want := range map[string]string{
		"${A}": "a", "x${A}y${A}": "xaya", "${NO}": "", "${NO:-d}": "d", "${EMPTY:-d}": "", "${NO:-}": "", "$A $$ ${": "$A $$ ${",
		"${A:x}": "${A:x}", "${NO:-a b/c}": "a b/c",
	} {
		nested := expand(map[string]any{"l": []any{in, int64(1)}}, lookup)
		if got := nested.(map[string]any)["l"].([]any)[0]; got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// TestExtend lays files over each other, with feature paths relative to the file that names them.
func TestExtend(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"base/base.toml": "project = \"base\"\nstore = \"b\"\n[stores.b]\ntype = \"s3parquet\"\nconfig = {root_path = \"x\"}\n" +
			"[ext.metaxy_pipes]\nfeatures = [\"f.yaml\"]",
		"metaxy.toml": "extend = \"base/base.toml\"\nproject = \"own\"\n[stores.c]\n" +
			"type = \"s3parquet\"\nconfig = {root_path = \"y\"}",
		"circle.toml": "extend = \"circle.toml\"",
		"lost.toml":   "extend = \"gone.toml\"",
	})
	c, err := Load(Source{Path: filepath.Join(dir, "metaxy.toml")})
	if err != nil {
		t.Fatal(err)
	}
	if c.Project != "own" || c.Store != "b" || len(c.Stores) != 2 || len(c.Pipes.Features) != 1 ||
		c.Pipes.Features[0] != filepath.Join(dir, "base", "f.yaml") {
		t.Errorf("got %+v", c)
	}
	for name, want := range map[string]string{"circle.toml": "circle", "lost.toml": "there is no such file"} {
		_, err := Load(Source{Path: filepath.Join(dir, name)})
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestStorageOptions reads the spellings of delta-rs.
func TestStorageOptions(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"metaxy.toml": `[stores.dev]
type = "` + typeDelta + `"
[stores.dev.config]
root_path = "s3://b/p"
layout = "flat"
delta_write_options = {}
[stores.dev.config.storage_options]
aws_access_key_id = "id"
SECRET_ACCESS_KEY = "secret"
AWS_SESSION_TOKEN = "token"
AWS_DEFAULT_REGION = "eu"
endpoint_url = "http://localhost"
AWS_ALLOW_HTTP = "true"
aws_virtual_hosted_style_request = "false"
AWS_S3_ALLOW_UNSAFE_RENAME = "true"
`})
	c, err := Load(Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.Locate("")
	if err != nil {
		t.Fatal(err)
	}
	o := st.S3
	if o.AccessKeyID != "id" || o.SecretAccessKey != "secret" || o.SessionToken != "token" || o.Region != "eu" ||
		o.Endpoint != "http://localhost" || !o.AllowHTTP || o.PathStyle == nil || !*o.PathStyle || !st.Flat {
		t.Errorf("got %+v", st)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
	want := Hashing{Hashing: engine.Hashing{Algorithm: "xxhash32", TruncationLength: 8}, AlgorithmSet: true, LengthSet: true}
	if got := c.Hashing(st); got != want {
		t.Errorf("hashing %+v, want Metaxy's defaults %+v", got, want)
	}
}

// TestLocate tells names from locations.
func TestLocate(t *testing.T) {
	t.Parallel()
	c := &Config{Stores: map[string]StoreConfig{"dev": {Name: "dev", Root: "r"}}}
	for in, want := range map[string]string{"": "r", "dev": "r", "./x": "./x", "s3://b/p": "s3://b/p", "/x": "/x", "~": "~", ".": "."} {
		if got, err := c.Locate(in); err != nil || got.Root != want {
			t.Errorf("%q: got %q, %v, want %q", in, got.Root, err, want)
		}
	}
	if _, err := c.Locate("dve"); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "did you mean dev?") {
		t.Errorf("dve: %v", err)
	}
	none := &Config{}
	if got, err := none.Locate("word"); err != nil || got.Root != "word" {
		t.Errorf("without stores a word is a path: %q, %v", got.Root, err)
	}
	if _, err := none.Locate(""); !errors.Is(err, ErrConfig) {
		t.Errorf("no store at all: %v", err)
	}
}

// TestEnvironment reaches into stores that the file does not have, and leaves variables of others alone.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{Path: os.DevNull, Environ: []string{
		"METAXY_STORES__DEV__TYPE=s3parquet", "METAXY_STORES__DEV__CONFIG__ROOT_PATH=/x", "METAXY_DISABLE_TELEMETRY=yes",
		"METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS__AWS_REGION=eu", "METAXY_SYNC=false", "METAXY=1", "OTHER=2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if st := c.Stores["dev"]; st.Root != "/x" || st.S3.Region != "eu" {
		t.Errorf("got %+v", st)
	}
	for _, entry := range []string{"METAXY_STORES=x", "METAXY_STORES__DEV=x", "METAXY_SYNC=maybe", "METAXY_PROJECT="} {
		if _, err := Load(Source{Path: os.DevNull, Environ: []string{entry, "METAXY_STORES__DEV__TYPE=s3parquet"}}); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", entry, err)
		}
	}
}

// FuzzParse checks that no file crashes the reader, and that what is refused is refused as a configuration.
func FuzzParse(f *testing.F) {
	f.Add("store = \"dev\"\n[stores.dev]\ntype = \"s3parquet\"\nconfig = {root_path = \"x\", storage_options = {a = 1}}")
	f.Add("[ext.metaxy_pipes]\nconcurrency = 1\nmax_failed = \"1%\"\nfeatures = [1]")
	f.Add("extend = 1\nproject = [[]]\n[[stores]]\n")
	f.Add("hash_truncation_length = 8.0\nstores = {x = {type = 1, config = []}}")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseFile("metaxy.toml", []byte(text))
		if err == nil {
			anchorFeatures(values, "/")
			expand(values, func(string) (string, bool) { return "", false })
			_, err = interpret(values)
		}
		if err != nil && !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v does not wrap ErrConfig", text, err)
		}
	})
}
