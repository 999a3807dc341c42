package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A BlobStore keeps objects in buckets. Packages s3pipes, gcspipes, azurepipes and databricks have one each. Its errors
// wrap [ErrRefused] if trying again would not help.
type BlobStore interface {
	// Get returns an object's content. An implementation reads it by [ReadBlob], which bounds it.
	Get(ctx context.Context, bucket, key string) ([]byte, error)
	// Create stores an object, unless there is one under its key already; then the error wraps fs.ErrExist and the object
	// is left as it is. An object is there whole or not at all.
	Create(ctx context.Context, bucket, key string, data []byte) error
}

// ErrRefused is wrapped by errors of a [BlobStore] that trying again would not help against, such as a missing
// permission.
var ErrRefused = errors.New("pipes: refused by the store")

// Blobs are a context and a channel in an object store: it implements both [ContextLoader] and [MessageOpener]. Payloads
// that name no bucket are left to [DefaultContext] and [DefaultMessages], so that one program works under launchers with
// and without an object store.
type Blobs struct {
	// Store keeps the objects; nil is refused.
	Store BlobStore
	// Chunks says how messages are uploaded; the zero value means the defaults.
	Chunks ChunkOptions
}

// LoadContext implements [ContextLoader]: it reads the object that the payload's keys bucket and key name.
func (b Blobs) LoadContext(ctx context.Context, params json.RawMessage) (*ContextData, error) {
	o, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	if !o.has("bucket") {
		return DefaultContext{}.LoadContext(ctx, params)
	}
	bucket, key, err := members(o, "bucket", "key")
	if err == nil && key == "" {
		err = errors.New("the key of the context is missing or empty")
	}
	if err != nil {
		return nil, err
	}
	return ReadContext(ctx, b.Store, bucket, key)
}

// ReadContext reads a step's context from an object. A read that fails for a passing reason is tried again, a few times.
func ReadContext(ctx context.Context, store BlobStore, bucket, key string) (*ContextData, error) {
	text, err := store.Get(ctx, bucket, key)
	for pause := firstPause; err != nil && !errors.Is(err, ErrRefused) && pause < longestPause; pause *= 3 {
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
		text, err = store.Get(ctx, bucket, key)
	}
	if err != nil {
		return nil, err
	}
	data := new(ContextData)
	if err := data.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("object %q: %w", key, err)
	}
	return data, nil
}

// OpenMessages implements [MessageOpener]: messages go into the bucket that the payload names, below its key_prefix, by a
// [ChunkWriter].
func (b Blobs) OpenMessages(ctx context.Context, params json.RawMessage) (MessageWriter, error) {
	o, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	if !o.has("bucket") {
		return DefaultMessages{}.OpenMessages(ctx, params)
	}
	bucket, prefix, err := members(o, "bucket", "key_prefix")
	if err != nil {
		return nil, err
	}
	return NewChunkWriter(b.Store, bucket, prefix, b.Chunks), nil
}

// members reads two strings, of which the first may not be empty.
func members(o object, first, second string) (a, b string, err error) {
	a, errA := member[string](o, first)
	b, errB := member[string](o, second)
	if errA == nil && a == "" {
		errA = fmt.Errorf("read %q: it is empty", first)
	}
	return a, b, errors.Join(errA, errB)
}
