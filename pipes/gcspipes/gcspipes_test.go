package gcspipes

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// A cloud answers the two kinds of request as Google Cloud Storage's JSON interface does
// (https://cloud.google.com/storage/docs/json_api/v1/objects).
type cloud struct {
	mu      sync.Mutex
	objects map[string]string
}

func (s *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.EscapedPath()
	switch {
	case strings.Contains(path, "/b/forbidden/"):
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error": {"code": 403, "message": "no storage.objects.create access"}}`)
	case r.Method == http.MethodPost && path == "/upload/storage/v1/b/bucket/o":
		q := r.URL.Query()
		if q.Get("uploadType") != "media" || q.Get("ifGenerationMatch") != "0" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if _, there := s.objects[q.Get("name")]; there {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		data, _ := io.ReadAll(r.Body)
		s.objects[q.Get("name")] = string(data)
	case r.Method == http.MethodGet && r.URL.Query().Get("alt") == "media":
		name, ok := strings.CutPrefix(path, "/storage/v1/b/bucket/o/")
		name = strings.ReplaceAll(name, "%2F", "/")
		data, there := s.objects[name]
		if !ok || !there {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, data)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func TestObjects(t *testing.T) {
	server := httptest.NewServer(&cloud{objects: map[string]string{}})
	defer server.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(server.URL, "http://"))
	store := New(nil).Store
	if err := store.Create(t.Context(), "bucket", "run/m/1.json", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), "bucket", "run/m/1.json", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
	if data, err := store.Get(t.Context(), "bucket", "run/m/1.json"); string(data) != "first" || err != nil {
		t.Errorf("Get: %q, %v", data, err)
	}
	if _, err := store.Get(t.Context(), "bucket", "none"); !errors.Is(err, pipes.ErrRefused) {
		t.Errorf("Get of what is not there: %v, want ErrRefused", err)
	}
	err := store.Create(t.Context(), "forbidden", "k", nil)
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "storage.objects.create") {
		t.Errorf("Create without permission: %v, want the service's reason", err)
	}
	server.Close()
	if err := store.Create(t.Context(), "bucket", "k", nil); err == nil || errors.Is(err, pipes.ErrRefused) {
		t.Errorf("Create without a service: %v, want an error that may pass", err)
	}
}

// TestHostileServers has servers that answer with 1 TB, and one that nobody vouches for.
func TestHostileServers(t *testing.T) {
	giant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1099511627776")
		_, _ = io.WriteString(w, "{")
	}))
	defer giant.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", giant.URL)
	_, err := New(nil).Store.Get(t.Context(), "bucket", "k")
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "gs://bucket/k") || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an object of 1 TB: %v, want an error that names it and the bound", err)
	}
	impostor := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request got through") }))
	impostor.Config.ErrorLog = log.New(io.Discard, "", 0)
	impostor.StartTLS()
	defer impostor.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", impostor.URL)
	_, err = New(nil).Store.Get(t.Context(), "bucket", "k")
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "certificate") || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}
