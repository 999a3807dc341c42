package cli

import (
	"encoding/json"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// A commitText is what log says about one commit. What the log does not tell is null.
type commitText struct {
	Version      int64                      `json:"version"`
	Time         string                     `json:"time"`
	Operation    string                     `json:"operation"`
	Engine       string                     `json:"engine"`
	RowsAdded    *int64                     `json:"rows_added"`
	RowsRemoved  *int64                     `json:"rows_removed"`
	FilesAdded   int                        `json:"files_added"`
	FilesRemoved int                        `json:"files_removed"`
	BytesAdded   int64                      `json:"bytes_added"`
	Parameters   json.RawMessage            `json:"parameters"`
	Info         map[string]json.RawMessage `json:"info"`
	Files        []fileText                 `json:"files"`

	time time.Time
}

// A fileText is a data file that a commit added or removed.
type fileText struct {
	Action     string `json:"action"` // add or remove
	Path       string `json:"path"`
	Rows       *int64 `json:"rows"`
	Bytes      *int64 `json:"bytes"`
	DataChange bool   `json:"data_change"`
}

// reservedInfo are the members of a commit's info that have a place of their own, or say what is counted.
var reservedInfo = []string{"timestamp", "inCommitTimestamp", "operation", "engineInfo", "operationParameters",
	"operationMetrics", "isBlindAppend", "txnId", "readVersion", "clientVersion"}

func describeCommit(e delta.Entry) commitText {
	c := commitText{Version: e.Version, Time: e.Time.UTC().Format(jsonTime), FilesAdded: e.Added, FilesRemoved: e.Removed,
		BytesAdded: e.Bytes, Parameters: json.RawMessage("{}"), Info: map[string]json.RawMessage{}, Files: []fileText{}, time: e.Time}
	if e.Info != nil {
		c.Operation = e.Info.Operation
		var members map[string]json.RawMessage
		if json.Unmarshal(e.Info.Raw, &members) == nil {
			_ = json.Unmarshal(members["engineInfo"], &c.Engine) // a text, or nothing that can be shown
			if p := members["operationParameters"]; p != nil {
				c.Parameters = p
			}
			for _, name := range reservedInfo {
				delete(members, name)
			}
			c.Info = members
		}
	}
	for _, f := range e.Files {
		text := fileText{Action: "add", Path: f.Name, Rows: f.Rows, Bytes: f.Bytes, DataChange: f.DataChange}
		if f.Removed {
			text.Action = "remove"
		}
		c.Files = append(c.Files, text)
	}
	return c
}

// countRows counts the rows of commits, the newest of which comes first. How many rows a removed file had is told by the
// commit that added it. Rows that a commit only moves to other files are neither added nor removed.
func countRows(commits []commitText) {
	rows := map[string]*int64{}
	for i := len(commits) - 1; i >= 0; i-- {
		c := &commits[i]
		added, removed := int64(0), int64(0)
		c.RowsAdded, c.RowsRemoved = &added, &removed
		rewrites := false
		for k := range c.Files {
			f := &c.Files[k]
			sum, into := &added, &c.RowsAdded
			if f.Action == "remove" {
				sum, into = &removed, &c.RowsRemoved
				if f.Rows == nil {
					f.Rows = rows[f.Path]
				}
			} else {
				rows[f.Path] = f.Rows
			}
			if rewrites = rewrites || !f.DataChange; f.Rows == nil {
				*into = nil
				continue
			}
			*sum += *f.Rows
		}
		if c.RowsAdded == nil || c.RowsRemoved == nil || !rewrites && c.Operation == "WRITE" {
			continue
		}
		moved := min(added, removed)
		added, removed = added-moved, removed-moved
	}
}
