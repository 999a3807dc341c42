package pipes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// objects is a store in memory whose Create fails as fail says, which is called with the number of the call.
type objects struct {
	mu      sync.Mutex
	stored  map[string][]byte
	created []string // keys, in order
	calls   int
	fail    func(call int) (after bool, err error)
}

func (o *objects) Get(_ context.Context, bucket, key string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, ok := o.stored[bucket+"/"+key]
	if !ok {
		return nil, fmt.Errorf("%w: %s", pipes.ErrRefused, key)
	}
	return data, nil
}

func (o *objects) Create(_ context.Context, bucket, key string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	after, err := false, error(nil)
	if o.fail != nil {
		after, err = o.fail(o.calls)
	}
	if err != nil && !after {
		return err
	}
	if _, there := o.stored[bucket+"/"+key]; there {
		return &fs.PathError{Op: "create", Path: key, Err: fs.ErrExist}
	}
	if o.stored == nil {
		o.stored = map[string][]byte{}
	}
	o.stored[bucket+"/"+key] = bytes.Clone(data)
	o.created = append(o.created, key)
	return err
}

// read returns the messages of the chunks below a prefix as Dagster reads them: number by number from 1, up to the first
// that is missing.
func (o *objects) read(t *testing.T, prefix string) []pipes.Message {
	t.Helper()
	var lines [][]byte
	for n := 1; ; n++ {
		chunk, ok := o.stored[prefix+"/"+strconv.Itoa(n)+".json"]
		if !ok {
			break
		}
		lines = append(lines, chunk)
	}
	return decodeLines(t, append(bytes.Join(lines, []byte("\n")), '\n'))
}

// openBlobs opens a session whose context and messages are objects.
func openBlobs(t *testing.T, o *objects, chunks pipes.ChunkOptions) *pipes.Session {
	t.Helper()
	if o.stored == nil {
		o.stored = map[string][]byte{}
	}
	o.stored["b/run/context.json"] = []byte(`{"run_id": "r1", "asset_keys": ["a"]}`)
	opts := bootstrap(t, `{"bucket": "b", "key": "run/context.json"}`, `{"bucket": "b", "key_prefix": "run/m"}`)
	blobs := pipes.Blobs{Store: o, Chunks: chunks}
	opts.Context, opts.Messages = blobs, blobs
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

var errPassing = errors.New("503 slow down")

func TestChunksHaveNoGapsWhateverFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(int) (bool, error){
		"nothing":                    nil,
		"every second call":          func(n int) (bool, error) { return false, only(n%2 == 1) },
		"after the work was done":    func(n int) (bool, error) { return true, only(n%2 == 1) },
		"two of three, either way":   func(n int) (bool, error) { return n%3 == 1, only(n%3 != 0) },
		"the first ten calls, after": func(n int) (bool, error) { return true, only(n <= 10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := &objects{fail: fail}
				s := openBlobs(t, o, pipes.ChunkOptions{MaxChunk: 300})
				for i := range 50 {
					if err := s.Send(t.Context(), i); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				want := "opened" + strings.Repeat(" report_custom_message", 50) + " closed"
				if got := methods(o.read(t, "b/run/m")); got != want {
					t.Errorf("messages: %s", got)
				}
				if len(o.created) < 5 {
					t.Errorf("chunks %q: want several", o.created)
				}
			})
		})
	}
}

func only(failed bool) error {
	if failed {
		return errPassing
	}
	return nil
}

func TestMessagesAreUploadedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := new(objects)
		s := openBlobs(t, o, pipes.ChunkOptions{})
		synctest.Wait()
		if got := methods(o.read(t, "b/run/m")); got != "opened" {
			t.Errorf("at once: %q, want that the process has opened", got)
		}
		if err := s.Send(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := methods(o.read(t, "b/run/m")); got != "opened report_custom_message" {
			t.Errorf("ten seconds later: %q", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseGivesUpAndTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		long time.Duration
	}{
		"a failure that may pass": {errPassing, time.Minute},
		"a refusal":               {fmt.Errorf("%w: 403", pipes.ErrRefused), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := &objects{fail: func(int) (bool, error) { return false, c.err }}
				s := openBlobs(t, o, pipes.ChunkOptions{})
				_ = s.Send(t.Context(), "x") // reported to nobody
				begin := time.Now()
				err := s.Close()
				if !errors.Is(err, c.err) || !strings.Contains(err.Error(), "3 messages did not reach Dagster") {
					t.Errorf("Close() = %v, want the number of messages and %v", err, c.err)
				}
				if took := time.Since(begin); took > c.long+time.Second {
					t.Errorf("Close() took %v", took)
				}
			})
		})
	}
}

// TestSecondStartPassesOver has a process that is started a second time with the same bootstrap, as by a pod that restarts.
func TestSecondStartPassesOver(t *testing.T) {
	t.Parallel()
	o := new(objects)
	for run := range 2 {
		s := openBlobs(t, o, pipes.ChunkOptions{})
		if err := errors.Join(s.Send(t.Context(), run), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	messages := o.read(t, "b/run/m")
	var payloads []string
	for _, m := range messages {
		if m.Method == pipes.MethodCustom {
			payloads = append(payloads, string(m.Params))
		}
	}
	if !slices.Equal(payloads, []string{`{"payload":0}`, `{"payload":1}`}) {
		t.Errorf("payloads %q, want those of both runs, in chunks that are not replaced", payloads)
	}
}

func TestBlobsFallBackToFiles(t *testing.T) {
	t.Parallel()
	params, path := messagesFile(t, "")
	opts := bootstrap(t, `{"data": {"run_id": "r"}}`, params)
	blobs := pipes.Blobs{Store: new(objects)}
	opts.Context, opts.Messages = blobs, blobs
	s, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || s.Data().RunID != "r" {
		t.Errorf("run %q, %v", s.Data().RunID, err)
	}
	if got := methods(readMessages(t, path)); got != "opened closed" {
		t.Errorf("messages: %s", got)
	}
}

func TestMissingContextIsNamed(t *testing.T) {
	t.Parallel()
	o := new(objects)
	opts := bootstrap(t, `{"bucket": "b", "key": "gone.json"}`, `{"bucket": "b", "key_prefix": ""}`)
	blobs := pipes.Blobs{Store: o}
	opts.Context, opts.Messages = blobs, blobs
	if _, err := pipes.Open(t.Context(), opts); !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "gone.json") {
		t.Errorf("error = %v, want one that names the object", err)
	}
	if got := methods(o.readRoot(t)); got != "opened closed" {
		t.Errorf("messages: %s, want that Dagster hears of it", got)
	}
}

// readRoot is read for chunks without a prefix.
func (o *objects) readRoot(t *testing.T) []pipes.Message { return o.read(t, "b") }
