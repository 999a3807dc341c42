package delta

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Protocol says what a program must understand to read or to write a table.
type Protocol struct {
	MinReaderVersion int32    `json:"minReaderVersion"`
	MinWriterVersion int32    `json:"minWriterVersion"`
	ReaderFeatures   []string `json:"readerFeatures,omitempty"` // nil below reader version 3
	WriterFeatures   []string `json:"writerFeatures,omitempty"` // nil below writer version 7
}

// MetaData describes a table.
type MetaData struct {
	ID               string            `json:"id"`
	Name             *string           `json:"name"`        // nil means none
	Description      *string           `json:"description"` // nil means none
	Format           Format            `json:"format"`
	SchemaString     string            `json:"schemaString"` // the columns, as JSON text
	PartitionColumns []string          `json:"partitionColumns"`
	CreatedTime      *int64            `json:"createdTime,omitempty"` // milliseconds since the epoch; nil means unknown
	Configuration    map[string]string `json:"configuration"`
}

// Format names the format of the data files.
type Format struct {
	Provider string            `json:"provider"` // "parquet"
	Options  map[string]string `json:"options"`
}

// Add makes a data file part of the table.
type Add struct {
	Path             string             `json:"path"` // relative to the table, percent-encoded
	PartitionValues  map[string]*string `json:"partitionValues"`
	Size             int64              `json:"size"`             // in bytes
	ModificationTime int64              `json:"modificationTime"` // milliseconds since the epoch
	DataChange       bool               `json:"dataChange"`
	Stats            string             `json:"stats,omitempty"` // JSON text; "" means none
	Tags             map[string]*string `json:"tags,omitempty"`
	DeletionVector   json.RawMessage    `json:"deletionVector,omitempty"`

	// Replaces is, in a Change, the name of the removed file whose place among the table's files this one takes; "" puts
	// it after all of them. The log keeps it as a tag.
	Replaces string `json:"-"`
}

// Remove takes a data file out of the table.
type Remove struct {
	Path                 string             `json:"path"`
	DeletionTimestamp    *int64             `json:"deletionTimestamp,omitempty"` // nil means 1970
	DataChange           bool               `json:"dataChange"`
	ExtendedFileMetadata *bool              `json:"extendedFileMetadata,omitempty"`
	PartitionValues      map[string]*string `json:"partitionValues,omitempty"`
	Size                 *int64             `json:"size,omitempty"`
	Stats                string             `json:"stats,omitempty"` // JSON text; "" means none
	Tags                 map[string]*string `json:"tags,omitempty"`
	DeletionVector       json.RawMessage    `json:"deletionVector,omitempty"`
}

// Txn records how far an application has got; see the Delta protocol, transaction identifiers.
type Txn struct {
	AppID       string `json:"appId"`
	Version     int64  `json:"version"`
	LastUpdated *int64 `json:"lastUpdated,omitempty"` // milliseconds since the epoch; nil means unknown
}

// CommitInfo is what a writer notes about a commit, for people.
type CommitInfo struct {
	Timestamp         int64           // milliseconds since the epoch; 0 means unknown
	InCommitTimestamp int64           // the table's own clock; 0 means that it keeps none
	Operation         string          // "WRITE" and so on
	Raw               json.RawMessage // the whole object
}

// UnmarshalJSON implements json.Unmarshaler. What people note may have any shape, so that only numbers and texts at
// the expected places count.
func (c *CommitInfo) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*c = CommitInfo{Raw: bytes.Clone(data)}
	_ = json.Unmarshal(members["timestamp"], &c.Timestamp)
	_ = json.Unmarshal(members["inCommitTimestamp"], &c.InCommitTimestamp)
	_ = json.Unmarshal(members["operation"], &c.Operation)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (c *CommitInfo) MarshalJSON() ([]byte, error) { return c.Raw, nil }

// An action is a line of a commit: one of its members is set, or none when the action is unknown to us.
type action struct {
	CommitInfo *CommitInfo `json:"commitInfo,omitempty"`
	Protocol   *Protocol   `json:"protocol,omitempty"`
	MetaData   *MetaData   `json:"metaData,omitempty"`
	Add        *Add        `json:"add,omitempty"`
	Remove     *Remove     `json:"remove,omitempty"`
	Txn        *Txn        `json:"txn,omitempty"`
}

// maxAction is the length in bytes of the longest action that is read. The longest that are written hold the columns of a table,
// of which 100,000 take about 10 MB.
const maxAction = 64 << 20

// decodeCommit reads the actions of a commit, one JSON object a line, and never more than a line of it at a time. Damage is an
// error wrapping store.ErrCorrupt, others are the reader's.
func decodeCommit(uri string, body io.Reader, size int64) ([]action, error) {
	r := bufio.NewReaderSize(body, int(min(max(size, 512), 64<<10)))
	var actions []action
	for n := 1; ; n++ {
		line, err := nextLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s, line %d: %w", uri, n, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			a, err := decodeAction(line)
			if err != nil {
				return nil, fmt.Errorf("%w: %s, line %d: %w", store.ErrCorrupt, uri, n, err)
			}
			actions = append(actions, a)
		}
		if err != nil {
			break
		}
	}
	if len(actions) == 0 {
		return nil, fmt.Errorf("%w: %s is empty; a commit has at least one action", store.ErrCorrupt, uri)
	}
	return actions, nil
}

// nextLine returns a line, valid until the next call, with io.EOF when it is the last one.
func nextLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > maxAction {
			return nil, fmt.Errorf("%w: it has more than %d bytes", store.ErrCorrupt, maxAction)
		}
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// decodeAction reads a line of a commit.
func decodeAction(line []byte) (a action, err error) {
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	return a, a.check()
}

// check reports members without which an action has no meaning.
func (a *action) check() error {
	switch {
	case a.Protocol != nil && (a.Protocol.MinReaderVersion < 1 || a.Protocol.MinWriterVersion < 1):
		return errors.New("protocol without minReaderVersion or minWriterVersion")
	case a.MetaData != nil && a.MetaData.SchemaString == "":
		return errors.New("metaData without schemaString")
	case a.Add != nil && (a.Add.Path == "" || a.Add.Size < 0):
		return errors.New("add without path, or with a negative size")
	case a.Remove != nil && a.Remove.Path == "":
		return errors.New("remove without path")
	case a.Txn != nil && a.Txn.AppID == "":
		return errors.New("txn without appId")
	}
	return nil
}

// encodeCommit writes actions as a commit.
func encodeCommit(actions []action) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for _, a := range actions {
		if err := e.Encode(a); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
