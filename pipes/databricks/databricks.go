// Package databricks has the Pipes channels of Databricks jobs: DBFS, and Unity Catalog volumes on serverless compute.
// Both are folders for the program, so that it needs nothing but the standard library:
//
//	opts := &pipes.Options{Context: databricks.DBFS{}, Messages: databricks.DBFS{}}
//
// Dagster passes the parameters of a task on an existing cluster as command line options; add
// pipes.AnyParams{pipes.EnvParams{}, pipes.ArgParams{}} to understand both.
package databricks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// maxDBFSChunk is the length of what Dagster reads from DBFS in one call, with room to spare.
const maxDBFSChunk = 384 << 10

// DBFS is a context and a channel on DBFS, as Dagster's PipesDbfsContextInjector and PipesDbfsMessageReader have them. It
// implements [pipes.ContextLoader] and [pipes.MessageOpener].
type DBFS struct {
	// Mount is where DBFS is mounted; "" means /dbfs.
	Mount string
	// DriverLogs is the folder of the cluster's driver logs on DBFS, which Dagster then forwards; "" means none. With log
	// delivery to dbfs:/logs it is dbfs:/logs/CLUSTER-ID/driver.
	DriverLogs string
	// Chunks says how messages are uploaded; the zero value means the defaults, with chunks that Dagster can read.
	Chunks pipes.ChunkOptions
}

// LoadContext implements [pipes.ContextLoader].
func (d DBFS) LoadContext(ctx context.Context, params json.RawMessage) (*pipes.ContextData, error) {
	return loadContext(ctx, params, d.mounted)
}

// OpenMessages implements [pipes.MessageOpener].
func (d DBFS) OpenMessages(_ context.Context, params json.RawMessage) (pipes.MessageWriter, error) {
	o := d.Chunks
	if o.MaxChunk == 0 {
		o.MaxChunk = maxDBFSChunk
	}
	if d.DriverLogs != "" {
		o.OpenedExtras = map[string]any{"cluster_driver_log_root": d.DriverLogs}
	}
	return openMessages(params, d.mounted, o)
}

// mounted returns the path of a file of DBFS in the file system.
func (d DBFS) mounted(p string) string {
	mount := d.Mount
	if mount == "" {
		mount = "/dbfs"
	}
	return filepath.Join(mount, strings.TrimLeft(p, "/"))
}

// Volumes is a context and a channel on a Unity Catalog volume, as Dagster's PipesUnityCatalogVolumesContextInjector and
// PipesUnityCatalogVolumesMessageReader have them. It implements [pipes.ContextLoader] and [pipes.MessageOpener].
type Volumes struct {
	// Chunks says how messages are uploaded; the zero value means the defaults.
	Chunks pipes.ChunkOptions
}

// LoadContext implements [pipes.ContextLoader].
func (v Volumes) LoadContext(ctx context.Context, params json.RawMessage) (*pipes.ContextData, error) {
	return loadContext(ctx, params, path.Clean)
}

// OpenMessages implements [pipes.MessageOpener].
func (v Volumes) OpenMessages(_ context.Context, params json.RawMessage) (pipes.MessageWriter, error) {
	return openMessages(params, path.Clean, v.Chunks)
}

// loadContext reads the file that a payload names.
func loadContext(ctx context.Context, params json.RawMessage, local func(string) string) (*pipes.ContextData, error) {
	name, err := pathOf(params)
	if err != nil {
		return nil, err
	}
	return pipes.ReadContext(ctx, folder{}, "", local(name))
}

// openMessages writes chunks into the folder that a payload names.
func openMessages(
	params json.RawMessage, local func(string) string, o pipes.ChunkOptions,
) (pipes.MessageWriter, error) {
	name, err := pathOf(params)
	if err != nil {
		return nil, err
	}
	return pipes.NewChunkWriter(folder{}, "", local(name), o), nil
}

// pathOf reads the path of a payload.
func pathOf(params json.RawMessage) (string, error) {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(params, &p); err != nil {
		return "", err
	}
	var name string
	if raw, ok := p["path"]; ok {
		if err := json.Unmarshal(raw, &name); err != nil {
			return "", fmt.Errorf("read \"path\": %w", err)
		}
	}
	if name == "" {
		return "", errors.New("the payload has no path, as those of Databricks have")
	}
	return name, nil
}

// folder keeps objects as files; it implements [pipes.BlobStore].
type folder struct{}

// Get implements [pipes.BlobStore].
func (folder) Get(_ context.Context, _, name string) (data []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, refused(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, refused(err)
	}
	if data, err = pipes.ReadBlob(f, info.Size()); err != nil {
		err = fmt.Errorf("read %s: %w", name, err)
	}
	return data, err
}

// Create implements [pipes.BlobStore]. The file gets its name when it is whole.
func (folder) Create(_ context.Context, _, name string, data []byte) error {
	if _, err := os.Lstat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	part := name + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return refused(errors.Join(err, removed(part)))
	}
	if err := os.Rename(part, name); err != nil {
		return refused(errors.Join(err, removed(part)))
	}
	return nil
}

// removed removes a file that may be there.
func removed(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// refused marks errors that trying again does not help against.
func refused(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", pipes.ErrRefused, err)
	}
	return err
}
