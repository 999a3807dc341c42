package pipes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"time"
)

// ChunkOptions say how a [ChunkWriter] uploads. The zero value means the defaults.
type ChunkOptions struct {
	// Interval is the longest time that a message waits for its upload to begin; 0 means 5 seconds.
	Interval time.Duration
	// CloseTimeout is how long closing may take, with all attempts to upload what is left; 0 means a minute.
	CloseTimeout time.Duration
	// MaxChunk is the length in bytes of the longest chunk, unless a single message is longer; 0 means 4 MiB.
	MaxChunk int
	// OpenedExtras go into the opened message; nil means none.
	OpenedExtras map[string]any
}

const (
	attemptTimeout = 30 * time.Second // of one upload
	maxBacklog     = 64 << 20         // bytes of messages that wait for an upload
	maxBlobMessage = 16 << 20         // bytes of one message
	firstPause     = 200 * time.Millisecond
	longestPause   = 5 * time.Second
)

// A ChunkWriter is a [MessageWriter] that gathers messages and uploads them as numbered objects, 1.json, 2.json and so
// on, each of JSON texts joined by newlines. The reader waits for the next number and takes each once. So the numbers
// have no gaps, a chunk whose upload failed is tried again under its number and with the same content, and an object that
// is there already, because the process was started a second time, is not replaced but passed over.
type ChunkWriter struct {
	store          BlobStore
	bucket, prefix string
	options        ChunkOptions

	cancel context.CancelFunc // of uploads
	urgent chan struct{}      // there is something to upload at once
	close  chan struct{}      // closed by Close
	ended  chan struct{}      // closed when the last upload is over

	mu       sync.Mutex
	messages []byte // that are in no chunk yet, each ended by a newline
	begun    bool
	err      error // of the last attempt to upload

	// Of the uploading goroutine.
	number int    // of the next chunk
	chunk  []byte // that is being uploaded; nil if there is none
	said   bool   // a failure was told on standard error
}

// NewChunkWriter returns a writer of objects below a prefix, "" for none. Its uploads go on until it is closed.
func NewChunkWriter(store BlobStore, bucket, prefix string, o ChunkOptions) *ChunkWriter {
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = time.Minute
	}
	if o.MaxChunk <= 0 {
		o.MaxChunk = 4 << 20
	}
	if prefix != "" {
		prefix += "/"
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &ChunkWriter{
		store: store, bucket: bucket, prefix: prefix, options: o, cancel: cancel, number: 1,
		urgent: make(chan struct{}, 1), close: make(chan struct{}), ended: make(chan struct{}),
	}
	go w.run(ctx)
	return w
}

// OpenedExtras implements [Announcer].
func (w *ChunkWriter) OpenedExtras() map[string]any { return w.options.OpenedExtras }

// SafeLength implements [Limited].
func (w *ChunkWriter) SafeLength() int { return maxBlobMessage }

// WriteMessage implements [MessageWriter]. It does not wait for an upload. When uploads have failed for so long that too
// much is waiting, the message is refused.
func (w *ChunkWriter) WriteMessage(_ context.Context, m *Message) error {
	line, err := m.Line()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.messages)+len(line) > maxBacklog {
		return fmt.Errorf("%d bytes of messages wait for their upload: %w", len(w.messages), w.err)
	}
	w.messages = append(w.messages, line...)
	if !w.begun || len(w.messages) >= w.options.MaxChunk {
		w.begun = true // the first message is uploaded at once, since the reader waits for it
		select {
		case w.urgent <- struct{}{}:
		default:
		}
	}
	return nil
}

// Close implements [MessageWriter]: it uploads what is left, again and again until it succeeds, the store refuses it or
// the time is over.
func (w *ChunkWriter) Close() error {
	timeout := time.AfterFunc(w.options.CloseTimeout, w.cancel)
	defer timeout.Stop()
	defer w.cancel()
	close(w.close)
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		return nil
	}
	lost := bytes.Count(w.messages, []byte("\n"))
	if w.chunk != nil {
		lost += bytes.Count(w.chunk, []byte("\n")) + 1
	}
	return fmt.Errorf("%d messages did not reach Dagster: %w", lost, w.err)
}

// run uploads until the writer is closed.
func (w *ChunkWriter) run(ctx context.Context) {
	defer close(w.ended)
	tick := time.NewTicker(w.options.Interval)
	defer tick.Stop()
	for {
		select {
		case <-w.close:
			w.finish(ctx)
			return
		case <-w.urgent:
		case <-tick.C:
		}
		w.uploadAll(ctx)
	}
}

// finish uploads what is left.
func (w *ChunkWriter) finish(ctx context.Context) {
	for pause := firstPause; !w.uploadAll(ctx) && !errors.Is(w.err, ErrRefused); pause = min(2*pause, longestPause) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// uploadAll uploads all messages and reports whether that was done.
func (w *ChunkWriter) uploadAll(ctx context.Context) bool {
	for w.next() {
		err := w.upload(ctx)
		if err != nil {
			err = fmt.Errorf("upload chunk %s%d.json: %w", w.prefix, w.number, err)
			if !w.said {
				w.said = true
				complain(fmt.Errorf("pipes: %w; it is tried again", err))
			}
		}
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		if err != nil {
			return false
		}
		w.number++
		w.chunk = nil
	}
	return true
}

// next makes a chunk of the oldest messages, unless there is one that could not be uploaded. That one stays as it is,
// because the failed attempt may have stored it all the same. It returns false if there is nothing to upload.
func (w *ChunkWriter) next() bool {
	if w.chunk != nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.messages) == 0 {
		return false
	}
	n := len(w.messages)
	if n > w.options.MaxChunk {
		n = bytes.LastIndexByte(w.messages[:w.options.MaxChunk], '\n') + 1
		if n == 0 {
			n = bytes.IndexByte(w.messages, '\n') + 1
		}
	}
	w.chunk = bytes.Clone(w.messages[:n-1])
	w.messages = append(w.messages[:0], w.messages[n:]...)
	return true
}

// upload stores the chunk under its number, or the next one that is free.
func (w *ChunkWriter) upload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	for {
		key := w.prefix + strconv.Itoa(w.number) + ".json"
		err := w.store.Create(ctx, w.bucket, key, w.chunk)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		there, err := w.store.Get(ctx, w.bucket, key)
		if err != nil {
			return fmt.Errorf("look at what is there already: %w", err)
		}
		if bytes.Equal(there, w.chunk) {
			return nil // an earlier attempt succeeded after all
		}
		w.number++
	}
}
