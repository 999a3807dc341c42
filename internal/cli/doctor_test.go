package cli

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// badS3 is an object store with a fault of its own. It checks no signatures.
type badS3 struct {
	overwrites bool                      // ignores If-None-Match
	ahead      time.Duration             // of its clock
	denied     map[string]bool           // HTTP methods, and LIST, that are refused
	answer     func(http.ResponseWriter) // to every request; nil answers properly

	mu      sync.Mutex
	objects map[string]string
}

type listing struct {
	XMLName  xml.Name `xml:"ListBucketResult"`
	Contents []listed
}

type listed struct {
	Key, LastModified, ETag string
	Size                    int
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
}

// ServeHTTP implements http.Handler.
func (s *badS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		s.answer(w)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	list := r.Method == http.MethodGet && r.URL.Query().Has("list-type")
	body, there := s.objects[key]
	switch {
	case s.denied[r.Method] && !list, s.denied["LIST"] && list:
		refuse(w, http.StatusForbidden, "AccessDenied")
	case list:
		s.list(w, r.URL.Query().Get("prefix"))
	case r.Method == http.MethodPut && there && r.Header.Get("If-None-Match") == "*" && !s.overwrites:
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case r.Method == http.MethodPut:
		all, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		if s.objects == nil {
			s.objects = map[string]string{}
		}
		s.objects[key] = string(all)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}
}

func (s *badS3) list(w http.ResponseWriter, prefix string) {
	var out listing
	for key, body := range s.objects {
		if strings.HasPrefix(key, prefix) {
			out.Contents = append(out.Contents, listed{key, time.Now().Add(s.ahead).UTC().Format(time.RFC3339), "x", len(body)})
		}
	}
	slices.SortFunc(out.Contents, func(a, b listed) int { return strings.Compare(a.Key, b.Key) })
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(out); err != nil {
		panic(err)
	}
}

// TestDoctorFindsTheFault gives doctor object stores with one fault each: it names that one and says what to do.
func TestDoctorFindsTheFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store *badS3
		says  []string
	}{
		"good":             {&badS3{}, nil},
		"no put-if-absent": {&badS3{overwrites: true}, []string{"FAIL  put-if-absent  an object was created twice", "-> this storage ignores If-None-Match"}},
		"clock ahead":      {&badS3{ahead: time.Minute}, []string{"FAIL  clock", "differ by", "-> set the clock"}},
		"clock behind":     {&badS3{ahead: -time.Minute}, []string{"FAIL  clock", "-> set the clock"}},
		"clock refused": {&badS3{answer: func(w http.ResponseWriter) { refuse(w, 403, "RequestTimeTooSkewed") }},
			[]string{"FAIL  store", "check the clock of this machine"}},
		"region": {&badS3{answer: func(w http.ResponseWriter) { refuse(w, 400, "AuthorizationHeaderMalformed") }},
			[]string{"FAIL  store", "is not in this region", "set AWS_REGION"}},
		"redirect": {&badS3{answer: func(w http.ResponseWriter) { refuse(w, 301, "PermanentRedirect") }},
			[]string{"FAIL  store", "is not in this region", "set AWS_REGION"}},
		"endpoint":  {&badS3{answer: func(w http.ResponseWriter) { w.WriteHeader(404) }}, []string{"FAIL  store", "check the endpoint"}},
		"bucket":    {&badS3{answer: func(w http.ResponseWriter) { refuse(w, 404, "NoSuchBucket") }}, []string{"FAIL  store", "there is no bucket", "create it"}},
		"no list":   {&badS3{denied: map[string]bool{"LIST": true}}, []string{"FAIL  store", "AccessDenied", "s3:ListBucket"}},
		"no put":    {&badS3{denied: map[string]bool{"PUT": true}}, []string{"FAIL  write", "AccessDenied", "s3:PutObject"}},
		"no get":    {&badS3{denied: map[string]bool{"GET": true}}, []string{"FAIL  read", "AccessDenied", "s3:GetObject"}},
		"no delete": {&badS3{denied: map[string]bool{"DELETE": true}}, []string{"FAIL  delete", "AccessDenied", "s3:DeleteObject"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.store)
			t.Cleanup(server.Close)
			f := newFixture()
			f.program.Store = nil
			stdout, _, code := f.run(t.Context(), "", "--config", storeConfig(t, server.URL), "doctor")
			if healthy := c.says == nil; healthy != (code == ExitOK) || healthy == strings.Contains(stdout, "FAIL") {
				t.Errorf("exit %d:\n%s", code, stdout)
			}
			for _, text := range c.says {
				if !strings.Contains(stdout, text) {
					t.Errorf("%q is not said:\n%s", text, stdout)
				}
			}
			if strings.Contains(stdout, "CANARY") {
				t.Errorf("a secret is shown:\n%s", stdout)
			}
		})
	}
}

