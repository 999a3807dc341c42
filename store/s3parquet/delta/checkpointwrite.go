package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The rows of a checkpoint. Each has one member that is not nil.
type (
	checkpointRow struct {
		Txn      *checkpointTxn      `parquet:"txn,optional"`
		Add      *checkpointAdd      `parquet:"add,optional"`
		Remove   *checkpointRemove   `parquet:"remove,optional"`
		MetaData *checkpointMetaData `parquet:"metaData,optional"`
		Protocol *checkpointProtocol `parquet:"protocol,optional"`
	}
	checkpointTxn struct {
		AppID       string `parquet:"appId"`
		Version     int64  `parquet:"version"`
		LastUpdated *int64 `parquet:"lastUpdated,optional"`
	}
	checkpointAdd struct {
		Path             string            `parquet:"path"`
		PartitionValues  map[string]string `parquet:"partitionValues"`
		Size             int64             `parquet:"size"`
		ModificationTime int64             `parquet:"modificationTime"`
		DataChange       bool              `parquet:"dataChange"`
		Stats            *string           `parquet:"stats,optional"`
		Tags             map[string]string `parquet:"tags,optional"`
	}
	checkpointRemove struct {
		Path                 string            `parquet:"path"`
		DeletionTimestamp    *int64            `parquet:"deletionTimestamp,optional"`
		DataChange           bool              `parquet:"dataChange"`
		ExtendedFileMetadata *bool             `parquet:"extendedFileMetadata,optional"`
		PartitionValues      map[string]string `parquet:"partitionValues,optional"`
		Size                 *int64            `parquet:"size,optional"`
	}
	checkpointFormat struct {
		Provider string            `parquet:"provider"`
		Options  map[string]string `parquet:"options"`
	}
	checkpointMetaData struct {
		ID               string            `parquet:"id"`
		Name             *string           `parquet:"name,optional"`
		Description      *string           `parquet:"description,optional"`
		Format           checkpointFormat  `parquet:"format"`
		SchemaString     string            `parquet:"schemaString"`
		PartitionColumns []string          `parquet:"partitionColumns,list"`
		CreatedTime      *int64            `parquet:"createdTime,optional"`
		Configuration    map[string]string `parquet:"configuration"`
	}
	checkpointProtocol struct {
		MinReaderVersion int32    `parquet:"minReaderVersion"`
		MinWriterVersion int32    `parquet:"minWriterVersion"`
		ReaderFeatures   []string `parquet:"readerFeatures,list,optional"`
		WriterFeatures   []string `parquet:"writerFeatures,list,optional"`
	}
)

// lastCheckpoint is the file that points to the newest checkpoint.
type lastCheckpoint struct {
	Version       int64 `json:"version"`
	Size          int64 `json:"size"` // number of actions
	SizeInBytes   int64 `json:"sizeInBytes"`
	NumOfAddFiles int64 `json:"numOfAddFiles"`
}

// checkpointInterval is how many commits apart the checkpoints of a table of few files are, unless the table says otherwise.
const checkpointInterval = 10

// intervalFiles is from how many files on checkpoints are twice as far apart, and again at each doubling: every one names
// all files. So there are a twenty-fifth to a fiftieth as many commits after a checkpoint as there are files in it, which
// cost a reader less than the checkpoint does, and all checkpoints of a growing table together have some forty times the
// bytes of the last one, however many there are.
const intervalFiles = 500

// interval is how many commits apart checkpoints are.
func (s *Snapshot) interval() int64 {
	if n, err := strconv.ParseInt(s.MetaData.Configuration["delta.checkpointInterval"], 10, 64); err == nil && n > 0 {
		return n
	}
	interval := int64(checkpointInterval)
	for files := len(s.Files); files >= intervalFiles; files /= 2 {
		interval *= 2
	}
	return interval
}

// checkpointDue reports whether a checkpoint belongs after this version.
func (s *Snapshot) checkpointDue() bool { return (s.Version+1)%s.interval() == 0 }

