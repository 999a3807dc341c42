package azurepipes_test

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

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/azurepipes"
)

// A cloud answers as Azure Blob Storage does to Put Blob and Get Blob
// (https://learn.microsoft.com/rest/api/storageservices/put-blob).
type cloud struct {
	mu    sync.Mutex
	blobs map[string]string
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fail := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	data, there := c.blobs[r.URL.Path]
	switch {
	case strings.HasPrefix(r.URL.Path, "/forbidden/"):
		fail(http.StatusForbidden, "AuthorizationPermissionMismatch")
	case r.Method == http.MethodPut && r.Header.Get("x-ms-blob-type") == "BlockBlob":
		if there && r.Header.Get("If-None-Match") == "*" {
			fail(http.StatusConflict, "BlobAlreadyExists")
			return
		}
		body, _ := io.ReadAll(r.Body)
		c.blobs[r.URL.Path] = string(body)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet && there:
		_, _ = io.WriteString(w, data)
	default:
		fail(http.StatusNotFound, "BlobNotFound")
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&cloud{blobs: map[string]string{}})
	defer server.Close()
	client, err := azblob.NewClientWithNoCredential(server.URL, &azblob.ClientOptions{
		ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	store := azurepipes.New(client).Store
	if err := store.Create(t.Context(), "container", "run/m/1.json", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), "container", "run/m/1.json", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
	if data, err := store.Get(t.Context(), "container", "run/m/1.json"); string(data) != "first" || err != nil {
		t.Errorf("Get: %q, %v", data, err)
	}
	if _, err := store.Get(t.Context(), "container", "none"); !errors.Is(err, pipes.ErrRefused) {
		t.Errorf("Get of what is not there: %v, want ErrRefused", err)
	}
	if err := store.Create(t.Context(), "forbidden", "k", nil); !errors.Is(err, pipes.ErrRefused) ||
		!strings.Contains(err.Error(), "AuthorizationPermissionMismatch") {
		t.Errorf("Create without permission: %v, want the service's reason", err)
	}
	server.Close()
	if err := store.Create(t.Context(), "container", "k", nil); err == nil || errors.Is(err, pipes.ErrRefused) {
		t.Errorf("Create without a service: %v, want an error that may pass", err)
	}
}

// TestHostileServers has servers that answer with 1 TB, and one that nobody vouches for.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	get := func(server *httptest.Server) error {
		defer server.Close()
		client, err := azblob.NewClientWithNoCredential(server.URL, &azblob.ClientOptions{
			ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = azurepipes.New(client).Store.Get(t.Context(), "container", "k")
		return err
	}
	err := get(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1099511627776")
		_, _ = io.WriteString(w, "{")
	})))
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "container/k") || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a blob of 1 TB: %v, want an error that names it and the bound", err)
	}
	impostor := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request got through") }))
	impostor.Config.ErrorLog = log.New(io.Discard, "", 0)
	impostor.StartTLS()
	err = get(impostor)
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "certificate") || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}