// storeConfig writes a configuration with a store behind an endpoint.
func storeConfig(t *testing.T, endpoint string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metaxy.toml")
	text := fmt.Sprintf(`[stores.dev]
type = "s3parquet"
[stores.dev.config]
root_path = "s3://bucket/p"
[stores.dev.config.storage_options]
AWS_ENDPOINT_URL = %q
AWS_REGION = "us-east-1"
AWS_ACCESS_KEY_ID = "id"
AWS_SECRET_ACCESS_KEY = "CANARY"
`, endpoint)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDoctorTables has tables that cannot be worked with, and one with files that nobody needs.
func TestDoctorTables(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.program.Store = nil
	dir := t.TempDir()
	f.must(t, `{"id":"a"}`, "ingest", "video", "--from", "-", "--store", dir)
	old := time.Now().Add(-2 * strayAge)
	for name, at := range map[string]time.Time{"part-00000-stray.parquet": old, "part-00000-new.parquet": time.Now(), "_x/part.parquet": old} {
		path := filepath.Join(dir, "video.delta", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("0123456789"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _ := f.must(t, "", "doctor", "--store", dir)
	if !strings.Contains(stdout, "; 1 files of 10 bytes that no version names") || !strings.Contains(stdout, "vacuum removes them") {
		t.Errorf("the stray file is not told:\n%s", stdout)
	}

	log := filepath.Join(dir, "video", "crop.delta", "_delta_log")
	if err := os.MkdirAll(log, 0o755); err != nil {
		t.Fatal(err)
	}
	for commit, says := range map[string]string{
		`{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}`: "it can be read only: ",
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}`: "deletionVectors",
		`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{"metaxy.hash_algorithm":"md5","metaxy.hash_truncation_length":"12"}}}`: "md5",
	} {
		if err := os.WriteFile(filepath.Join(log, "00000000000000000000.json"), []byte(commit), 0o644); err != nil {
			t.Fatal(err)
		}
		stdout, _, code := f.run(t.Context(), "", "doctor", "--store", dir)
		if code != ExitFailed || !strings.Contains(stdout, "FAIL  table video/crop") || !strings.Contains(stdout, says) {
			t.Errorf("exit %d, %q is not said:\n%s", code, says, stdout)
		}
		if !strings.Contains(stdout, "ok    table video ") {
			t.Errorf("the other table is not well any more:\n%s", stdout)
		}
	}
}

// TestDoctorReadsWhatOthersFeed has a root table that only others may write, which is nobody's fault.
func TestDoctorReadsWhatOthersFeed(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.program.Store = nil
	dir := t.TempDir()
	log := filepath.Join(dir, "video.delta", "_delta_log")
	if err := os.MkdirAll(log, 0o755); err != nil {
		t.Fatal(err)
	}
	commit := `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}`
	if err := os.WriteFile(filepath.Join(log, "00000000000000000000.json"), []byte(commit), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, _ := f.must(t, "", "doctor", "--store", dir)
	if !strings.Contains(stdout, "it can be read only: ") || !strings.Contains(stdout, "rowTracking") {
		t.Errorf("what cannot be written is not said:\n%s", stdout)
	}
}

// TestDoctorFindsNobody names an endpoint at which nobody listens.
func TestDoctorFindsNobody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	f := newFixture()
	f.program.Store = nil
	stdout, _, code := f.run(t.Context(), "", "--config", storeConfig(t, server.URL), "doctor")
	if code != ExitFailed || !strings.Contains(stdout, "FAIL  store") || !strings.Contains(stdout, "cannot reach "+server.URL) ||
		!strings.Contains(stdout, "check the endpoint") || strings.Contains(stdout, "CANARY") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}