// Checkpoint writes the state of a snapshot as a checkpoint, so that readers need not read the commits before it.
func (t *Table) Checkpoint(ctx context.Context, s *Snapshot) error {
	removed, err := s.Tombstones()
	if err != nil {
		return fmt.Errorf("write checkpoint %d of %s: %w", s.Version, t.URI(), err)
	}
	rows := s.checkpointRows()
	removes := removeRows(removed, time.Now().Add(-s.retention()))
	var body bytes.Buffer
	if err := encodeCheckpoint(&body, s.Removal, rows, removes); err != nil {
		return fmt.Errorf("write checkpoint %d of %s: %w", s.Version, t.URI(), err)
	}
	size := int64(body.Len())
	if _, err := t.Bucket.Put(ctx, t.logPath(checkpointName(s.Version)), &body); err != nil {
		return fmt.Errorf("write checkpoint %d of %s: %w", s.Version, t.URI(), err)
	}
	hint, err := json.Marshal(lastCheckpoint{s.Version, int64(len(rows) + len(removes)), size, int64(len(s.Files))})
	if err != nil {
		return err
	}
	if t.hint(ctx, -1) > s.Version { // a faster writer was there
		return nil
	}
	if _, err := t.Bucket.Put(ctx, t.logPath("_last_checkpoint"), bytes.NewReader(hint)); err != nil {
		return fmt.Errorf("write checkpoint %d of %s: %w", s.Version, t.URI(), err)
	}
	return nil
}

// encodeCheckpoint writes a checkpoint: what tells the state, and then the tombstones in row groups of their own.
func encodeCheckpoint(out io.Writer, removal int64, rows, removes []checkpointRow) error {
	w := parquet.NewGenericWriter[checkpointRow](out,
		parquet.Compression(&parquet.Snappy), parquet.KeyValueMetadata(orderKey, orderCommit),
		parquet.KeyValueMetadata(removalKey, strconv.FormatInt(removal, 10)),
		parquet.KeyValueMetadata(removesKey, strconv.Itoa(len(rows))))
	if _, err := w.Write(rows); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := w.Write(removes); err != nil {
		return err
	}
	return w.Close()
}

// checkpointRows returns the state of a snapshot as actions, the files in commit order.
func (s *Snapshot) checkpointRows() []checkpointRow {
	p, m := s.Protocol, s.MetaData
	rows := []checkpointRow{
		{Protocol: &checkpointProtocol{p.MinReaderVersion, p.MinWriterVersion, p.ReaderFeatures, p.WriterFeatures}},
		{MetaData: &checkpointMetaData{m.ID, m.Name, m.Description, checkpointFormat(m.Format), m.SchemaString,
			m.PartitionColumns, m.CreatedTime, m.Configuration}},
	}
	for _, app := range slices.Sorted(maps.Keys(s.Txns)) {
		t := s.Txns[app]
		rows = append(rows, checkpointRow{Txn: &checkpointTxn{app, t.Version, t.LastUpdated}})
	}
	for _, f := range s.Files {
		add := &checkpointAdd{Path: f.Path, PartitionValues: texts(f.PartitionValues), Size: f.Size,
			ModificationTime: f.ModificationTime, Tags: texts(f.Tags)}
		if f.Stats != "" {
			add.Stats = &f.Stats
		}
		rows = append(rows, checkpointRow{Add: add})
	}
	return rows
}

// removeRows returns the tombstones that are not expired before a time as actions.
func removeRows(removed map[string]*Remove, before time.Time) []checkpointRow {
	var rows []checkpointRow
	for _, name := range slices.Sorted(maps.Keys(removed)) {
		r := removed[name]
		if r.expired(before) {
			continue
		}
		rows = append(rows, checkpointRow{Remove: &checkpointRemove{Path: r.Path, DeletionTimestamp: r.DeletionTimestamp,
			ExtendedFileMetadata: r.ExtendedFileMetadata, PartitionValues: texts(r.PartitionValues), Size: r.Size}})
	}
	return rows
}

// texts leaves out what has no value: tables that are partitioned get no checkpoint from here.
func texts(m map[string]*string) map[string]string {
	var out map[string]string
	for k, v := range m {
		if out == nil {
			out = make(map[string]string, len(m))
		}
		if v != nil {
			out[k] = *v
		}
	}
	return out
}

// expired reports whether a removal is so old that no reader needs its file any more.
func (r *Remove) expired(before time.Time) bool {
	return r.DeletionTimestamp == nil || *r.DeletionTimestamp < before.UnixMilli()
}
